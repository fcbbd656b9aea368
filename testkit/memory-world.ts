import { KINDS } from "../crds/kinds.ts";
import { createManualClock, type ManualClock } from "../lib/core/manual-clock.ts";
import { deepFreeze } from "../lib/core/objects.ts";
import type { KubeClient } from "../lib/kube/client.ts";
import { type KubeObject, RESOURCES, type ResourceType } from "../lib/kube/types.ts";
import { silentLogger } from "../lib/node/logger.ts";
import { type Applier, createApplier } from "../operator/kube/apply.ts";
import { createEventRecorder } from "../operator/kube/events.ts";
import type { Availability } from "../operator/kube/informer.ts";
import type { IndexFunction } from "../operator/kube/object-index.ts";
import { createStatusWriter, type StatusWriter } from "../operator/kube/status.ts";
import { createExecutor } from "../operator/runtime/execute.ts";
import type { Action, CacheReader, ReconcileContext, Watch } from "../operator/runtime/types.ts";
import type { FakeStore } from "./fake/store-types.ts";
import { storeKey } from "./fake-kube.ts";
import { createMemoryServer } from "./memory-server.ts";
import { WIDGET } from "./widget.ts";

/**
 * A tiny Kubernetes in memory, for stories of one resource: the store of the fake API server, and before it the operator's
 * own client, applier, executor, status writer and event recorder, so that hashes, ownership of fields, drift and name
 * conflicts are the real ones. It has one namespace, no lag, no queue and no garbage collector, and its memory shows what
 * no watch asked for: tests about those run on `startFakeKube` or the real API server.
 */
export interface MemoryWorld {
  readonly clock: ManualClock;
  readonly cache: CacheReader;
  /** What a reconcile gets. */
  readonly context: ReconcileContext;
  /** Rises with every change. */
  revision(): number;
  /** Puts an object as some other client would, whose the fields are from then on; uid, times and status as given. */
  put(object: KubeObject): void;
  /** Changes an object as some other client would; `undefined` from the change deletes it. */
  edit(kind: string, name: string, change: (object: KubeObject) => KubeObject | undefined): void;
  /** Marks an object as deleted, as `kubectl delete` does: it is gone once no finalizer holds it. */
  markDeleted(kind: string, name: string): void;
  find(kind: string, name: string): KubeObject | undefined;
  /** All objects of a kind in name order. */
  all(kind: string): readonly KubeObject[];
  /** What plans and statuses changed since the last call, one line a write. */
  takeTranscript(): string[];
  /** Takes a kind of an optional watch away with its objects, as memory shows it, or brings it back. */
  setAvailability(kind: string, availability: Availability): void;
  /** Steps of plans on this kind and name fail with the error: the next one, or all until `undefined` is given. */
  fail(kind: string, name: string, error: Error | undefined, how?: "once" | "always"): void;
}

export interface MemoryWorldOptions {
  readonly namespace: string;
  /** Indexes of the controller, by name. */
  readonly indexes?: Readonly<Record<string, IndexFunction<never>>> | undefined;
  /** The controller's watches, for what their `transform` leaves in memory. */
  readonly watches?: readonly Watch[];
  /** Kinds whose deletion somebody else has to carry out: they stay, marked, until `edit` takes them away. */
  readonly lingering?: readonly string[];
  /** Width to which the transcript pads the verbs; 0 unless told. */
  readonly verbWidth?: number;
}

/** Holds a lingering object. */
const LINGERS = "kubelet";
/** Field manager of whatever the test says that others do. */
const OTHERS = "somebody-else";
const TYPES = new Map(
  [...Object.values(RESOURCES), ...KINDS.map(({ type }) => type as ResourceType), WIDGET as ResourceType].map(
    (type): [string, ResourceType] => [type.kind, type],
  ),
);

