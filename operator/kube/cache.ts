import type { Clock } from "../../lib/core/clock.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import type { ObjectRef } from "../../lib/kube/paths.ts";
import type { ReflectorFault } from "../../lib/kube/reflector.ts";
import type { KubeObject, ResourceType } from "../../lib/kube/types.ts";
import type { Logger } from "../../lib/node/logger.ts";
import { createInformer, type Informer, type InformerState, type ObjectChange } from "./informer.ts";
import { byName, type IndexFunction, type ObjectIndex } from "./object-index.ts";

/** What to keep in memory. */
export interface CacheSpec<T extends KubeObject = KubeObject> {
  readonly type: ResourceType<T>;
  readonly labelSelector?: string | undefined;
  readonly transform?: ((object: T) => T) | undefined;
  /** By name, for `byIndex`. */
  readonly indexes?: Readonly<Record<string, IndexFunction<T>>> | undefined;
}

/** Reads of one controller: it sees what it declared and nothing that happens to be there for another one. */
export interface CacheView {
  get<T extends KubeObject>(type: ResourceType<T>, namespace: string, name: string): T | undefined;
  list<T extends KubeObject>(
    type: ResourceType<T>,
    namespace: string,
    labels?: Readonly<Record<string, string>>,
  ): readonly T[];
  /** Objects that a declared index has under a key, in all namespaces, in order of namespace and name. */
  byIndex<T extends KubeObject>(type: ResourceType<T>, index: string, key: string): readonly T[];
  /** All objects of a kind, in no order; for resyncs. */
  all<T extends KubeObject>(type: ResourceType<T>): Iterable<T>;
  /** Keeps objects; the same specification of two controllers is one informer. */
  include<T extends KubeObject>(spec: CacheSpec<T>, listener: (change: ObjectChange<T>) => void): void;
}

/** A view whose owner can wait until it shows anything. */
export interface WaitableView extends CacheView {
  /** Resolves when every informer of this view has its first list. */
  whenFilled(): Promise<void>;
  /** Informers without their first list, by name. */
  missing(): readonly string[];
}

/** State of one informer under the name that metrics and probes show. */
export interface NamedInformerState extends InformerState {
  readonly informer: string;
}

/** All informers of the process. */
export interface KubeCache {
  view(): WaitableView;
  /** Starts all informers; returns at once. What is included afterwards is a programmer's error. */
  start(): void;
  /**
   * Resolves when every informer has its first list or is refused one; nobody can tell when a missing kind or right will
   * be there. @throws OperatorError KUBE_UNREACHABLE when one has no answer after `timeoutMs`, ABORTED
   */
  waitForSync(timeoutMs: number, signal?: AbortSignal): Promise<void>;
  /** Takes in the server's answer to a write of ours: the next read is never older than our own write. */
  overlay(type: ResourceType, object: KubeObject): void;
  /** Takes note of a deletion that the server confirmed. */
  overlayDeleted(type: ResourceType, ref: ObjectRef, uid: string): void;
  states(): NamedInformerState[];
  /** Ends all reads. */
  stop(): Promise<void>;
}

export interface CacheOptions {
  readonly client: Pick<KubeClient, "pages" | "watch">;
  /** Empty for the whole cluster. */
  readonly namespaces?: readonly string[];
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly onFault?: (informer: string, fault: ReflectorFault) => void;
  /** See `WatchOptions`. */
  readonly inactivityMs?: number;
}

interface Held {
  readonly name: string;
  readonly spec: CacheSpec;
  readonly informer: Informer;
}

/** How often the wait for the first lists looks again. */
const SYNC_POLL_MS = 20;

