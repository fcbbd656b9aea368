import { isDeepStrictEqual } from "node:util";
import type { KubeObject } from "../../lib/kube/types.ts";
import { type StatusCause, StatusError } from "../status-error.ts";
import { compareFields, fieldSetOf, fieldsV1Of, isBelow, isThere, pathText } from "./field-set.ts";
import { mergeApplied, removeField } from "./merge.ts";

/** Who owns which fields of one object, and by what. */
export interface Owner {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  readonly apiVersion: string;
  readonly subresource: string | undefined;
  /** RFC 3339; when the set last changed. */
  readonly time: string;
  readonly paths: ReadonlySet<string>;
}

/** Who writes, and how. */
export interface Writer {
  readonly collection: string;
  readonly manager: string;
  readonly subresource: string | undefined;
  /** Now, RFC 3339. */
  readonly time: string;
}

/** An object with its owners. */
export interface Owned {
  readonly object: KubeObject;
  readonly owners: readonly Owner[];
}

/**
 * Ownership after anything but an apply: who changes a field owns it alone, and what is gone is owned by nobody.
 */
export function ownersAfterUpdate(before: Owned | undefined, after: KubeObject, writer: Writer): readonly Owner[] {
  const options = { collection: writer.collection, containers: true };
  const old = fieldSetOf(before?.object ?? {}, options);
  const { changed, removed } = compareFields(old, fieldSetOf(after, options));
  const taken = new Set([...changed, ...removed]);
  const me = { ...writer, operation: "Update" as const, apiVersion: after.apiVersion };
  const others = (before?.owners ?? []).map((owner) =>
    isSameOwner(owner, me) ? owner : without(owner, (path) => taken.has(path)),
  );
  const mine = others.find((owner) => isSameOwner(owner, me));
  const paths = new Set([...(mine?.paths ?? []), ...changed].filter((path) => !removed.includes(path)));
  return settle(others, me, paths);
}

/**
 * What an apply makes of an object.
 * @throws StatusError 409 with a cause for each field that another manager owns with another value, unless forced
 */
export function applyFields(live: Owned, applied: KubeObject, writer: Writer & { readonly force: boolean }): Owned {
  const { collection, force } = writer;
  const wanted = fieldSetOf(applied, { collection, containers: false });
  const there = fieldSetOf(live.object, { collection, containers: true });
  const me = { ...writer, operation: "Apply" as const, apiVersion: applied.apiVersion };
  const others = live.owners.filter((owner) => !isSameOwner(owner, me));
  const mine = live.owners.find((owner) => isSameOwner(owner, me))?.paths ?? new Set<string>();

  const differing = [...wanted].filter(([path, value]) => !isThere(there, path, value)).map(([path]) => path);
  const conflicts = others
    .map((owner) => ({ owner, paths: differing.filter((path) => owner.paths.has(path)).toSorted() }))
    .filter(({ paths }) => paths.length > 0)
    .toSorted((a, b) => compareText(a.owner.manager, b.owner.manager));
  if (conflicts.length > 0 && !force) throw conflictError(conflicts);

  const given = others.map((owner) => {
    const lost = new Set(conflicts.find((conflict) => conflict.owner === owner)?.paths);
    return lost.size === 0 ? owner : without(owner, (path) => lost.has(path));
  });
  let merged = mergeApplied(live.object, applied, { collection, names: "" });
  for (const path of mine) {
    const isOthers = given.some(({ paths }) => paths.has(path) || [...paths].some((other) => isBelow(other, path)));
    if (!wanted.has(path) && !isOthers) merged = removeField(merged, path, collection);
  }
  const object = merged as KubeObject;
  const left = fieldSetOf(object, { collection, containers: true });
  const kept = given.map((owner) => without(owner, (path) => !left.has(path)));
  const paths = new Set(wanted.keys());
  return { object, owners: settle(kept, me, paths) };
}

/** `metadata.managedFields`. */
export function managedFieldsOf(owners: readonly Owner[]): Record<string, unknown>[] {
  return owners.map(({ manager, operation, apiVersion, subresource, time, paths }) => ({
    manager,
    operation,
    apiVersion,
    time,
    fieldsType: "FieldsV1",
    fieldsV1: fieldsV1Of(paths),
    ...(subresource === undefined ? {} : { subresource }),
  }));
}

type Identity = Pick<Owner, "manager" | "operation" | "apiVersion" | "subresource">;

function isSameOwner(owner: Identity, other: Identity): boolean {
  return (
    owner.manager === other.manager &&
    owner.operation === other.operation &&
    owner.apiVersion === other.apiVersion &&
    owner.subresource === other.subresource
  );
}

function without(owner: Owner, isLost: (path: string) => boolean): Owner {
  const paths = new Set([...owner.paths].filter((path) => !isLost(path)));
  return paths.size === owner.paths.size ? owner : { ...owner, paths };
}

/** Puts a manager's new fields in; who owns nothing is not listed. Applies come first, as on the real server. */
function settle(owners: readonly Owner[], me: Identity & { readonly time: string }, paths: Set<string>): Owner[] {
  const before = owners.find((owner) => isSameOwner(owner, me));
  const { manager, operation, apiVersion, subresource } = me;
  const isUnchanged = before !== undefined && isDeepStrictEqual(before.paths, paths);
  const mine: Owner = isUnchanged ? before : { manager, operation, apiVersion, subresource, time: me.time, paths };
  return [...owners.filter((owner) => owner !== before), mine]
    .filter((owner) => owner.paths.size > 0)
    .toSorted(
      (a, b) =>
        compareText(a.operation, b.operation) || compareText(a.time, b.time) || compareText(a.manager, b.manager),
    );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function conflictError(
  conflicts: readonly { readonly owner: Owner; readonly paths: readonly string[] }[],
): StatusError {
  const causes: StatusCause[] = conflicts.flatMap(({ owner, paths }) =>
    paths.map((path) => ({
      reason: "FieldManagerConflict",
      message: `conflict with ${ownerText(owner)}`,
      field: pathText(path),
    })),
  );
  const [only] = causes;
  const message =
    causes.length === 1
      ? `Apply failed with 1 conflict: ${only?.message}: ${only?.field}`
      : `Apply failed with ${causes.length} conflicts: ${conflicts
          .map(({ owner, paths }) => {
            const lines = paths.map((path) => `\n- ${pathText(path)}`).join("");
            return `conflicts with ${ownerText(owner)}:${lines}`;
          })
          .join("\n")}`;
  return new StatusError({ status: 409, message, causes });
}

function ownerText({ manager, operation, apiVersion, subresource }: Owner): string {
  const sub = subresource === undefined ? "" : ` with subresource "${subresource}"`;
  return `"${manager}"${sub}${operation === "Update" ? ` using ${apiVersion}` : ""}`;
}

/** The fields that a request through a subresource may touch, of an applied configuration. */
export function scopeApplied(applied: KubeObject, subresource: string | undefined): KubeObject {
  if (subresource !== "status") {
    const { status: _status, ...rest } = applied;
    return rest;
  }
  const { apiVersion, kind, metadata, status } = applied;
  const { name, namespace, uid, resourceVersion } = metadata;
  const identity = Object.fromEntries(
    Object.entries({ name, namespace, uid, resourceVersion }).filter(([, value]) => value !== undefined),
  ) as KubeObject["metadata"];
  return { apiVersion, kind, metadata: identity, ...(status === undefined ? {} : { status }) };
}