export function createMemoryWorld(options: MemoryWorldOptions): MemoryWorld {
  const { namespace, indexes = {}, lingering = [] } = options;
  const clock = createManualClock();
  const server = createMemoryServer(clock);
  const { store } = server;
  const client = lingeringClient(server.client, { store, kinds: lingering });
  const absent = new Map<string, Availability>();
  const cache = cacheOf(store, { namespace, indexes, absent, watches: options.watches ?? [] });
  const failures = createFailures();
  const transcript: string[] = [];

  const fence = (): void => undefined;
  // Reads never lag behind, so there is nothing to lay over them.
  const overlays = { overlay: () => undefined, overlayDeleted: () => undefined };
  const writing = { client, cache: overlays, view: cache, fence };
  const applier = createApplier({ ...writing, clock, isWatched: () => true, typeOf: ({ kind }) => typeOf(kind) });
  const recorder = createEventRecorder({
    client,
    reportingController: "shieldx.dev/story",
    reportingInstance: "story",
    fence,
    clock,
    log: silentLogger,
  });
  const execute = createExecutor({
    applier: failing(applier, failures.meet),
    recorder,
    onAction: (action, result) => {
      if (result === "written") transcript.push(textOf(action, options.verbWidth ?? 0));
    },
  });
  const statusWriters = new Map<string, StatusWriter>();
  const statusWriterOf = (kind: string): StatusWriter => {
    const known = statusWriters.get(kind) ?? createStatusWriter({ ...writing, type: typeOf(kind) });
    statusWriters.set(kind, known);
    return known;
  };

  const { signal } = new AbortController();
  const context: ReconcileContext = {
    cache,
    live: { list: (type, how) => server.client.list(type, how) },
    clock,
    log: silentLogger,
    signal,
    epoch: 1,
    fence,
    execute: (owner, plan) => execute({ owner, plan, signal, log: silentLogger }),
    statedStatus: (owner) => (owner["status"] ?? {}) as Readonly<Record<string, unknown>>,
    patchStatus: async (owner, status) => {
      if ((await statusWriterOf(owner.kind).write(owner, status, signal)) === "written") transcript.push("status");
    },
  };

  const keyOf = (kind: string, name: string) => storeKey(typeOf(kind), namespace, name);
  const find = (kind: string, name: string) => cache.get(typeOf(kind), namespace, name);
  const put = (object: KubeObject): void => void store.put(keyOf(object.kind, object.metadata.name), object, OTHERS);

  return {
    clock,
    cache,
    context,
    edit: (kind, name, change) => {
      const before = find(kind, name);
      if (before === undefined) throw new Error(`${kind} ${name} does not exist`);
      const after = change(structuredClone(before));
      // Gone at once, whoever holds it.
      put(after ?? { ...before, metadata: { ...before.metadata, deletionTimestamp: "now", finalizers: [] } });
    },
    revision: () => store.version(),
    put,
    markDeleted: (kind, name) => void store.remove(keyOf(kind, name), {}),
    find,
    all: (kind) => cache.list(typeOf(kind), namespace),
    takeTranscript: () => transcript.splice(0),
    setAvailability: (kind, availability) => void absent.set(kind, availability),
    fail: failures.set,
  };
}

/** @throws Error for a kind that neither Kubernetes' nor ours is */
function typeOf(kind: string): ResourceType {
  const type = TYPES.get(kind);
  if (type === undefined) throw new Error(`${kind} is no kind that this world knows`);
  return type;
}

