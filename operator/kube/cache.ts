import type { Clock } from "../../lib/core/clock.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import type { ObjectRef } from "../../lib/kube/paths.ts";
import type { ReflectorFault } from "../../lib/kube/reflector.ts";
import type { KubeObject, ResourceType } from "../../lib/kube/types.ts";
import type { Logger } from "../../lib/node/logger.ts";
import {
  type Availability,
  createInformer,
  type Informer,
  type InformerState,
  type ObjectChange,
  type Restores,
} from "./informer.ts";
import { createKindProbe, type KindProbe } from "./kind-probe.ts";
import type { IndexFunction } from "./object-index.ts";
import { createOneAnswer, type OneAnswer } from "./one-answer.ts";
import { labelMatcher } from "./selectors.ts";

/** What to keep in memory. */
export interface CacheSpec<T extends KubeObject = KubeObject> {
  readonly type: ResourceType<T>;
  readonly labelSelector?: string | undefined;
  readonly transform?: ((object: T) => T) | undefined;
  /** By name, for `byIndex`. */
  readonly indexes?: Readonly<Record<string, IndexFunction<T>>> | undefined;
  /** See `Watch.optional`. */
  readonly optional?: boolean | undefined;
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
  /** Whether objects of this kind in this namespace can be read; "" for kinds that lie in none. */
  availability(type: ResourceType, namespace: string): Availability;
  /**
   * Keeps objects; the same specification of two controllers is one informer.
   * @param onAvailability an optional kind has come, or has gone with its objects, after the first answer
   */
  include<T extends KubeObject>(
    spec: CacheSpec<T>,
    listener: (change: ObjectChange<T>) => void,
    onAvailability?: () => void,
  ): void;
}

/** A view whose owner can wait until it shows anything. */
export interface WaitableView extends CacheView {
  /** Resolves when every informer of this view has its first list. */
  whenFilled(): Promise<void>;
  /** Informers without their first list, by name. */
  missing(): readonly string[];
  /** Everything that this view reads of a namespace is in memory. */
  isFilled(namespace: string): boolean;
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
   * be there. Optional ones are waited for by those alone that watch them. @throws OperatorError KUBE_UNREACHABLE when one has no answer after `timeoutMs`, ABORTED
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
  /** A watched namespace may not be read by any informer, or can be read again by all of them. */
  readonly onNamespace?: (namespace: string, what: "away" | "back") => void;
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
  const restores = new Map<string, Restores>();
  const probes = new Map<string, KindProbe>();
  const stopping = new AbortController();
  let running: Promise<unknown> | undefined;

  /** By namespace: the informers that are refused it, and whether that was told. */
  const absences = new Map<string, { readonly informers: Set<string>; isTold: boolean }>();
  const noteNamespace = (namespace: string, informer: string, what: "away" | "back"): void => {
    const absence = absences.get(namespace) ?? { informers: new Set<string>(), isTold: false };
    absences.set(namespace, absence);
    if (what === "away") absence.informers.add(informer);
    else absence.informers.delete(informer);
    const isAway = informers.every(
      ({ name, spec }) => !spec.type.namespaced || spec.optional === true || absence.informers.has(name),
    );
    const isBack = absence.informers.size === 0;
    if (absence.isTold ? !isBack : !isAway) return;
    absence.isTold = isAway;
    options.onNamespace?.(namespace, isAway ? "away" : "back");
  };

  const restoresOf = (type: ResourceType): Restores => {
    const id = kindId(type);
    const known = restores.get(id) ?? { latest: 0 };
    restores.set(id, known);
    return known;
  };
  const probeOf = (type: ResourceType): KindProbe => {
    const id = kindId(type);
    const known = probes.get(id) ?? createKindProbe(type, options);
    probes.set(id, known);
    return known;
  };

