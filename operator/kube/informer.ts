import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../lib/core/clock.ts";
import { type OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { createReflector, type Reflector, type ReflectorFault, type ReflectorSink } from "../../lib/kube/reflector.ts";
import type { KubeObject, ResourceType } from "../../lib/kube/types.ts";
import { compareVersions } from "../../lib/kube/versions.ts";
import type { Logger } from "../../lib/node/logger.ts";
import { createAbsenceTeller } from "./absence.ts";
import { createCompactor } from "./compact.ts";
import type { KindProbe } from "./kind-probe.ts";
import type { IndexFunction, ObjectIndex } from "./object-index.ts";
import { labelMatcher } from "./selectors.ts";
import { noteStatedStatus } from "./stated-status.ts";
import { createStore, type ObjectStore } from "./store.ts";

/*
 * The memory of one collection. Three sources write into it, and none may take it back in time:
 *
 *   list    the whole truth at a version; what is missing and older than the list was deleted
 *   watch   one change after the other; older than what is held means: an echo of the past, dropped
 *   ours    the server's answer to a write of ours (`overlay`), so that the next reconcile sees what we wrote
 */

/** What became of one object. Both sides are frozen. */
export interface ObjectChange<T extends KubeObject> {
  readonly before: T | undefined;
  readonly after: T | undefined;
  /** Part of the first list: news to us, not to the world. */
  readonly initial: boolean;
}

export interface InformerOptions<T extends KubeObject> {
  readonly client: Pick<KubeClient, "pages" | "watch">;
  readonly type: ResourceType<T>;
  readonly labelSelector: string | undefined;
  /** One reflector each; empty for the whole cluster. */
  readonly namespaces: readonly string[];
  readonly transform: ((object: T) => T) | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly onFault: (fault: ReflectorFault) => void;
  /** Restores of the server, counted together by all informers of the kind. */
  readonly restores: Restores;
  readonly inactivityMs?: number | undefined;
  /** Where it reads namespace by namespace: one may not be read, or can be read again. */
  readonly onNamespace?: ((namespace: string, what: "away" | "back") => void) | undefined;
  /** The kind is optional: where the server has none, or does not let us read it, there are no objects. See `kind-probe.ts`. */
  readonly probe?: KindProbe | undefined;
}

/**
 * Whether a kind can be read: `missing` when the server has no such kind, `forbidden` when it does not let us read it, or when
 * the operator serves other namespaces alone. Both
 * stay until another answer comes, also while the server does not answer.
 */
export type Availability = "served" | "missing" | "forbidden";

/** A number that all informers of one kind share: how often the server was found to be older than before. */
export interface Restores {
  latest: number;
}

/** What one namespace shows, or the whole cluster. */
export interface InformerPart {
  /** `undefined`: the whole cluster. */
  readonly namespace: string | undefined;
  readonly synced: boolean;
  /** Why the server refuses it, now. */
  readonly refused: OperatorError | undefined;
  /** Milliseconds since the last sign of life. */
  readonly silentMs: number;
}

/** For health and metrics. A namespace that is refused counts in the sums only when all are. */
export interface InformerState {
  readonly synced: boolean;
  /** Why the server refuses it; `undefined` while any part of what is missing still waits for an answer. */
  readonly refused: OperatorError | undefined;
  /** Milliseconds since the last sign of life, of the most silent reflector. */
  readonly silentMs: number;
  /** One for each reflector. */
  readonly parts: readonly InformerPart[];
  readonly relists: number;
  /** The controllers do without it, as long as it is not served. */
  readonly optional: boolean;
  /** False while all of it is missing or forbidden. */
  readonly served: boolean;
  /** Changes after the first list that only another list showed: no watch told of them. */
  readonly missed: number;
  readonly objects: number;
}

/** Keeps the objects of one kind and selector; serves reads, tells changes. */
export interface Informer<T extends KubeObject = KubeObject> {
  readonly store: Pick<ObjectStore<T>, "get" | "list" | "all">;
  /** Objects by the keys of a function; the same function twice is one index. A function that throws finds nothing. */
  index(keysOf: IndexFunction<T>): ObjectIndex<T>;
  /** Called for every change of content from now on. */
  subscribe(listener: (change: ObjectChange<T>) => void): void;
  /** Called when an optional kind has come, or has gone with its objects, after the first answer. */
  onAvailability(listener: () => void): void;
  /** In this namespace. */
  availability(namespace: string): Availability;
  /** Resolves with the first list, of each namespace that may be read; of an optional kind also when there is none. */
  readonly firstList: Promise<undefined>;
  /** Everything in this namespace is in memory; of an optional kind also when there is nothing to be had. */
  isFilled(namespace: string): boolean;
  /** Reads until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Takes in the server's answer to a write of ours. */
  overlay(object: T): void;
  /** Takes note that an object is gone for good. */
  overlayDeleted(namespace: string, name: string, uid: string): void;
  /** True when this very object is known to be gone, whoever else still holds it; see `one-answer.ts`. */
  knowsEnd(object: T): boolean;
  /** Restores of the server that this memory of a namespace has been through, as its kind counts them. */
  rewinds(namespace: string): number;
  state(): InformerState;
}

/** Ends that are remembered: more than can happen while the answer to one write is on its way. */
const GONE_MAX = 4_096;

/** Nothing is read before `run`. */
export function createInformer<T extends KubeObject>(options: InformerOptions<T>): Informer<T> {
  const { clock, type } = options;
  const matches = labelMatcher(options.labelSelector);
  const partOf = (namespace: string): string | undefined => (options.namespaces.length === 0 ? undefined : namespace);
  const store = createStore<T>();
  const compact = createCompactor();
  const listeners: ((change: ObjectChange<T>) => void)[] = [];
  /**
   * Ends by uid, in their order, with the version at which they were; `undefined` when the server said "gone for good".
   * An answer to a write of ours may arrive after the DELETED event of its object: without this memory the cache would
   * hold that object until the next list. A later version lives: an object that lost our labels and has them again.
   */
  const gone = new Map<string, string | undefined>();
  /** Version of the last list of each reflector, by its namespace. */
  const listedAt = new Map<string | undefined, string>();
  const firstList = Promise.withResolvers<undefined>();
  /** Reflectors whose list is in memory, by their namespace, and those that are refused one. */
  const filled = new Set<string | undefined>();
  const away = new Map<string | undefined, Exclude<Availability, "served">>();
  const isOptional = options.probe !== undefined;
  let isSettled = false;
  /** A namespace that is refused holds up nothing; that all are says that the kind is not there, or not allowed. */
  const settle = (): void => {
    if (filled.size + away.size < reflectors.length || (filled.size === 0 && !isOptional)) return;
    isSettled = true;
    firstList.resolve(undefined);
  };
  const absence = createAbsenceTeller({ type, log: options.log, parts: Math.max(1, options.namespaces.length) });
  const availabilityListeners: (() => void)[] = [];
  const tellAvailability = (): void => {
    if (!isOptional) return;
    absence.tell(away);
    if (isSettled) for (const listener of availabilityListeners) listener();
    settle();
  };
  const remember = (uid: string, version: string | undefined): void => {
    gone.set(uid, version);
    const [oldest] = gone.keys();
    if (gone.size > GONE_MAX && oldest !== undefined) gone.delete(oldest);
  };
  const isGone = (uid: string, version: string | undefined): boolean => {
    const end = gone.get(uid);
    return gone.has(uid) && (end === undefined || (compareVersions(version, end) ?? 1) <= 0);
  };

  /** True for an object that the last list would have shown, had it still been there; its end reached us as an absence. */
  const isUnlisted = ({ metadata }: T): boolean => {
    const { namespace = "", name, uid, resourceVersion } = metadata;
    if (store.get(namespace, name)?.metadata.uid === uid) return false;
    const listVersion = listedAt.get(partOf(namespace));
    return (compareVersions(resourceVersion, listVersion) ?? 1) <= 0;
  };

  /** Restores that each reflector has seen, by its namespace. */
  const rewinds = new Map<string | undefined, number>();
  const noteRewind = (namespace: string | undefined): void => {
    const seen = rewinds.get(namespace) ?? 0;
    const { restores } = options;
    // Whoever is behind the others sees now what they saw; whoever is not is the first to see another one.
    if (seen === restores.latest) restores.latest += 1;
    rewinds.set(namespace, restores.latest);
  };

  const indexes = new Map<IndexFunction<T>, ObjectIndex<T>>();
  /** What a function of a controller throws at one object must not stop the informer. */
  const isolated = <R>(what: string, object: T, otherwise: R, ask: () => R): R => {
    try {
      return ask();
    } catch (error) {
      const { namespace, name } = object.metadata;
      options.log.error({ kind: type.kind, namespace, name, error: toOperatorError(error).message }, `${what} failed`);
      return otherwise;
    }
  };

  const tell = (change: ObjectChange<T>): void => {
    for (const listener of listeners) listener(change);
  };

  let missed = 0;

  /** @returns true when it was news */
  const keep = (raw: T, initial: boolean, rewound = false): boolean => {
    const { namespace = "", name, uid, resourceVersion } = raw.metadata;
    if (uid !== undefined && isGone(uid, resourceVersion)) return false;
    const before = store.get(namespace, name);
    const age = compareVersions(resourceVersion, before?.metadata.resourceVersion);
    // Older: an echo of the past. Equal: the echo of a write whose answer is held already.
    if (before !== undefined && age !== undefined && age <= 0 && !rewound) return false;
    const after = compact(prepare(raw));
    noteStatedStatus(after, raw);
    store.put(after);
    const isNews = before === undefined || !sameContent(before, after);
    if (isNews) tell({ before, after, initial });
    return isNews;
  };

  const drop = (namespace: string, name: string): void => {
    const before = store.get(namespace, name);
    store.remove(namespace, name);
    if (before !== undefined) tell({ before, after: undefined, initial: false });
  };

  const dropUnlisted = (list: {
    readonly namespace: string | undefined;
    readonly listed: ReadonlySet<string>;
    readonly listVersion: string;
    readonly rewound: boolean;
  }): void => {
    for (const held of [...store.all(list.namespace)]) {
      const { namespace = "", name, resourceVersion } = held.metadata;
      if (list.listed.has(`${namespace}/${name}`)) continue;
      // Newer than the list: an object that we made while the list was on its way.
      if (!list.rewound && (compareVersions(resourceVersion, list.listVersion) ?? -1) > 0) continue;
      drop(namespace, name);
      missed += 1;
    }
  };

  const prepare = (raw: T): T => {
    const { managedFields: _bulk, ...metadata } = raw.metadata;
    // Half of a typical object is the bookkeeping of its managers; what of it is needed stays as a hash (`stated-status.ts`).
    const slim = { ...raw, metadata } as T;
    const { transform } = options;
    return transform === undefined ? slim : isolated("transform", slim, slim, () => transform(slim));
  };

  const sinkOf = (namespace: string | undefined): ReflectorSink<T> => {
    let initial = true;
    /** Its list was begun and not ended: another attempt is about the same restore. */
    let isRewinding = false;
    const forget = ({ code }: OperatorError): void => {
      const why = code === "KUBE_NOT_FOUND" ? "missing" : "forbidden";
      const known = away.get(namespace);
      away.set(namespace, why);
      if (known === why) return;
      if (known === undefined) {
        filled.delete(namespace);
        listedAt.delete(namespace);
        for (const { metadata } of [...store.all(namespace)]) drop(metadata.namespace ?? "", metadata.name);
        // What comes back was there all the time, or is not ours to have seen.
        initial = true;
        if (namespace !== undefined) options.onNamespace?.(namespace, "away");
        if (!isOptional) settle();
      }
      tellAvailability();
    };
    return {
      ...(namespace === undefined && !isOptional ? {} : { forget }),
      list: ({ rewound }) => {
        // What a restored server brings back from the dead lives.
        if (rewound) gone.clear();
        // Nor does a list from before the restore say anything about what there is now.
        if (rewound) listedAt.delete(namespace);
        if (rewound && !isRewinding) noteRewind(namespace);
        isRewinding ||= rewound;
        const listed = new Set<string>();
        return {
          add: (object) => {
            listed.add(`${object.metadata.namespace ?? ""}/${object.metadata.name}`);
            if (keep(object, initial, rewound) && !initial) missed += 1;
          },
          end: (listVersion) => {
            listedAt.set(namespace, listVersion);
            dropUnlisted({ namespace, listed, listVersion, rewound });
            initial = false;
            isRewinding = false;
            filled.add(namespace);
            const isBack = away.delete(namespace);
            if (isBack && namespace !== undefined) options.onNamespace?.(namespace, "back");
            if (isBack) tellAvailability();
            settle();
          },
        };
      },
      apply: ({ type: what, object }) => {
        if (what !== "DELETED") return void keep(object, false);
        const { namespace: where = "", name, uid, resourceVersion } = object.metadata;
        if (uid !== undefined && !isGone(uid, resourceVersion)) remember(uid, resourceVersion);
        const held = store.get(where, name);
        // The deletion of a predecessor must not take away what was made in its place.
        if (held?.metadata.uid !== uid) return;
        if ((compareVersions(resourceVersion, held?.metadata.resourceVersion) ?? 1) >= 0) drop(where, name);
      },
    };
  };

  const { probe } = options;
  const reflectors: Reflector[] = (options.namespaces.length === 0 ? [undefined] : options.namespaces).map(
    (namespace) =>
      createReflector<T>({
        client: options.client,
        type,
        selection: { namespace, labelSelector: options.labelSelector },
        sink: sinkOf(namespace),
        clock,
        random: options.random,
        log: options.log,
        onFault: options.onFault,
        ...(probe === undefined ? {} : { untilServed: (signal) => probe.untilServed(namespace, signal) }),
        ...(options.inactivityMs === undefined ? {} : { inactivityMs: options.inactivityMs }),
      }),
  );

  return {
    store,
    index: (keysOf) => {
      let index = indexes.get(keysOf);
      if (index === undefined) {
        index = store.index((object) => isolated("index", object, [], () => keysOf(object)));
        indexes.set(keysOf, index);
      }
      return index;
    },
    firstList: firstList.promise,
    isFilled: (namespace) => filled.has(partOf(namespace)) || (isOptional && away.has(partOf(namespace))),
    availability: (namespace) =>
      options.namespaces.length > 0 && !options.namespaces.includes(namespace)
        ? "forbidden"
        : (away.get(partOf(namespace)) ?? "served"),
    onAvailability: (listener) => void availabilityListeners.push(listener),
    subscribe: (listener) => void listeners.push(listener),
    run: async (signal) => void (await Promise.all(reflectors.map((reflector) => reflector.run(signal)))),
    overlay: (object) => {
      const { namespace = "", name } = object.metadata;
      if (options.namespaces.length > 0 && !options.namespaces.includes(namespace)) return;
      if (matches(object.metadata.labels)) {
        if (!isUnlisted(object)) keep(object, false);
      } else if (object.metadata.uid !== undefined) {
        // Older news of it, still on their way, must not bring it back.
        remember(object.metadata.uid, object.metadata.resourceVersion);
        if (store.get(namespace, name)?.metadata.uid === object.metadata.uid) drop(namespace, name);
      }
    },
    overlayDeleted: (namespace, name, uid) => {
      // Also by who does not hold it: news of its beginning may be on their way.
      if (uid !== "") remember(uid, undefined);
      if (store.get(namespace, name)?.metadata.uid === uid) drop(namespace, name);
    },
    knowsEnd: (object) => {
      const { uid, resourceVersion } = object.metadata;
      if (uid === undefined) return false;
      // With a selector, an end may have been a label that was taken off.
      if (options.labelSelector !== undefined) return gone.has(uid) && gone.get(uid) === undefined;
      return isGone(uid, resourceVersion) || isUnlisted(object);
    },
    rewinds: (namespace) => rewinds.get(partOf(namespace)) ?? 0,
    state: () => {
      const now = clock.monotonic();
      const parts = reflectors.map((reflector, index): InformerPart => {
        const namespace = options.namespaces[index];
        const { synced, refused, lastSeenAt } = reflector.state();
        const isEmpty = isOptional && away.has(namespace);
        return { namespace, synced: synced || isEmpty, refused, silentMs: now - lastSeenAt };
      });
      const present = parts.filter(({ namespace }) => isOptional || !away.has(namespace));
      const counted = present.length === 0 ? parts : present;
      const isThere = (namespace: string | undefined): boolean =>
        namespace === undefined || filled.has(namespace) || (isOptional && away.has(namespace));
      return {
        optional: isOptional,
        served: away.size < reflectors.length && !parts.every(({ refused }) => refused !== undefined),
        synced: counted.every(({ synced, namespace }) => synced && isThere(namespace)),
        refused: counted.every(({ synced, refused }) => synced || refused !== undefined)
          ? counted.find(({ refused }) => refused !== undefined)?.refused
          : undefined,
        silentMs: Math.max(...counted.map(({ silentMs }) => silentMs)),
        parts,
        relists: reflectors.reduce((sum, reflector) => sum + reflector.state().relists, 0),
        missed,
        objects: store.size(),
      };
    },
  };
}

/** Equal but for the version: a write that changed nothing, or only bookkeeping. */
function sameContent(a: KubeObject, b: KubeObject): boolean {
  const { resourceVersion: _a, ...metadataA } = a.metadata;
  const { resourceVersion: _b, ...metadataB } = b.metadata;
  return isDeepStrictEqual({ ...a, metadata: metadataA }, { ...b, metadata: metadataB });
}
