import { isDeepStrictEqual } from "node:util";
import { type Clock, rfc3339Seconds } from "../../lib/core/clock.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { mergePatch } from "../../operator/kube/projection.ts";
import { admitGiven, admitNew, admitUpdate, assertName, hasGeneration } from "./admission.ts";
import { jsonPatch } from "./json-patch.ts";
import { applyFields, managedFieldsOf, type Owned, type Owner, ownersAfterUpdate, scopeApplied } from "./ownership.ts";
import { alreadyExists, conflict, namespaceEnding, notFound } from "./refusals.ts";
import type { ApplyHow, FakeStore, RemoveHow, StoreEvent, StoreKey, WriteHow } from "./store-types.ts";

interface Entry extends Owned {
  readonly key: StoreKey;
}

/** Finalizers by which the server itself waits for its garbage collector. */
const PROPAGATION_FINALIZERS = { Background: undefined, Foreground: "foregroundDeletion", Orphan: "orphan" } as const;
/** As the real server's: no vowels, so that no words come out. */
const SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH = 5;

/**
 * An empty store at version 1. It knows no schemas: pruning, defaulting, validation beyond names, CEL and admission are the
 * real server's, as are namespaces that have to exist.
 * @param clock for the times in metadata @param random in [0, 1), for generated names
 */