/** An empty cache. */
export function createCache(options: CacheOptions): KubeCache {
  const { clock, log } = options;
  const informers: Held[] = [];
  const stopping = new AbortController();
  let running: Promise<unknown> | undefined;

  const hold = (spec: CacheSpec): Held => {
    const found = informers.find(
      (held) =>
        sameType(held.spec.type, spec.type) &&
        held.spec.labelSelector === spec.labelSelector &&
        held.spec.transform === spec.transform,
    );
    if (found !== undefined) return found;
    if (running !== undefined) throw new Error("the cache was started already");
    const name = nameOf(spec);
    const informer = createInformer({
      client: options.client,
      type: spec.type,
      labelSelector: spec.labelSelector,
      namespaces: spec.type.namespaced ? (options.namespaces ?? []) : [],
      transform: spec.transform,
      clock,
      random: options.random,
      log,
      onFault: (fault) => options.onFault?.(name, fault),
      inactivityMs: options.inactivityMs,
    });
    const held = { name, spec, informer };
    informers.push(held);
    return held;
  };

  const ofType = (type: ResourceType): Held[] => informers.filter((held) => sameType(held.spec.type, type));

  return {
    view: () => createView(hold),
    start: () => {
      running ??= Promise.all(informers.map((held) => held.informer.run(stopping.signal)));
    },
    waitForSync: async (timeoutMs, signal) => {
      const endsAt = clock.monotonic() + timeoutMs;
      for (;;) {
        const missing = informers.filter(({ informer }) => isUnanswered(informer)).map((held) => held.name);
        if (missing.length === 0) return;
        if (signal?.aborted) throw new OperatorError("ABORTED", "stopped while the caches were filled");
        if (clock.monotonic() >= endsAt) {
          throw new OperatorError("KUBE_UNREACHABLE", `no list of ${missing.join(", ")} within ${timeoutMs / 1000} s`);
        }
        await clock.sleep(SYNC_POLL_MS, signal);
      }
    },
    overlay: (type, object) => {
      for (const held of ofType(type)) held.informer.overlay(object);
    },
    overlayDeleted: (type, ref, uid) => {
      for (const held of ofType(type)) held.informer.overlayDeleted(ref.namespace ?? "", ref.name, uid);
    },
    states: () => informers.map((held) => ({ informer: held.name, ...held.informer.state() })),
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}

function isUnanswered(informer: Informer): boolean {
  const { synced, refused } = informer.state();
  return !synced && refused === undefined;
}

function createView(hold: (spec: CacheSpec) => Held): WaitableView {
  const mine: Held[] = [];
  /** By kind and name of the index: one for each informer that declares it. */
  const indexes = new Map<string, ObjectIndex<KubeObject>[]>();
  const storesOf = <T extends KubeObject>(type: ResourceType<T>): Informer<T>["store"][] => {
    const stores = mine.filter((held) => sameType(held.spec.type, type)).map((held) => held.informer.store);
    if (stores.length === 0) throw new Error(`${type.kind} is read but not watched by this controller`);
    return stores as unknown as Informer<T>["store"][];
  };
  return {
    get: (type, namespace, name) => {
      for (const store of storesOf(type)) {
        const object = store.get(namespace, name);
        if (object !== undefined) return object;
      }
      return undefined;
    },
    list: <T extends KubeObject>(
      type: ResourceType<T>,
      namespace: string,
      labels?: Readonly<Record<string, string>>,
    ) => {
      const stores = storesOf(type);
      if (stores.length === 1) return stores[0]?.list(namespace, labels) ?? [];
      return merged(stores.map((store) => store.list(namespace, labels)));
    },
    byIndex: <T extends KubeObject>(type: ResourceType<T>, index: string, key: string) => {
      const found = indexes.get(indexId(type, index));
      if (found === undefined) throw new Error(`${type.kind} has no index "${index}" for this controller`);
      if (found.length === 1) return (found[0]?.get(key) ?? []) as T[];
      return merged(found.map((one) => one.get(key) as T[]));
    },
    *all(type) {
      for (const store of storesOf(type)) yield* store.all();
    },
    whenFilled: async () => void (await Promise.all(mine.map(({ informer }) => informer.firstList))),
    missing: () => mine.filter(({ informer }) => !informer.state().synced).map(({ name }) => name),
    include: (spec, listener) => {
      const held = hold(spec as unknown as CacheSpec);
      if (!mine.includes(held)) mine.push(held);
      for (const [name, keysOf] of Object.entries(spec.indexes ?? {})) {
        const index = held.informer.index(keysOf);
        const declared = indexes.get(indexId(spec.type, name)) ?? [];
        if (!declared.includes(index)) indexes.set(indexId(spec.type, name), [...declared, index]);
      }
      held.informer.subscribe(listener as unknown as (change: ObjectChange<KubeObject>) => void);
    },
  };
}

/** Two selectors may keep the same object. */
function merged<T extends KubeObject>(lists: readonly (readonly T[])[]): T[] {
  const byId = new Map<string, T>();
  for (const object of lists.flat()) byId.set(`${object.metadata.namespace ?? ""}/${object.metadata.name}`, object);
  return [...byId.values()].sort(byName);
}

function indexId({ group, plural }: ResourceType, index: string): string {
  return `${group}/${plural}/${index}`;
}

function sameType(a: ResourceType, b: ResourceType): boolean {
  return a.group === b.group && a.version === b.version && a.plural === b.plural;
}

function nameOf(spec: CacheSpec): string {
  const plural = spec.type.group === "" ? spec.type.plural : `${spec.type.plural}.${spec.type.group}`;
  return spec.labelSelector === undefined ? plural : `${plural}{${spec.labelSelector}}`;
}
