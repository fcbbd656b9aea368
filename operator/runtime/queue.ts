import type { Clock } from "../../lib/core/clock.ts";
import { type Pace, unboundedPace } from "../../lib/core/pace.ts";
import { createLanes, type Lanes } from "./lanes.ts";
import { createRetries, type Retries } from "./retries.ts";
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
 *
 * Events do not pass the backoff. The failing run itself makes some (its status, what it wrote before it failed), and what
 * the key depends on may change all the time; each of them would run the key at once, and no backoff would be left:
 *
 *   an event, while the key waits after a failure      waits with it, at most 150 s after that failure
 *   an event, while the key runs and the run fails     the same, also when it waits for the pace of the key
 *   an event, while the key runs and the run succeeds  one further run, at once
 *   an event, after a failure of single steps          runs it: those have a backoff of their own (`step-retries.ts`)
 *   new input (the resource itself was edited)         forgets the backoff and runs at once: what failed was another task
 *   an urgent add (only sources make them)             runs it at once; the backoff of what fails again goes on growing
 *
 * An urgent add does not wait for the key's pace either: where that is used up it has one of its own.
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
  /** Somebody changed what the key is asked to do: a backoff that the old task had earned is none of the new one's. */
  readonly isNewInput?: boolean;
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
  /** Adds after the key's backoff: 5 ms·2ⁿ, at most 1000 s or `capMs`, n = failures since the last `forget`. @returns the delay, ms */
  addRateLimited(key: Key, priority?: Priority, capMs?: number): number;
  /** Adds after a time that a failure has named; events wait as for a backoff, which stays as it is. */
  addAfter(key: Key, afterMs: number, priority?: Priority): void;
  /** Adds after the time of a step that failed: as a retry it needs no pace, and events do not wait with it. */
  addRetry(key: Key, afterMs: number, priority?: Priority): void;
  /** Resets the key's backoff. */
  forget(key: Key): void;
  /** The next key of this priority or a higher one (any, unless told), when there is one; `undefined` after `shutDown`. */
  take(atLeast?: Priority): Promise<QueueItem | undefined>;
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
  /** How often urgent adds may run one key, besides; without bounds unless told. */
  readonly urgentPace?: Pace;
  /** A key that was in no list becomes ready, or will run again after the run that is going on. */
  readonly onAdd?: () => void;
  /** Each `addRateLimited`. */
  readonly onRetry?: () => void;
  /** A key has to wait for its pace. */
  readonly onPaced?: () => void;
}

interface Entry {
  readonly id: string;
  readonly key: Key;
  readonly priority: Priority;
  /** Monotonic time from which the key may be taken. */
  readonly readyAt: number;
  /** Counts for the pace: more than a retry, and than what waits with one. */
  readonly isPaced: boolean;
  readonly isNewInput: boolean;
}

/** The highest priority and the soonest time of two adds of one key. */
function merge(a: Entry, b: Entry | undefined): Entry {
  if (b === undefined) return a;
  return {
    ...a,
    priority: a.priority > b.priority ? a.priority : b.priority,
    readyAt: Math.min(a.readyAt, b.readyAt),
    isPaced: a.isPaced || b.isPaced,
    isNewInput: a.isNewInput || b.isNewInput,
  };
}

/** The places of the drawing above. */
interface Places {
  readonly ready: Lanes<Entry>;
  readonly waiting: Timetable<Entry>;
  /** Start times of what is being processed, by id. */
  readonly processing: Map<string, number>;
  readonly again: Map<string, Entry>;
  /** What keeps an entry from being ready. */
  readonly retries: Retries;
  /** Workers that wait, in their order. */
  takers: Taker[];
}

interface Taker {
  readonly atLeast: Priority;
  readonly give: (item: QueueItem | undefined) => void;
}

