import { backoffMs } from "../../lib/core/backoff.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { type Pace, unboundedPace } from "../../lib/core/pace.ts";
import { createLanes, type Lanes } from "./lanes.ts";
import { createTimetable, type Timetable } from "./timetable.ts";
import { type Key, PRIORITIES, type Priority } from "./types.ts";

/*
 * The work queue of one controller. A key is in at most one of these places:
 *
 *      add(after)            due                take                   done
 *   ───────────────► waiting ───► ready ──────────────────► processing ─────► gone
 *   ─────────────────────────────► │                          │  add: again ──► ready
 *      add                         │ highest priority first,  │
 *                                  │ oldest first within one  │
 *
 * and besides, while it is being processed, in `waiting` or `again` for the run after this one.
 *
 * A thousand adds of a key are one entry; an add while the key is processed is one further run afterwards. So the same
 * key never runs twice at once, and no event is ever lost between two runs. Of several adds the highest priority and the
 * soonest time count. A key that ran too often of late waits for its pace, whatever the adds say; retries after a failure
 * do not, because the backoff is pace enough. No operation looks at all keys.
 */

/** A key that was taken; give it back with `done`. */
export interface QueueItem {
  readonly key: Key;
  readonly priority: Priority;
  /** Monotonic time since when the key was ready. */
  readonly readyAt: number;
}

export interface AddOptions {
  /** The highest of all adds counts; that of live events unless told. */
  readonly priority?: Priority;
  /** Not before this many milliseconds, a finite number; the soonest of all adds counts. */
  readonly afterMs?: number;
}

/** Numbers for metrics. */
export interface QueueState {
  /** Ready keys by priority, for all priorities. */
  readonly depth: ReadonlyMap<number, number>;
  /** Keys that wait for their time. */
  readonly waiting: number;
  /** Monotonic start times of what is processed. */
  readonly processing: readonly number[];
}

/** De-duplicating priority queue of keys with delays, a pace and a backoff per key. */
export interface Queue {
  add(key: Key, options?: AddOptions): void;
  /** Adds after the key's backoff: 5 ms·2ⁿ, at most 1000 s, n = failures since the last `forget`. @returns the delay, ms */
  addRateLimited(key: Key, priority?: Priority): number;
  /** Resets the key's backoff. */
  forget(key: Key): void;
  /** The next key, when there is one; `undefined` after `shutDown`. */
  take(): Promise<QueueItem | undefined>;
  /** Ends the processing of a taken key. */
  done(key: Key): void;
  /** No key is handed out any more; what is processed may end. */
  shutDown(): void;
  state(): QueueState;
}

export interface QueueOptions {
  readonly clock: Clock;
  /** How often one key may run; without bounds unless told. */
  readonly pace?: Pace;
  /** A key that was in no list becomes ready, or will run again after the run that is going on. */
  readonly onAdd?: () => void;
  /** Each `addRateLimited`. */
  readonly onRetry?: () => void;
  /** A key has to wait for its pace. */
  readonly onPaced?: () => void;
}

/** controller-runtime's limits: 5 ms·2ⁿ reaches the cap with the 18th failure. */
const BACKOFF = { baseMs: 5, capMs: 1_000_000 };

interface Entry {
  readonly id: string;
  readonly key: Key;
  readonly priority: Priority;
  /** Monotonic time from which the key may be taken. */
  readonly readyAt: number;
  /** Counts for the pace: more than a retry. */
  readonly isPaced: boolean;
}

/** The highest priority and the soonest time of two adds of one key. */
function merge(a: Entry, b: Entry | undefined): Entry {
  if (b === undefined) return a;
  return {
    ...a,
    priority: a.priority > b.priority ? a.priority : b.priority,
    readyAt: Math.min(a.readyAt, b.readyAt),
    isPaced: a.isPaced || b.isPaced,
  };
}

