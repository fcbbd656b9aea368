import type { KubeObject, OwnerReference } from "../../lib/kube/types.ts";
import type { FakeStore, StoreKey } from "./store-types.ts";

type Found = ReturnType<FakeStore["all"]>[number];

const FOREGROUND = "foregroundDeletion";
const ORPHAN = "orphan";
const MANAGER = { manager: "garbage-collector" };

/**
 * The garbage collector of kube-controller-manager, in the background: after each change it looks at everything once.
 * Dependents whose owners are all gone are deleted, references to owners that are gone are taken out, an owner that is
 * deleted in the foreground waits for its blocking dependents, an orphaning one lets them go first.
 * @returns a function that ends it
 */
export function startCollector(store: FakeStore): () => void {
  /** Owners whose deletion in the foreground has begun, by uid: what they have then is deleted whether it blocks or not. */
  const begun = new Set<string>();
  let scheduled: NodeJS.Immediate | undefined;
  const schedule = (): void => {
    scheduled ??= setImmediate(() => {
      scheduled = undefined;
      collect(store, begun);
    });
  };
  const unsubscribe = store.subscribe(schedule);
  return () => {
    unsubscribe();
    clearImmediate(scheduled);
  };
}

/** One look; what it changes leads to the next one. */
function collect(store: FakeStore, begun: Set<string>): void {
  const all = store.all();
  const byUid = new Map(all.map((found) => [found.object.metadata.uid, found]));
  const dependents = new Map<string, Found[]>();
  for (const found of all) {
    for (const { uid } of found.object.metadata.ownerReferences ?? []) {
      dependents.set(uid, [...(dependents.get(uid) ?? []), found]);
    }
  }
  for (const { key, object } of all) {
    const { uid, ownerReferences = [], deletionTimestamp, finalizers = [] } = object.metadata;
    const isLeaving = deletionTimestamp !== undefined;
    if (isLeaving && finalizers.includes(ORPHAN)) {
      for (const child of dependents.get(uid ?? "") ?? []) release(store, child, (owner) => owner.uid === uid);
      finalize(store, key, ORPHAN);
      continue;
    }
    if (isLeaving && finalizers.includes(FOREGROUND)) {
      const children = (dependents.get(uid ?? "") ?? []).filter(({ key: child }) => store.get(child) !== undefined);
      const isBlocking = ({ object: child }: Found): boolean => referenceTo(child, uid)?.blockOwnerDeletion === true;
      const isFirst = !begun.has(uid ?? "");
      begun.add(uid ?? "");
      for (const child of children) if (isFirst || isBlocking(child)) deleteOnce(store, child, "Foreground");
      const held = children.filter((child) => store.get(child.key) !== undefined && isBlocking(child));
      if (held.length === 0) finalize(store, key, FOREGROUND);
      continue;
    }
    if (ownerReferences.length === 0 || isLeaving) continue;
    const isGone = (owner: OwnerReference): boolean => byUid.get(owner.uid) === undefined;
    if (ownerReferences.every(isGone)) deleteOnce(store, { key, object }, "Background");
    else if (ownerReferences.some(isGone)) release(store, { key, object }, isGone);
  }
}

function referenceTo(object: KubeObject, uid: string | undefined): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.uid === uid);
}

function deleteOnce(store: FakeStore, { key, object }: Found, propagation: "Background" | "Foreground"): void {
  const now = store.get(key);
  if (now === undefined || now.metadata.deletionTimestamp !== undefined || now.metadata.uid !== object.metadata.uid)
    return;
  store.remove(key, { propagation });
}

function release(store: FakeStore, { key, object }: Found, isReleased: (owner: OwnerReference) => boolean): void {
  if (store.get(key)?.metadata.uid !== object.metadata.uid) return;
  const ownerReferences = (object.metadata.ownerReferences ?? []).filter((owner) => !isReleased(owner));
  const patch = { metadata: { ownerReferences: ownerReferences.length === 0 ? null : ownerReferences } };
  store.merge(key, patch, MANAGER);
}

function finalize(store: FakeStore, key: StoreKey, finalizer: string): void {
  const left = (store.get(key)?.metadata.finalizers ?? []).filter((it) => it !== finalizer);
  store.merge(key, { metadata: { finalizers: left.length === 0 ? null : left } }, MANAGER);
}