/** What informers would hold, without lag: objects without their bookkeeping, frozen. */
function cacheOf(
  store: FakeStore,
  how: Pick<MemoryWorldOptions, "watches" | "namespace"> & {
    readonly indexes: Readonly<Record<string, IndexFunction<never>>>;
    readonly absent: ReadonlyMap<string, Availability>;
  },
): CacheReader {
  const { indexes, absent, watches = [] } = how;
  // As for an operator of this one namespace.
  const isForeign = ({ namespaced }: ResourceType, namespace: string): boolean =>
    namespaced && namespace !== how.namespace;
  const transforms = new Map(watches.map(({ resource, transform }) => [resource.kind, transform]));
  const availability = ({ kind }: ResourceType): Availability => absent.get(kind) ?? "served";
  const shown = new WeakMap<KubeObject, KubeObject>();
  const show = (object: KubeObject): KubeObject => {
    const known = shown.get(object);
    if (known !== undefined) return known;
    const { managedFields: _bulk, ...metadata } = object.metadata;
    const kept = { ...object, metadata };
    const slim = deepFreeze(transforms.get(object.kind)?.(kept) ?? kept);
    shown.set(object, slim);
    return slim;
  };
  const listOf = (type: ResourceType, namespace: string | undefined): readonly KubeObject[] =>
    availability(type) === "served" ? store.list(storeKey(type, "", "").collection, namespace).map(show) : [];
  return {
    availability: (type, namespace) => (isForeign(type, namespace) ? "forbidden" : availability(type)),
    get: <T extends KubeObject>(type: ResourceType<T>, namespace: string, name: string) => {
      const found = availability(type) === "served" ? store.get(storeKey(type, namespace, name)) : undefined;
      return found && (show(found) as T);
    },
    list: <T extends KubeObject>(type: ResourceType<T>, namespace: string, labels = {}) =>
      listOf(type, namespace).filter(({ metadata }) =>
        Object.entries(labels).every(([label, value]) => metadata.labels?.[label] === value),
      ) as T[],
    byIndex: <T extends KubeObject>(type: ResourceType<T>, index: string, key: string) =>
      listOf(type, undefined).filter((object) => indexes[index]?.(object as never).includes(key)) as T[],
  };
}

/** A client whose deletions somebody else has to carry out, for these kinds. */
function lingeringClient(
  client: KubeClient,
  { store, kinds }: { readonly store: FakeStore; readonly kinds: readonly string[] },
): KubeClient {
  return {
    ...client,
    delete: async (type, ref, how) => {
      const key = storeKey(type, ref.namespace ?? "", ref.name);
      const live = store.get(key);
      if (live !== undefined && kinds.includes(type.kind)) {
        store.put(key, { ...live, metadata: { ...live.metadata, finalizers: [LINGERS] } }, LINGERS);
      }
      return client.delete(type, ref, how);
    },
  };
}

interface Failures {
  readonly set: MemoryWorld["fail"];
  /** @throws the error that was set for the object */
  readonly meet: (kind: string, name: string) => void;
}

function createFailures(): Failures {
  const failures = new Map<string, { readonly error: Error; readonly how: "once" | "always" }>();
  return {
    set: (kind, name, error, how = "always") => {
      if (error === undefined) failures.delete(`${kind}/${name}`);
      else failures.set(`${kind}/${name}`, { error, how });
    },
    meet: (kind, name) => {
      const failure = failures.get(`${kind}/${name}`);
      if (failure?.how === "once") failures.delete(`${kind}/${name}`);
      if (failure !== undefined) throw failure.error;
    },
  };
}

/** An applier that meets the failures of a story before it does anything. */
function failing(applier: Applier, meet: Failures["meet"]): Applier {
  return {
    apply: async (owner, object, signal) => {
      meet(object.kind, object.metadata.name);
      return applier.apply(owner, object, signal);
    },
    handOver: async (owner, object, signal) => {
      meet(object.kind, object.metadata.name);
      return applier.handOver(owner, object, signal);
    },
    create: async (owner, object, signal) => {
      meet(object.kind, object.metadata.name);
      return applier.create(owner, object, signal);
    },
    remove: async (target, signal) => {
      meet(target.resource.kind, target.name);
      return applier.remove(target, signal);
    },
    patch: async (target, signal) => {
      meet(target.resource.kind, target.name);
      return applier.patch(target, signal);
    },
  };
}

function textOf(action: Action, verbWidth: number): string {
  const verb = action.type.padEnd(verbWidth);
  if (action.type === "event") return `${verb} ${action.eventType} ${action.reason}: ${action.note}`;
  const { kind, name } =
    "object" in action
      ? { kind: action.object.kind, name: action.object.metadata.name }
      : { kind: action.resource.kind, name: action.name };
  return `${verb} ${kind} ${name}: ${action.note}`;
}
