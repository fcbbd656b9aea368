import type { KubeObject } from "../../lib/kube/types.ts";

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

/** Who writes, and through what. */
export interface WriteHow {
  /** The field manager. */
  readonly manager: string;
  readonly subresource?: string | undefined;
  /** Answers as if, and stores nothing. */
  readonly dryRun?: boolean;
}

export interface ApplyHow extends WriteHow {
  readonly force: boolean;
}

/** Which object a deletion means, and what becomes of its dependents. */
export interface RemoveHow {
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  /** `Background` unless told. Without the garbage collector nothing happens to dependents, and a finalizer stays. */
  readonly propagation?: "Background" | "Foreground" | "Orphan" | undefined;
  readonly dryRun?: boolean;
}

/**
 * Objects, their versions and who owns which field: an API server without HTTP. All methods that write throw a
 * `StatusError` in the real server's words, and then nothing has changed.
 */
export interface FakeStore {
  /** The version of the last change. */
  version(): number;
  get(key: StoreKey): KubeObject | undefined;
  /** In name order. @param namespace all when left out */
  list(collection: string, namespace: string | undefined): KubeObject[];
  /** With `metadata.generateName` and an empty name, the name is made up. @param how a string is the field manager */
  create(key: StoreKey, object: KubeObject, how: string | WriteHow): KubeObject;
  replace(key: StoreKey, object: KubeObject, how: WriteHow): KubeObject;
  /**
   * Makes it so, whatever is there: for tests that say what somebody did. Unlike a request it also sets status, uid, times
   * and deletion as they are given. @returns `undefined` when nothing holds an object that is marked as deleted
   */
  put(key: StoreKey, object: KubeObject, manager: string): KubeObject | undefined;
  /** JSON merge patch, RFC 7386. */
  merge(key: StoreKey, patch: unknown, how: WriteHow): KubeObject;
  /** JSON patch, RFC 6902. */
  patch(key: StoreKey, operations: unknown, how: WriteHow): KubeObject;
  /** Server-side apply. */
  apply(key: StoreKey, object: KubeObject, how: ApplyHow): KubeObject;
  /** @returns the object when finalizers hold it */
  remove(key: StoreKey, how: RemoveHow): KubeObject | undefined;
  /** Changes after a version; `undefined` when they were compacted away. */
  since(version: number): readonly StoreEvent[] | undefined;
  /** Forgets all past changes. */
  compact(): void;
  /** Called after each change. @returns a function that ends it */
  subscribe(listener: (event: StoreEvent) => void): () => void;
  /** All objects of all kinds with their keys. */
  all(): readonly { readonly key: StoreKey; readonly object: KubeObject }[];
}