  const hold = (spec: CacheSpec): Held => {
    const found = informers.find(
      (held) =>
        sameType(held.spec.type, spec.type) &&
        held.spec.labelSelector === spec.labelSelector &&
        held.spec.transform === spec.transform &&
        (held.spec.optional === true) === (spec.optional === true),
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
      // What is optional says nothing about a namespace.
      ...(spec.optional === true
        ? { probe: probeOf(spec.type) }
        : { onNamespace: (namespace, what) => noteNamespace(namespace, name, what) }),
      restores: restoresOf(spec.type),
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
  const { synced, refused, optional } = informer.state();
  return !synced && refused === undefined && !optional;
}

/** What a view holds of one kind. */
interface HeldKind {
  /** In the order of the watches. */
  readonly informers: Informer[];
  readonly answer: OneAnswer<KubeObject>;
  /** By name. */
  readonly indexes: Map<string, DeclaredIndex[]>;
}

/** One watch's word for an index: it covers what this watch selects. */
interface DeclaredIndex {
  readonly keysOf: IndexFunction;
  readonly informer: Informer;
  readonly selects: (object: KubeObject) => boolean;
}

function createView(hold: (spec: CacheSpec) => Held): WaitableView {
  const mine: Held[] = [];
  const kinds = new Map<string, HeldKind>();
  const find = (type: ResourceType): HeldKind => {
    const kind = kinds.get(kindId(type));
    if (kind === undefined) throw new Error(`${type.kind} is read but not watched by this controller`);
    return kind;
  };
  const open = (type: ResourceType): HeldKind => {
    const informers: Informer[] = [];
    const kind = { informers, answer: createOneAnswer(informers), indexes: new Map<string, DeclaredIndex[]>() };
    kinds.set(kindId(type), kind);
    return kind;
  };
  return {
    get: <T extends KubeObject>(type: ResourceType<T>, namespace: string, name: string) => {
      const { informers, answer } = find(type);
      const source = informers.length === 1 ? informers[0]?.store : answer;
      return source?.get(namespace, name) as T | undefined;
    },
    list: <T extends KubeObject>(
      type: ResourceType<T>,
      namespace: string,
      labels?: Readonly<Record<string, string>>,
    ) => {
      const { informers, answer } = find(type);
      if (informers.length === 1) return (informers[0]?.store.list(namespace, labels) ?? []) as T[];
      return answer.current(informers.flatMap(({ store }) => store.list(namespace, labels))) as T[];
    },
    byIndex: <T extends KubeObject>(type: ResourceType<T>, index: string, key: string) => {
      const { informers, answer, indexes } = find(type);
      const declared = indexes.get(index);
      if (declared === undefined) throw new Error(`${type.kind} has no index "${index}" for this controller`);
      const [first, ...others] = declared;
      if (informers.length === 1 && others.length === 0)
        return (first?.informer.index(first.keysOf).get(key) ?? []) as T[];
      // The newest version of an object may be held by an informer whose watch did not declare the index.
      const candidates = declared.flatMap(({ keysOf, selects }) =>
        informers.flatMap((informer) => informer.index(keysOf).get(key).filter(selects)),
      );
      return answer.current(candidates) as T[];
    },
    *all<T extends KubeObject>(type: ResourceType<T>) {
      const { informers, answer } = find(type);
      const [first] = informers;
      if (informers.length === 1) yield* (first?.store.all() ?? []) as Iterable<T>;
      else yield* answer.current(informers.flatMap(({ store }) => [...store.all()])) as T[];
    },
    availability: (type, namespace) =>
      find(type)
        .informers.map((informer) => informer.availability(namespace))
        .find((availability) => availability !== "served") ?? "served",
    whenFilled: async () => void (await Promise.all(mine.map(({ informer }) => informer.firstList))),
    isFilled: (namespace) => mine.every(({ informer }) => informer.isFilled(namespace)),
    missing: () => mine.filter(({ informer }) => !informer.state().synced).map(({ name }) => name),
    include: (spec, listener, onAvailability) => {
      const isOptional = spec.optional === true;
      if (kinds.get(kindId(spec.type))?.informers.some((informer) => informer.state().optional !== isOptional))
        throw new Error(`${spec.type.kind} is watched as optional and as needed by one controller`);
      const held = hold(spec as unknown as CacheSpec);
      const { informer } = held;
      if (!mine.includes(held)) mine.push(held);
      const { informers, indexes } = kinds.get(kindId(spec.type)) ?? open(spec.type);
      if (!informers.includes(informer)) informers.push(informer);
      const matches = labelMatcher(spec.labelSelector);
      for (const [name, keysOf] of Object.entries(spec.indexes ?? {})) {
        const declared = {
          keysOf: keysOf as IndexFunction,
          informer,
          selects: ({ metadata }: KubeObject) => matches(metadata.labels),
        };
        informer.index(declared.keysOf);
        const known = indexes.get(name) ?? [];
        const isKnown = known.some((other) => other.informer === informer && other.keysOf === keysOf);
        if (!isKnown) indexes.set(name, [...known, declared]);
      }
      informer.subscribe(listener as unknown as (change: ObjectChange<KubeObject>) => void);
      if (onAvailability !== undefined) informer.onAvailability(onAvailability);
    },
  };
}

function kindId({ group, version, plural }: ResourceType): string {
  return `${group}/${version}/${plural}`;
}

function sameType(a: ResourceType, b: ResourceType): boolean {
  return a.group === b.group && a.version === b.version && a.plural === b.plural;
}

function nameOf(spec: CacheSpec): string {
  const plural = spec.type.group === "" ? spec.type.plural : `${spec.type.plural}.${spec.type.group}`;
  return spec.labelSelector === undefined ? plural : `${plural}{${spec.labelSelector}}`;
}