export function createFakeStore({
  clock,
  random,
}: {
  readonly clock: Clock;
  readonly random: () => number;
}): FakeStore {
  let version = 1;
  let uids = 0;
  let compactedAt = 0;
  const entries = new Map<string, Entry>();
  const history: StoreEvent[] = [];
  const listeners = new Set<(event: StoreEvent) => void>();

  const idOf = (key: StoreKey): string => `${key.collection} ${key.namespace} ${key.name}`;
  const now = (): string => rfc3339Seconds(clock.now());
  const mustGet = (key: StoreKey): Entry => {
    const found = entries.get(idOf(key));
    if (found === undefined) throw notFound(key);
    return found;
  };

  /** Makes a change true, unless there is none or it is a rehearsal. */
  const commit = (
    key: StoreKey,
    change: { readonly before: Entry | undefined; readonly next: KubeObject; readonly owners: readonly Owner[] },
    dryRun: boolean | undefined,
  ): KubeObject => {
    const { before, owners } = change;
    const { managedFields: _old, ...metadata } = change.next.metadata;
    const next: KubeObject = { ...change.next, metadata };
    if (before !== undefined && isDeepStrictEqual(bare(before.object), next) && isSameOwners(before.owners, owners)) {
      return before.object;
    }
    if (owners.length > 0) next.metadata["managedFields"] = managedFieldsOf(owners);
    if (dryRun === true) return next;
    version += 1;
    const isGone = metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0;
    const after = isGone ? next : { ...next, metadata: { ...next.metadata, resourceVersion: String(version) } };
    if (isGone) entries.delete(idOf(key));
    else entries.set(idOf(key), { key, object: after, owners });
    const event = { version, key, before: before?.object, after: isGone ? undefined : after };
    history.push(event);
    for (const listener of listeners) listener(event);
    return after;
  };

  const writerOf = (key: StoreKey, how: WriteHow) => ({
    collection: key.collection,
    manager: how.manager,
    subresource: how.subresource,
    time: now(),
  });

  const insert = (key: StoreKey, object: KubeObject): KubeObject => {
    assertName(key, object.kind);
    const namespace = entries.get(idOf({ collection: "/namespaces", namespace: "", name: key.namespace }))?.object;
    if (namespace?.metadata.deletionTimestamp !== undefined) throw namespaceEnding(key);
    if (entries.has(idOf(key))) throw alreadyExists(key);
    uids += 1;
    return admitNew(key, object, { uid: `uid-${uids}`, time: now() });
  };

  const update = (
    key: StoreKey,
    change: (before: KubeObject) => KubeObject,
    how: WriteHow & { readonly isReplace?: boolean },
  ): KubeObject => {
    const before = mustGet(key);
    const wanted = change(before.object);
    const isReplace = how.isReplace ?? false;
    const next = admitUpdate(key, { before: before.object, wanted }, { subresource: how.subresource, isReplace });
    return commit(key, { before, next, owners: ownersAfterUpdate(before, next, writerOf(key, how)) }, how.dryRun);
  };

  const suffix = (): string =>
    Array.from({ length: SUFFIX_LENGTH }, () => SUFFIX_LETTERS[Math.floor(random() * SUFFIX_LETTERS.length)]).join("");

  return {
    version: () => version,
    get: (key) => entries.get(idOf(key))?.object,
    all: () => [...entries.values()],
    list: (collection, namespace) =>
      [...entries]
        .filter(([, { key }]) => key.collection === collection)
        .filter(([, { key }]) => namespace === undefined || key.namespace === namespace)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([, { object }]) => object),
    create: (at, object, manager) => {
      const how: WriteHow = typeof manager === "string" ? { manager } : manager;
      const prefix = object.metadata["generateName"];
      const key = at.name === "" && typeof prefix === "string" ? { ...at, name: `${prefix}${suffix()}` } : at;
      const next = insert(key, object);
      return commit(
        key,
        { before: undefined, next, owners: ownersAfterUpdate(undefined, next, writerOf(key, how)) },
        how.dryRun,
      );
    },
    replace: (key, object, how) => update(key, () => object, { ...how, isReplace: true }),
    put: (key, object, manager) => {
      const before = entries.get(idOf(key));
      // What comes over the wire is JSON: a copy, without what is undefined.
      const given = JSON.parse(JSON.stringify(object)) as KubeObject;
      if (before === undefined) uids += 1;
      const next = admitGiven(key, { before: before?.object, given }, { uid: `uid-${uids}`, time: now() });
      const after = commit(
        key,
        { before, next, owners: ownersAfterUpdate(before, next, writerOf(key, { manager })) },
        false,
      );
      return entries.has(idOf(key)) ? after : undefined;
    },
    merge: (key, patch, how) => update(key, (before) => mergePatch(before, patch) as KubeObject, how),
    patch: (key, operations, how) => update(key, (before) => jsonPatch(before, operations) as KubeObject, how),
    apply: (key, object, how: ApplyHow) => {
      const applied = scopeApplied(object, how.subresource);
      const writer = { ...writerOf(key, how), force: how.force };
      const before = entries.get(idOf(key));
      if (before === undefined) {
        if (how.subresource !== undefined) throw notFound(key);
        const { uid } = object.metadata;
        if (uid !== undefined) {
          throw conflict(
            key,
            `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`,
          );
        }
        const next = insert(key, applied);
        const { owners } = applyFields({ object: next, owners: [] }, applied, writer);
        return commit(key, { before, next, owners }, how.dryRun);
      }
      const { object: wanted, owners } = applyFields(before, applied, writer);
      const next = admitUpdate(
        key,
        { before: before.object, wanted },
        { subresource: how.subresource, isReplace: false },
      );
      return commit(key, { before, next, owners }, how.dryRun);
    },
    remove: (key, how: RemoveHow) => {
      const before = mustGet(key);
      const { object } = before;
      const differs = (what: string, asked: string, is: string | undefined, may: string) =>
        conflict(
          key,
          `the ${what} in the precondition (${asked}) does not match the ${what} in record (${is}). ${may}`,
        );
      if (how.uid !== undefined && how.uid !== object.metadata.uid) {
        throw differs("UID", how.uid, object.metadata.uid, "The object might have been deleted and then recreated");
      }
      if (how.resourceVersion !== undefined && how.resourceVersion !== object.metadata.resourceVersion) {
        const { resourceVersion } = object.metadata;
        throw differs("ResourceVersion", how.resourceVersion, resourceVersion, "The object might have been modified");
      }
      const finalizer = PROPAGATION_FINALIZERS[how.propagation ?? "Background"];
      const finalizers = [...new Set([...(object.metadata.finalizers ?? []), ...(finalizer ? [finalizer] : [])])];
      const isFirst = object.metadata.deletionTimestamp === undefined;
      const metadata: KubeObject["metadata"] = {
        ...object.metadata,
        ...(finalizers.length === 0 ? {} : { finalizers }),
        ...(isFirst ? { deletionTimestamp: now(), deletionGracePeriodSeconds: 0 } : {}),
        ...(isFirst && hasGeneration(key.collection) && finalizers.length > 0
          ? { generation: (object.metadata.generation ?? 0) + 1 }
          : {}),
      };
      const after = commit(key, { before, next: { ...object, metadata }, owners: before.owners }, how.dryRun);
      return finalizers.length === 0 ? undefined : after;
    },
    since: (from) => (from < compactedAt ? undefined : history.filter((event) => event.version > from)),
    compact: () => {
      version += 1;
      compactedAt = version;
      history.length = 0;
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** An object without what is derived from its owners. */
function bare(object: KubeObject): KubeObject {
  const { managedFields: _managedFields, ...metadata } = object.metadata;
  return { ...object, metadata };
}

function isSameOwners(before: readonly Owner[], after: readonly Owner[]): boolean {
  return isDeepStrictEqual(
    before.map(({ time: _time, ...rest }) => rest),
    after.map(({ time: _time, ...rest }) => rest),
  );
}
