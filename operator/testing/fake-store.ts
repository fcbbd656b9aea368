import { isDeepStrictEqual } from "node:util";
import type { KubeObject } from "../../lib/kube/types.ts";
import { mergePatch } from "../kube/projection.ts";
import { StatusError } from "./status-error.ts";

// What an API server does with objects, without HTTP. Lists are atomic for server-side apply here; what needs list
// keys, schemas or admission is tested on a real server.

/** Where an object lives. */
export interface StoreKey {
  /** `group/plural`; the core group is empty. */
  readonly collection: string;
  readonly namespace: string;
  readonly name: string;
}

/** One change, in the order of versions. */
export interface StoreEvent {
  readonly version: number;
  readonly key: StoreKey;
  readonly before: KubeObject | undefined;
  readonly after: KubeObject | undefined;
}

export interface ApplyRequest {
  readonly manager: string;
  readonly force: boolean;
  readonly subresource: string | undefined;
}

/** Objects, their versions and who owns which field. */
export interface FakeStore {
  version(): number;
  get(key: StoreKey): KubeObject | undefined;
  list(collection: string, namespace: string | undefined): KubeObject[];
  create(key: StoreKey, object: KubeObject, manager: string): KubeObject;
  replace(key: StoreKey, object: KubeObject, how: Omit<ApplyRequest, "force">): KubeObject;
  merge(key: StoreKey, patch: unknown, how: Omit<ApplyRequest, "force">): KubeObject;
  apply(key: StoreKey, object: KubeObject, how: ApplyRequest): KubeObject;
  /** @returns the object when finalizers hold it */
  remove(
    key: StoreKey,
    preconditions: { readonly uid?: string; readonly resourceVersion?: string },
  ): KubeObject | undefined;
  /** Changes after a version; `undefined` when they were compacted away. */
  since(version: number): readonly StoreEvent[] | undefined;
  /** Forgets all past changes. */
  compact(): void;
  /** Called after each change. */
  subscribe(listener: (event: StoreEvent) => void): void;
}

/** Kinds without spec and status: they have no generation and no status subresource. */
const PLAIN = new Set([
  "/configmaps",
  "/secrets",
  "/serviceaccounts",
  "rbac.authorization.k8s.io/roles",
  "rbac.authorization.k8s.io/rolebindings",
  "coordination.k8s.io/leases",
  "events.k8s.io/events",
]);

