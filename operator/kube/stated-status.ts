import { isDeepStrictEqual } from "node:util";
import { FIELD_MANAGER } from "../../crds/group.ts";
import { canonicalJson, contentHash } from "../../lib/core/canonical.ts";
import type { KubeObject } from "../../lib/kube/types.ts";

/*
 * A status can have members of other managers. Which of them are ours stands in `metadata.managedFields` alone, half of a
 * typical object, which memory does not keep. So the question is answered when an object comes in, and our part is kept
 * beside it, and only of a status that is not ours altogether.
 */

/** A node of FieldsV1: `f:name` a member, `k:{…}` an item of a keyed list, `v:…` an item of a set, `.` the thing itself. */
interface Fields {
  readonly [element: string]: Fields;
}

interface ManagedFields {
  readonly manager?: string;
  readonly operation?: string;
  readonly subresource?: string;
  readonly fieldsV1?: Fields;
}

/** Our part of a status and its hash. */
interface Stated {
  readonly part: Readonly<Record<string, unknown>>;
  readonly hash: string;
}

/** By the object that memory holds; gone with it. */
const known = new WeakMap<KubeObject, Stated>();

/** Takes note of what of a status is ours. @param raw the object as the server sent it, with its managed fields */
export function noteStatedStatus(kept: KubeObject, raw: KubeObject): void {
  const managed = (raw.metadata["managedFields"] ?? []) as readonly ManagedFields[];
  const ours = managed.find(isOurs)?.fieldsV1?.["f:status"];
  // Where nobody else has a part, all of it is ours, and there is nothing to find out.
  if (ours === undefined || !managed.some((entry) => !isOurs(entry) && entry.fieldsV1?.["f:status"] !== undefined))
    return;
  const part = ownedPart(kept["status"] ?? {}, ours) as Stated["part"];
  const stated = withoutEmpty(part);
  if (!isDeepStrictEqual(stated, withoutEmpty(kept["status"] ?? {})))
    known.set(kept, { part, hash: contentHash(stated) });
}

function isOurs({ manager, operation, subresource }: ManagedFields): boolean {
  return manager === FIELD_MANAGER && operation === "Apply" && subresource === "status";
}

/** True when what we stated in an object's status is `status`. */
export function isStated(kept: KubeObject, status: Readonly<Record<string, unknown>>): boolean {
  const ours = known.get(kept);
  if (ours === undefined) return canonicalJson(status) === canonicalJson(kept["status"] ?? {});
  return ours.hash === contentHash(withoutEmpty(status)) && isEmptyWhere(status, kept["status"]);
}

/** False where a list or map that is stated as empty has something in it: others filled it. */
function isEmptyWhere(stated: unknown, live: unknown): boolean {
  if (stated === null || typeof stated !== "object" || live === null || typeof live !== "object") return true;
  const members = Object.entries(stated);
  if (members.length === 0) return Object.keys(live).length === 0;
  // Items of lists have places of their own only while nobody adds any, which the hash tells.
  if (Array.isArray(stated)) return true;
  return members.every(([name, member]) => isEmptyWhere(member, (live as Record<string, unknown>)[name]));
}

/** Hash of what we stated in an object's status; of the whole status where all of it is ours. */
export function statedStatusHash(kept: KubeObject): string {
  return known.get(kept)?.hash ?? contentHash(kept["status"] ?? {});
}

/** What we stated in an object's status: to state it again, without taking what others say there. */
export function statedStatus(kept: KubeObject): Readonly<Record<string, unknown>> {
  return known.get(kept)?.part ?? ((kept["status"] ?? {}) as Readonly<Record<string, unknown>>);
}

/** Without empty lists and maps: whether one that is stated belongs to a manager depends on its kind of list. */
function withoutEmpty(value: unknown): unknown {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(withoutEmpty);
  return Object.fromEntries(
    Object.entries(value)
      .map(([name, member]) => [name, withoutEmpty(member)] as const)
      .filter(([, member]) => member === null || typeof member !== "object" || Object.keys(member).length > 0),
  );
}

function ownedPart(live: unknown, fields: Fields): unknown {
  // A leaf, an atomic list or map: ours as a whole.
  const inner = Object.entries(fields).filter(([element]) => element !== ".");
  if (inner.length === 0 || live === null || typeof live !== "object")
    return fields["."] === undefined ? live : shell(live);
  if (Array.isArray(live)) return live.flatMap((item) => ownedItem(item, fields));
  const members = live as Record<string, unknown>;
  return Object.fromEntries(
    inner
      .map(([element, below]) => [element.slice("f:".length), below] as const)
      .filter(([name]) => name in members)
      .map(([name, below]) => [name, ownedPart(members[name], below)]),
  );
}

/** The item when it is ours, as a list of one or none. */
function ownedItem(item: unknown, fields: Fields): unknown[] {
  for (const [element, below] of Object.entries(fields)) {
    const isItem =
      (element.startsWith("v:") && isDeepStrictEqual(JSON.parse(element.slice(2)), item)) ||
      (element.startsWith("k:") && hasKeys(item, JSON.parse(element.slice(2)) as Record<string, unknown>));
    if (isItem) return [ownedPart(item, below)];
  }
  return [];
}

function hasKeys(item: unknown, keys: Readonly<Record<string, unknown>>): boolean {
  if (item === null || typeof item !== "object") return false;
  const members = item as Record<string, unknown>;
  return Object.entries(keys).every(([name, value]) => isDeepStrictEqual(members[name], value));
}

/** Presence alone is ours, not what is in it. */
function shell(live: unknown): unknown {
  if (live === null || typeof live !== "object") return live;
  return Array.isArray(live) ? [] : {};
}
