import type { Clock } from "../../lib/core/clock.ts";
import type { PaceLimits } from "../../lib/core/pace.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import type { KubeObject, ObjectIdentity, ResourceType } from "../../lib/kube/types.ts";
import type { Logger } from "../../lib/node/logger.ts";
import type { Availability } from "../kube/informer.ts";
import type { IndexFunction } from "../kube/object-index.ts";

/** Names one object of the reconciled kind. It does not say what happened, so no decision can depend on that. */
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
  /** Objects of all namespaces that an index of a watch has under a key, in order of namespace and name. */
  byIndex<T extends KubeObject>(type: ResourceType<T>, index: string, key: string): readonly T[];
  /**
   * Whether the kind of a watch can be read in this namespace ("" for kinds that lie in none). Other than `served` only for
   * optional watches: `missing`, the server has no such kind; `forbidden`, it does not let us list it. What is not served
   * looks like a kind without objects; ask before a sentence says that an object is not there.
   */
  availability(type: ResourceType, namespace: string): Availability;
}

/** What all steps of a plan have. */
interface Step {
  /** Why, with numbers: it becomes the log line, the event and the test's expectation. */
  readonly note: string;
  /**
   * Names of the steps before it (`nameOf` in operator/runtime/actions.ts) without which it is left out; what is made there
   * needs none unless told. Only our finalizer has no list: it needs all before it, and all after it need it.
   */
  readonly needs?: readonly string[];
}

/** A step that writes. `urgent` waits for no other request and for no wish of the server to slow down. */
interface WriteStep extends Step {
  readonly urgent?: true;
}

/** One step of a plan. What is `urgent` is for writes that undo something; one that fails is tried again every 5 s at least. */
export type Action =
  /** Server-side apply of the whole desired object; no write when its hash is unchanged. */
  | (WriteStep & { readonly type: "apply"; readonly object: KubeObject })
  /** Create once; an existing object is left as it is (keys, passwords, claims, maps). */
  | (WriteStep & { readonly type: "create"; readonly object: KubeObject })
  /**
   * Holds fields under another name, as they are: they stay when the next apply leaves them out, for somebody else to change. Fails
   * where they are others by now.
   */
  | (WriteStep & { readonly type: "handOver"; readonly object: KubeObject })
  /**
   * Delete, only the very object that was observed (`uid`); already gone is success. With `resourceVersion` only while
   * nobody has changed it since: for what may become worth keeping at any moment.
   */
  | (WriteStep & { readonly type: "delete"; readonly resourceVersion?: string | undefined } & ObjectIdentity)
  /** Strategic edit of metadata: merge patch, for example to drop an owner reference or a finalizer. */
  | (WriteStep & {
      readonly type: "patch";
      readonly resource: ResourceType;
      readonly namespace: string;
      readonly name: string;
      readonly patch: Readonly<Record<string, unknown>>;
    })
  /** Tell the user once. */
  | (Step & { readonly type: "event"; readonly eventType: "Normal" | "Warning"; readonly reason: string });

/** An action that changes an object. */
export type Write = Exclude<Action, { readonly type: "event" }>;

/** What to do now, in order. A step that fails stops those that need it; what succeeded stays. */
export interface Plan {
  readonly actions: readonly Action[];
  /** Look again after this time even when nothing changes. */
  readonly requeueAfterSeconds?: number;
  /** With these actions something outlives the resource that a deletion must put right: the finalizer goes on before them. */
  readonly holdsDeletion?: boolean;
  /** In the plan of a deletion: with these actions nothing of ours is left, so that the finalizer may go. */
  readonly isCleanedUp?: boolean;
}

/** What became of a plan. */
export interface Outcome {
  /** Actions that changed something on the server. */
  readonly written: number;
  /** What failed: of one step, or of several together (operator/runtime/failures.ts). */
  readonly error?: Error;
  /** Only steps failed, each with a backoff of its own; absent when nothing of the plan could go on. */
  readonly steps?: StepFailures;
}