/** An empty store at version 1. */
export function createFakeStore(): FakeStore {
  let version = 1;
  let uids = 0;
  let compactedAt = 0;
  const objects = new Map<string, KubeObject>();
  const owners = new Map<string, Map<string, Set<string>>>();
  const history: StoreEvent[] = [];
  const listeners: ((event: StoreEvent) => void)[] = [];

  const idOf = (key: StoreKey): string => `${key.collection} ${key.namespace} ${key.name}`;

  const mustGet = (key: StoreKey): KubeObject => {
    const found = objects.get(idOf(key));
    if (found === undefined)
      throw new StatusError({ status: 404, reason: "NotFound", message: `${key.collection} "${key.name}" not found` });
    return found;
  };

  const store = (key: StoreKey, before: KubeObject | undefined, next: KubeObject): KubeObject => {
    if (before !== undefined && isDeepStrictEqual(before, next)) return before;
    version += 1;
    const isGone = next.metadata.deletionTimestamp !== undefined && (next.metadata.finalizers ?? []).length === 0;
    const after = { ...next, metadata: { ...next.metadata, resourceVersion: String(version) } };
    if (isGone) objects.delete(idOf(key));
    else objects.set(idOf(key), after);
    publish({ version, key, before: before ?? (isGone ? after : undefined), after: isGone ? undefined : after });
    return after;
  };

  const publish = (event: StoreEvent): void => {
    history.push(event);
    for (const listener of listeners) listener(event);
  };

  /** Makes of `wanted` what an update through this (sub)resource may make of `before`. */
  const admit = (
    key: StoreKey,
    before: KubeObject,
    wanted: KubeObject,
    subresource: string | undefined,
  ): KubeObject => {
    if (
      wanted.metadata.resourceVersion !== undefined &&
      wanted.metadata.resourceVersion !== before.metadata.resourceVersion
    ) {
      throw new StatusError({ status: 409, reason: "Conflict", message: `the object "${key.name}" has been modified` });
    }
    if (wanted.metadata.uid !== undefined && wanted.metadata.uid !== before.metadata.uid) {
      throw new StatusError({
        status: 409,
        reason: "Conflict",
        message: "Precondition failed: UID in precondition differs",
      });
    }
    if (subresource === "status") return { ...before, status: wanted["status"] };
    const { uid, resourceVersion, generation, creationTimestamp, deletionTimestamp } = before.metadata;
    const fixed = { uid, resourceVersion, generation, creationTimestamp, deletionTimestamp };
    const metadata = omit({ ...wanted.metadata, ...fixed }) as KubeObject["metadata"];
    const next: KubeObject = { ...wanted, metadata };
    if (PLAIN.has(key.collection)) return next;
    if (before["status"] === undefined) delete next["status"];
    else next["status"] = before["status"];
    if (!isDeepStrictEqual(bodyOf(before), bodyOf(next))) next.metadata.generation = (generation ?? 0) + 1;
    return next;
  };

  const own = (key: StoreKey, manager: string, paths: Iterable<string>, exclusive: boolean): void => {
    const managers = owners.get(idOf(key)) ?? new Map<string, Set<string>>();
    owners.set(idOf(key), managers);
    const mine = managers.get(manager) ?? new Set<string>();
    managers.set(manager, mine);
    for (const path of paths) {
      if (exclusive) for (const others of managers.values()) others.delete(path);
      mine.add(path);
    }
  };

  /** Owner bookkeeping of everything that is not an apply: who changes a field owns it. */
  const ownChanges = (key: StoreKey, manager: string, before: KubeObject | undefined, after: KubeObject): void => {
    const old = leaves(before ?? {});
    const changed = [...leaves(after)].filter(([path, value]) => !isDeepStrictEqual(old.get(path), value));
    own(
      key,
      `${manager}/Update`,
      changed.map(([path]) => path),
      true,
    );
  };

  const insert = (key: StoreKey, object: KubeObject): KubeObject => {
    const isPlain = PLAIN.has(key.collection);
    const next: KubeObject = {
      ...object,
      metadata: {
        ...object.metadata,
        ...(key.namespace === "" ? {} : { namespace: key.namespace }),
        name: key.name,
        uid: `uid-${(uids += 1)}`,
        creationTimestamp: "2025-01-01T00:00:00Z",
        ...(isPlain ? {} : { generation: 1 }),
      },
    };
    if (!isPlain) delete next["status"];
    owners.delete(idOf(key));
    return store(key, undefined, next);
  };

  return {
    version: () => version,
    get: (key) => objects.get(idOf(key)),
    list: (collection, namespace) => {
      const prefix = namespace === undefined ? `${collection} ` : `${collection} ${namespace} `;
      return [...objects]
        .filter(([id]) => id.startsWith(prefix))
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([, it]) => it);
    },
    create: (key, object, manager) => {
      if (objects.has(idOf(key))) {
        throw new StatusError({
          status: 409,
          reason: "AlreadyExists",
          message: `${key.collection} "${key.name}" already exists`,
        });
      }
      const created = insert(key, object);
      ownChanges(key, manager, undefined, created);
      return created;
    },
    replace: (key, object, how) => {
      const before = mustGet(key);
      const after = store(key, before, admit(key, before, object, how.subresource));
      ownChanges(key, how.manager, before, after);
      return after;
    },
    merge: (key, patch, how) => {
      const before = mustGet(key);
      const wanted = mergePatch(before, patch) as KubeObject;
      const after = store(key, before, admit(key, before, wanted, how.subresource));
      ownChanges(key, how.manager, before, after);
      return after;
    },
    apply: (key, object, how) => {
      const manager = `${how.manager}/Apply`;
      const wanted = leaves(how.subresource === "status" ? { status: object["status"] } : withoutStatus(key, object));
      const existing = objects.get(idOf(key));
      if (existing === undefined) {
        if (how.subresource !== undefined) mustGet(key);
        if (object.metadata.uid !== undefined)
          throw new StatusError({ status: 409, reason: "Conflict", message: "Precondition failed: UID" });
        const created = insert(key, object);
        own(key, manager, wanted.keys(), false);
        return created;
      }
      if (object.metadata.uid !== undefined && object.metadata.uid !== existing.metadata.uid) {
        const causes = [{ reason: "FieldValueInvalid", field: "metadata.uid" }];
        throw new StatusError({ status: 422, reason: "Invalid", message: "metadata.uid: field is immutable", causes });
      }
      const managers = owners.get(idOf(key)) ?? new Map<string, Set<string>>();
      const live = leaves(existing);
      const conflicts = [...wanted].filter(
        ([path, value]) =>
          !isDeepStrictEqual(live.get(path), value) &&
          [...managers].some(([name, paths]) => name !== manager && paths.has(path)),
      );
      if (conflicts.length > 0 && !how.force) {
        const causes = conflicts.map(([path]) => ({
          reason: "FieldManagerConflict",
          field: `.${path.replaceAll("\0", ".")}`,
        }));
        throw new StatusError({
          status: 409,
          reason: "Conflict",
          message: `Apply failed with ${causes.length} conflicts`,
          causes,
        });
      }
      let next: unknown = existing;
      for (const path of managers.get(manager) ?? []) {
        const inScope = (how.subresource === "status") === path.startsWith("status\0");
        const isShared = [...managers].some(([name, paths]) => name !== manager && paths.has(path));
        if (inScope && !wanted.has(path) && !isShared) next = setLeaf(next, path.split("\0"), undefined);
      }
      for (const [path, value] of wanted) next = setLeaf(next, path.split("\0"), value);
      const after = store(key, existing, admit(key, existing, next as KubeObject, how.subresource));
      for (const [path] of conflicts) for (const paths of managers.values()) paths.delete(path);
      const kept = [...(managers.get(manager) ?? [])].filter(
        (path) => (how.subresource === "status") !== path.startsWith("status\0"),
      );
      managers.set(manager, new Set([...kept, ...wanted.keys()]));
      owners.set(idOf(key), managers);
      return after;
    },
    remove: (key, { uid, resourceVersion }) => {
      const before = mustGet(key);
      if (uid !== undefined && uid !== before.metadata.uid)
        throw new StatusError({ status: 409, reason: "Conflict", message: "the UID differs" });
      if (resourceVersion !== undefined && resourceVersion !== before.metadata.resourceVersion) {
        throw new StatusError({ status: 409, reason: "Conflict", message: "the resource version differs" });
      }
      const marked = { ...before, metadata: { deletionTimestamp: "2025-01-01T00:00:00Z", ...before.metadata } };
      const after = store(key, before, marked);
      return (after.metadata.finalizers ?? []).length === 0 ? undefined : after;
    },
    since: (from) => (from < compactedAt ? undefined : history.filter((event) => event.version > from)),
    compact: () => {
      version += 1;
      compactedAt = version;
      history.length = 0;
    },
    subscribe: (listener) => void listeners.push(listener),
  };
}