/** The places of the drawing above. */
interface Places {
  readonly ready: Lanes<Entry>;
  readonly waiting: Timetable<Entry>;
  /** Start times of what is being processed, by id. */
  readonly processing: Map<string, number>;
  readonly again: Map<string, Entry>;
  readonly takers: ((item: QueueItem | undefined) => void)[];
}

/** An empty queue. */
export function createQueue(options: QueueOptions): Queue {
  const { clock, pace = unboundedPace } = options;
  const failures = new Map<string, number>();
  const places: Places = {
    ready: createLanes<Entry>(Object.values(PRIORITIES)),
    waiting: createTimetable<Entry>(clock, (entry) => makeReady(places, entry, options)),
    processing: new Map(),
    again: new Map(),
    takers: [],
  };
  const { ready, waiting, processing, again, takers } = places;
  let closed = false;

  const put = (entry: Entry): void => {
    if (closed) return;
    const isDue = entry.readyAt <= clock.monotonic() || ready.get(entry.id) !== undefined;
    if (isDue) makeReady(places, entry, options);
    else waiting.put(merge(entry, waiting.get(entry.id)));
  };

  return {
    add: (key, { priority = PRIORITIES.live, afterMs = 0 } = {}) => {
      const id = idOf(key);
      const wanted = clock.monotonic() + afterMs;
      const allowed = pace.earliest(id);
      if (allowed > wanted && waiting.get(id) === undefined) options.onPaced?.();
      put({ id, key, priority, readyAt: Math.max(wanted, allowed), isPaced: true });
    },
    addRateLimited: (key, priority = PRIORITIES.live) => {
      const id = idOf(key);
      const count = failures.get(id) ?? 0;
      failures.set(id, count + 1);
      const afterMs = backoffMs(count, BACKOFF);
      options.onRetry?.();
      put({ id, key, priority, readyAt: clock.monotonic() + afterMs, isPaced: false });
      return afterMs;
    },
    forget: (key) => void failures.delete(idOf(key)),
    take: () => {
      if (closed) return Promise.resolve(undefined);
      const item = takeReady(places, options);
      return item === undefined ? new Promise((resolve) => takers.push(resolve)) : Promise.resolve(item);
    },
    done: (key) => {
      const id = idOf(key);
      processing.delete(id);
      const entry = again.get(id);
      again.delete(id);
      if (entry === undefined || closed) return;
      ready.push(entry);
      handOut(places, options);
    },
    shutDown: () => {
      closed = true;
      waiting.stop();
      for (const taker of takers.splice(0)) taker(undefined);
    },
    state: () => ({ depth: ready.sizes(), waiting: waiting.size(), processing: [...processing.values()] }),
  };
}

function makeReady(places: Places, entry: Entry, options: QueueOptions): void {
  const { ready, waiting, processing, again } = places;
  const { id } = entry;
  // What waited is served by the same run.
  const next = merge(entry, waiting.remove(id));
  if (processing.has(id)) {
    if (!again.has(id)) options.onAdd?.();
    again.set(id, merge(next, again.get(id)));
    return;
  }
  const known = ready.get(id);
  if (known === undefined) options.onAdd?.();
  // One that is there already keeps its place, unless it may overtake.
  if (known === undefined || next.priority > known.priority) ready.push(merge(next, known));
  handOut(places, options);
}

function handOut(places: Places, options: QueueOptions): void {
  while (places.takers.length > 0) {
    const item = takeReady(places, options);
    if (item === undefined) return;
    places.takers.shift()?.(item);
  }
}

function takeReady({ ready, processing }: Places, { clock, pace }: QueueOptions): QueueItem | undefined {
  const entry = ready.shift();
  if (entry === undefined) return undefined;
  if (entry.isPaced) pace?.spend(entry.id);
  processing.set(entry.id, clock.monotonic());
  return { key: entry.key, priority: entry.priority, readyAt: entry.readyAt };
}

function idOf(key: Key): string {
  return `${key.namespace}/${key.name}`;
}