/** Failures of steps, for which the rest of the resource need not wait. */
export interface StepFailures {
  /** The first of them is to be tried again after this; absent when only another input helps. */
  readonly retryAfterSeconds?: number;
  /** Something failed now; false when all of them wait for their time, and nothing was sent. */
  readonly isNews: boolean;
}

/** What a condition says, before it has a type, a generation and a time. */
export interface Statement<Reason extends string = string> {
  readonly status: "True" | "False" | "Unknown";
  readonly reason: Reason;
  readonly message: string;
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

/** Result of a reconcile that came to its end. */
export interface Result {
  /** Look again after this time even when nothing changes; also after a failure that only another input mends. */
  readonly requeueAfterSeconds?: number;
  /** What kept it from doing all that it wanted; its `retry` says how to go on, as if it had been thrown. */
  readonly error?: Error;
  /** The error is of steps alone: events run the key as after a success, and the steps keep to their own backoff. */
  readonly steps?: StepFailures;
  /** Priority of the next run; the same as of this one unless told, and that of a live event after an urgent one. */
  readonly priority?: Priority;
}

/**
 * Which keys go first: what has to be undone, then what users and the world change now, then what a resync looks at again,
 * then the list of a start. controller-runtime gives -100 to a resync and to a start; here a resync goes before a start.
 *
 * `urgent` is for sources alone. It passes the backoff after a failure and the pace of its key, has one of its own where that is used up
 * (5 runs in a row, then one a second), and a worker that nothing else may hold up. What is left to wait for is a run of the same
 * key that goes on, `deadlineSeconds` at most (docs/adr/0011-pace-of-a-key.md).
 */
export const PRIORITIES = { urgent: 50, live: 0, resync: -50, start: -100 } as const;
export type Priority = (typeof PRIORITIES)[keyof typeof PRIORITIES];

/** What a reconcile may use. */
export interface ReconcileContext {
  readonly cache: CacheReader;
  /**
   * Lists from the server itself, for what no memory is worth: see `operator/runtime/clues.ts`. The kinds have to be in
   * the controller's `reads`.
   */
  readonly live: Pick<KubeClient, "list">;
  readonly clock: Clock;
  readonly log: Logger;
  /** Aborted on stop, on loss of leadership and at the reconcile's deadline. */
  readonly signal: AbortSignal;
  /**
   * The fencing epoch of the operator's Lease (its `leaseTransitions`) when this run began; it only ever grows. For side
   * effects outside of the API server: hand it over with each of them, and let the other side refuse an epoch that is
   * lower than the highest it has seen, for a Lease alone does not keep two writers apart. Writes through this context
   * need nothing of the kind: they ask the fence themselves.
   */
  readonly epoch: number;
  /**
   * Asks at this very moment whether this replica still leads under `epoch`. To be called right before a side effect
   * outside of the API server: the signal may be late when the event loop was blocked.
   * @throws OperatorError LEASE_LOST
   */
  readonly fence: () => void;
  /** Runs a plan's actions on behalf of `owner`. */
  execute(owner: KubeObject, plan: Plan): Promise<Outcome>;
  /** Patches `status` (server-side apply on the status subresource) only when it differs from what the cache holds. */
  patchStatus(owner: KubeObject, status: Readonly<Record<string, unknown>>): Promise<void>;
  /** What we stated in the status of an object from the cache: to state it again, without taking what others say there. */
  statedStatus(owner: KubeObject): Readonly<Record<string, unknown>>;
}

/** True for an update that concerns somebody; see `operator/runtime/predicates.ts` for ready-made ones. */
export type Predicate<T extends KubeObject = KubeObject> = (previous: T, current: T) => boolean;

/** Keys of the reconciled kind that an object concerns; see `operator/runtime/mapping.ts` for ready-made ones. */
export type KeyMap<T extends KubeObject = KubeObject> = (object: T, cache: CacheReader) => readonly Key[];

/** A watch that leads to keys of the reconciled kind. */
export interface Watch<T extends KubeObject = KubeObject> {
  readonly resource: ResourceType<T>;
  /** Only objects with these labels are kept (`key=value`, or `key` for "exists"). */
  readonly labelSelector?: string;
  /**
   * The controller works without the kind: where the server has no such kind (its CRD is not installed) or does not let us
   * list it, the watch shows no objects, and neither workers nor probes wait for it. Within half a minute after the CRD is
   * installed its objects are there (45 s after a right is granted), without a restart; with the CRD they go again. Each
   * time all keys of the controller are looked at again, and `CacheReader.availability` tells. A kind whose lists fail in
   * any other way holds up the workers, as every watch does: what is unknown is not empty. All watches of a kind that lies
   * in no namespace must be optional, for an operator of a few namespaces has no rights on it.
   */
  readonly optional?: true;
  /** Keys that an object concerns. A change asks for both sides, so an object that moves wakes its old and its new owner. */
  keys(object: T, cache: CacheReader): readonly Key[];
  /** Drops what nobody reads before the object is kept, to save memory. */
  transform?(object: T): T;
  /**
   * Keys by which `CacheReader.byIndex` finds objects of this kind, by the name of the index. Each depends on the object
   * alone; it sees what `transform` left.
   */
  readonly indexes?: Readonly<Record<string, IndexFunction<T>>>;
  /**
   * False for an update that concerns nobody, for example the mere renewal of a Lease; the cache still keeps it.
   * Default: every update counts.
   */
  changed?(previous: T, current: T): boolean;
  /**
   * What the controller does to objects of this kind besides reading them (apply is create and patch); nothing unless
   * told. The chart's permissions are printed from it (`operator/permissions.ts`).
   */
  readonly writes?: readonly WriteVerb[];
}

/** What may be done to an object besides reading it. */
export type WriteVerb = "create" | "patch" | "delete";

/** Rights that a Role of the controller's making grants to pods by name: whoever grants them must hold them. */
export interface Grant {
  readonly resource: ResourceType;
  readonly verbs: readonly string[];
}

/** What a source may use. */
export interface SourceContext {
  readonly cache: CacheReader;
  /** As that of a reconcile. */
  readonly live: ReconcileContext["live"];
  /** All objects of the reconciled kind in memory. */
  readonly keys: () => Iterable<Key>;
  /** Asks for a reconcile; as a live event unless told. */
  readonly add: (key: Key, priority?: Priority) => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** Aborted when this replica stops working. */
  readonly signal: AbortSignal;
}

/** Something other than a watch that asks for reconciles: a timer, a channel that code pushes into, another system. */
export interface Source {
  /** For logs; unique in a controller. */
  readonly name: string;
  /**
   * Runs while this replica leads. Resolves when it has nothing more to tell, or after the signal; when it rejects, it is
   * logged and begun again after a while.
   */
  run(context: SourceContext): Promise<void>;
}

/** One kind's controller: what to watch and how to reconcile one key. */
export interface Controller<T extends KubeObject = KubeObject> {
  readonly name: string;
  readonly resource: ResourceType<T>;
  readonly watches: readonly Watch[];
  /** What its Roles grant on; nothing unless told. */
  readonly grants?: readonly Grant[];
  /** Kinds that it lists from the server without watching them; none unless told. */
  readonly reads?: readonly ResourceType[];
  /** Besides the watches; none unless told. */
  readonly sources?: readonly Source[];
  /** Indexes over the kind itself; see `Watch`. */
  readonly indexes?: Readonly<Record<string, IndexFunction<T>>>;
  /** Which updates of the kind itself count; every one unless told. */
  changed?(previous: T, current: T): boolean;
  /** Keys reconciled at once; one more when it is urgent. */
  readonly concurrency: number;
  /** How often one key may run (20 times in a row, then once a second, unless told; docs/adr/0011-pace-of-a-key.md). */
  readonly pace?: PaceLimits | "unbounded";
  /** A reconcile is aborted after this time; 120 unless told. */
  readonly deadlineSeconds?: number;
  reconcile(key: Key, context: ReconcileContext): Promise<Result>;
}