function withoutStatus(key: StoreKey, object: KubeObject): object {
  const { status, ...rest } = object;
  return PLAIN.has(key.collection) && status !== undefined ? object : rest;
}

/** What counts for the generation. */
function bodyOf({ metadata: _metadata, status: _status, ...body }: KubeObject): object {
  return body;
}

/** Path (joined by NUL) and value of everything that is not a map; identity and bookkeeping left out. */
function leaves(object: object): Map<string, unknown> {
  const found = new Map<string, unknown>();
  const walk = (value: unknown, path: readonly string[]): void => {
    if (value === undefined) return;
    if (value === null || typeof value !== "object" || Array.isArray(value)) found.set(path.join("\0"), value);
    else for (const [name, member] of Object.entries(value)) walk(member, [...path, name]);
  };
  const { apiVersion: _apiVersion, kind: _kind, metadata, ...body } = object as Partial<KubeObject>;
  const { labels, annotations, finalizers, ownerReferences } = metadata ?? {};
  walk({ ...body, metadata: omit({ labels, annotations, finalizers, ownerReferences }) }, []);
  return found;
}

function setLeaf(target: unknown, path: readonly string[], value: unknown): unknown {
  const [head, ...rest] = path;
  if (head === undefined) return value;
  const base = { ...((target ?? {}) as Record<string, unknown>) };
  const member = setLeaf(base[head], rest, value);
  const isEmpty = member !== null && typeof member === "object" && Object.keys(member).length === 0;
  if (member === undefined || (value === undefined && isEmpty && !Array.isArray(member))) delete base[head];
  else base[head] = member;
  return base;
}

function omit(object: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