/** An empty queue. */
export function createQueue(options: QueueOptions): Queue {
  const { clock } = options;
  const places: Places = {
    ready: createLanes<Entry>(Object.values(PRIORITIES)),
    waiting: createTimetable<Entry>(clock, (entry) => makeReady(places, entry, options)),
    processing: new Map(),
    again: new Map(),
    retries: createRetries(),
    takers: [],
  };
  const { ready, waiting, processing, again, retries } = places;
  let closed = false;

  const put = (entry: Entry): void => {
    if (closed) return;
    const isDue = entry.readyAt <= clock.monotonic() || ready.get(entry.id) !== undefined;
    if (isDue) makeReady(places, entry, options);
    else waiting.put(merge(entry, waiting.get(entry.id)));
  };
  /** The entry as it may be served: later when its key waits after a failure, and then with that retry. */
  const held = (entry: Entry): Entry => {
    const passes = entry.isNewInput || entry.priority === PRIORITIES.urgent;
    const earliest = passes ? undefined : retries.earliest(entry.id);
    if (earliest === undefined || earliest <= clock.monotonic()) return entry;
    return { ...entry, readyAt: Math.max(entry.readyAt, earliest), isPaced: false };
  };
  const retry = (entry: Entry): void => {
    // An event of the run that failed may wait for its pace, which is sooner than the backoff.
    const waited = waiting.remove(entry.id);
    put(entry);
    if (waited !== undefined) put(held(waited));
  };
  const paced = (entry: Entry): Entry => {
    const allowed = earliestOf(entry, options);
    if (!entry.isPaced || allowed <= entry.readyAt) return entry;
    if (waiting.get(entry.id) === undefined) options.onPaced?.();
    return { ...entry, readyAt: allowed };
  };

  return {
    add: (key, { priority = PRIORITIES.live, afterMs = 0, isNewInput = false } = {}) => {
      const id = idOf(key);
      if (isNewInput) retries.forget(id);
      put(paced(held({ id, key, priority, readyAt: clock.monotonic() + afterMs, isPaced: true, isNewInput })));
    },
    addRateLimited: (key, priority = PRIORITIES.live, capMs) => {
      const id = idOf(key);
      const now = clock.monotonic();
      const afterMs = retries.failed(id, now, capMs);
      options.onRetry?.();
      retry({ id, key, priority, readyAt: now + afterMs, isPaced: false, isNewInput: false });
      return afterMs;
    },
    addAfter: (key, afterMs, priority = PRIORITIES.live) => {
      const id = idOf(key);
      const now = clock.monotonic();
      retries.failedUntil(id, { now, until: now + afterMs });
      retry({ id, key, priority, readyAt: now + afterMs, isPaced: false, isNewInput: false });
    },
    addRetry: (key, afterMs, priority = PRIORITIES.live) => {
      options.onRetry?.();
      put({ id: idOf(key), key, priority, readyAt: clock.monotonic() + afterMs, isPaced: false, isNewInput: false });
    },
    forget: (key) => retries.forget(idOf(key)),
    take: (atLeast = PRIORITIES.start) => {
      if (closed) return Promise.resolve(undefined);
      const item = takeReady(places, options, atLeast);
      if (item !== undefined) return Promise.resolve(item);
      return new Promise((give) => places.takers.push({ atLeast, give }));
    },
    done: (key) => {
      const id = idOf(key);
      processing.delete(id);
      const entry = again.get(id);
      again.delete(id);
      if (entry === undefined || closed) return;
      if (entry.isNewInput) retries.forget(id);
      const next = held(entry);
      if (next !== entry) return waiting.put(merge(next, waiting.get(id)));
      // What waited is served by the same run.
      ready.push(merge(entry, waiting.remove(id)));
      handOut(places, options);
    },
    shutDown: () => {
      closed = true;
      waiting.stop();
      for (const { give } of places.takers.splice(0)) give(undefined);
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
  places.takers = places.takers.filter(({ atLeast, give }) => {
    const item = takeReady(places, options, atLeast);
    if (item !== undefined) give(item);
    return item === undefined;
  });
}

function takeReady(
  { ready, processing, retries }: Places,
  options: QueueOptions,
  atLeast: Priority,
): QueueItem | undefined {
  const entry = ready.shift(atLeast);
  if (entry === undefined) return undefined;
  if (entry.isPaced) paceOf(entry, options).spend(entry.id);
  retries.begin(entry.id);
  processing.set(entry.id, options.clock.monotonic());
  return { key: entry.key, priority: entry.priority, readyAt: entry.readyAt };
}

function earliestOf({ id, priority }: Entry, { pace, urgentPace }: QueueOptions): number {
  const earliest = (pace ?? unboundedPace).earliest(id);
  return priority === PRIORITIES.urgent ? Math.min(earliest, (urgentPace ?? unboundedPace).earliest(id)) : earliest;
}

/** Whose run it is: an urgent one takes one of its own only where the key has none left. */
function paceOf({ id, priority }: Entry, { clock, pace = unboundedPace, urgentPace }: QueueOptions): Pace {
  const isOwn = priority === PRIORITIES.urgent && pace.earliest(id) > clock.monotonic();
  return isOwn ? (urgentPace ?? unboundedPace) : pace;
}

function idOf(key: Key): string {
  return `${key.namespace}/${key.name}`;
}
