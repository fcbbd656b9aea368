import type { Clock } from "../../lib/core/clock.ts";
import type { KubeObject, ResourceType } from "../../lib/kube/types.ts";
import type { Logger } from "../../lib/node/logger.ts";

/** Names one object of the reconciled kind. A key carries no event: nothing can depend on the past. */
export interface Key {
  readonly namespace: string;
  readonly name: string;
}

/** Reads from the informers' memory. Objects are frozen and shared: never change them. */
export interface CacheReader {
  get<T extends KubeObject>(type: ResourceType<T>, namespace: string, name: string): T | undefined;
  /** Objects of a namespace whose labels contain `labels`, in name order. */
  list<T extends KubeObject>(
    type: ResourceType<T>,
    namespace: string,
    labels?: Readonly<Record<string, string>>,
  ): readonly T[];
}

/** One step of a plan. The note says why, with numbers: it becomes the log line, the event and the test's expectation. */
export type Action =
  /** Server-side apply of the whole desired object; no write when its hash is unchanged. */
  | { readonly type: "apply"; readonly object: KubeObject; readonly note: string }
  /** Create once; an existing object is left as it is (keys, passwords, claims, maps). */
  | { readonly type: "create"; readonly object: KubeObject; readonly note: string }
  /** Delete, only the very object that was observed (`uid`); already gone is success. */
  | {
      readonly type: "delete";
      readonly resource: ResourceType;
      readonly namespace: string;
      readonly name: string;
      readonly uid: string | undefined;
      readonly note: string;
    }
  /** Strategic edit of metadata: merge patch, for example to drop an owner reference or a finalizer. */
  | {
      readonly type: "patch";
      readonly resource: ResourceType;
      readonly namespace: string;
      readonly name: string;
      readonly patch: Readonly<Record<string, unknown>>;
      readonly note: string;
    }
  /** Tell the user once. */
  | {
      readonly type: "event";
      readonly eventType: "Normal" | "Warning";
      readonly reason: string;
      readonly note: string;
    };

/** What to do now, in order. The executor stops at the first failure and keeps what succeeded. */
export interface Plan {
  readonly actions: readonly Action[];
  /** Look again after this time even when nothing changes. */
  readonly requeueAfterSeconds?: number;
}

/** What became of a plan. */
export interface Outcome {
  /** Actions that changed something on the server. */
  readonly written: number;
  /** The failure that stopped the plan. */
  readonly error?: Error;
}

/** A standard condition (meta/v1). */
export interface Condition {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
  readonly lastTransitionTime: string;
}

/** Result of a reconcile that did not throw. */
export interface Result {
  readonly requeueAfterSeconds?: number;
}

/** What a reconcile may use. */
export interface ReconcileContext {
  readonly cache: CacheReader;
  readonly clock: Clock;
  readonly log: Logger;
  /** Aborted on stop, on loss of leadership and at the reconcile's deadline. */
  readonly signal: AbortSignal;
  /** Runs a plan's actions on behalf of `owner`. */
  execute(owner: KubeObject, plan: Plan): Promise<Outcome>;
  /** Patches `status` (server-side apply on the status subresource) only when it differs from what the cache holds. */
  patchStatus(owner: KubeObject, status: Readonly<Record<string, unknown>>): Promise<void>;
}

/** A watch that leads to keys of the reconciled kind. */
export interface Watch<T extends KubeObject = KubeObject> {
  readonly resource: ResourceType<T>;
  /** Only objects with these labels are kept (`key=value`, or `key` for "exists"). */
  readonly labelSelector?: string;
  /** Keys that an object concerns. The old object is given on updates and deletions. */
  readonly keys: (object: T, cache: CacheReader) => readonly Key[];
  /** Drops what nobody reads before the object is kept, to save memory. */
  readonly transform?: (object: T) => T;
  /**
   * False for an update that concerns nobody, for example the mere renewal of a Lease; the cache still keeps it.
   * Default: every update counts.
   */
  readonly changed?: (previous: T, current: T) => boolean;
}

/** One kind's controller: what to watch and how to reconcile one key. */
export interface Controller<T extends KubeObject = KubeObject> {
  readonly name: string;
  readonly resource: ResourceType<T>;
  readonly watches: readonly Watch[];
  /** Keys reconciled at once. */
  readonly concurrency: number;
  reconcile(key: Key, context: ReconcileContext): Promise<Result>;
}
