import { backoffMs } from "../../lib/core/backoff.ts";
import type { Clock } from "../../lib/core/clock.ts";
import type { Key } from "./types.ts";

/*
 * The work queue of one controller. A key is in at most one of these places:
 *
 *      add(after)            due                take                   done
 *   ───────────────► waiting ───► ready ──────────────────► processing ─────► gone
 *   ─────────────────────────────► │                          │  add: again ──► ready
 *      add                         │ highest priority first,  │
 *                                  │ oldest first within one  │
 *
 * A thousand adds of a key are one entry; an add while the key is processed is one further run afterwards. So the same
 * key never runs twice at once, and no event is ever lost between two runs.
 */

/** Priority of what users and the world do now. */
export const PRIORITY_LIVE = 0;
/** Priority of initial lists and resyncs: live edits overtake the storm of a start (controller-runtime's −100). */
export const PRIORITY_BACKGROUND = -100;

/** A key that was taken; give it back with `done`. */
export interface QueueItem {
  readonly key: Key;
  readonly priority: number;
  /** Monotonic time since when the key was ready. */
  readonly readyAt: number;
}

export interface AddOptions {
  /** The highest of all adds counts. */
  readonly priority?: number;
  /** Not before this many milliseconds; the soonest of all adds counts. */
  readonly afterMs?: number;
}

/** Numbers for metrics. */
export interface QueueState {
  /** Ready keys by priority. */
  readonly depth: ReadonlyMap<number, number>;
  /** Keys that wait for their time. */
  readonly waiting: number;
  /** Monotonic start times of what is processed. */
  readonly processing: readonly number[];
}

/** De-duplicating priority queue of keys with delays and a backoff per key. */
export interface Queue {
  add(key: Key, options?: AddOptions): void;
  /** Adds after the key's backoff: 5 ms·2ⁿ, at most 1000 s, n = failures since the last `forget`. @returns the delay, ms */
  addRateLimited(key: Key, priority?: number): number;
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
  /** Each accepted `add` and `addRateLimited`. */
  readonly onAdd?: () => void;
  readonly onRetry?: () => void;
}

/** controller-runtime's limits: 5 ms·2ⁿ reaches the cap with the 18th failure. */
const BACKOFF = { baseMs: 5, capMs: 1_000_000 };

interface Entry {
  readonly id: string;
  readonly key: Key;
  priority: number;
  /** Monotonic time from which the key may be taken. */
  readyAt: number;
}

/** An empty queue. */
export function createQueue(options: QueueOptions): Queue {
  const { clock } = options;
  /** Insertion order within a priority is the order of becoming ready. */
  const ready = new Map<number, Map<string, Entry>>();
  const readyPriority = new Map<string, number>();
  const waiting = new Map<string, Entry>();
  const processing = new Map<string, number>();
  const again = new Map<string, Entry>();
  const failures = new Map<string, number>();
  const takers: ((item: QueueItem | undefined) => void)[] = [];
  let closed = false;
  let timer: { readonly at: number; readonly stop: AbortController } | undefined;

  const makeReady = (entry: Entry): void => {
    waiting.delete(entry.id);
    if (processing.has(entry.id)) {
      const before = again.get(entry.id);
      again.set(entry.id, before === undefined || before.priority < entry.priority ? entry : before);
      return;
    }
    const priorityNow = readyPriority.get(entry.id);
    if (priorityNow !== undefined && priorityNow >= entry.priority) return;
    if (priorityNow !== undefined) ready.get(priorityNow)?.delete(entry.id);
    let lane = ready.get(entry.priority);
    if (lane === undefined) ready.set(entry.priority, (lane = new Map<string, Entry>()));
    lane.set(entry.id, entry);
    readyPriority.set(entry.id, entry.priority);
    handOut();
  };

  const handOut = (): void => {
    while (takers.length > 0) {
      const entry = takeReady();
      if (entry === undefined) return;
      takers.shift()?.(entry);
    }
  };

  const takeReady = (): QueueItem | undefined => {
    // A handful of priorities at most: a scan is cheaper than a tree.
    let best: number | undefined;
    for (const [priority, lane] of ready) {
      if (lane.size > 0 && (best === undefined || priority > best)) best = priority;
    }
    const entry = best === undefined ? undefined : ready.get(best)?.values().next().value;
    if (entry === undefined) return undefined;
    ready.get(entry.priority)?.delete(entry.id);
    readyPriority.delete(entry.id);
    processing.set(entry.id, clock.monotonic());
    return { key: entry.key, priority: entry.priority, readyAt: entry.readyAt };
  };

  const wait = (entry: Entry): void => {
    const before = waiting.get(entry.id);
    if (before !== undefined) {
      before.priority = Math.max(before.priority, entry.priority);
      before.readyAt = Math.min(before.readyAt, entry.readyAt);
    } else {
      waiting.set(entry.id, entry);
    }
    arm(entry.readyAt);
  };

  /** One timer for the soonest entry; waking early is harmless, so it is never moved back. */
  const arm = (at: number): void => {
    if (closed || (timer !== undefined && timer.at <= at)) return;
    timer?.stop.abort();
    const mine = { at, stop: new AbortController() };
    timer = mine;
    void clock.sleep(Math.max(0, at - clock.monotonic()), mine.stop.signal).then(() => {
      if (timer !== mine || closed) return;
      timer = undefined;
      release();
    });
  };

  const release = (): void => {
    const now = clock.monotonic();
    let next: number | undefined;
    const due: Entry[] = [];
    for (const entry of waiting.values()) {
      if (entry.readyAt <= now) due.push(entry);
      else next = Math.min(next ?? entry.readyAt, entry.readyAt);
    }
    for (const entry of due.sort((a, b) => a.readyAt - b.readyAt)) makeReady(entry);
    if (next !== undefined) arm(next);
  };

  const add = (key: Key, how: AddOptions = {}): void => {
    if (closed) return;
    options.onAdd?.();
    const id = idOf(key);
    const now = clock.monotonic();
    const entry: Entry = { id, key, priority: how.priority ?? PRIORITY_LIVE, readyAt: now + (how.afterMs ?? 0) };
    if (entry.readyAt > now && !readyPriority.has(id)) return wait(entry);
    // Ready already or ready now: an older wait is served by the same run.
    const waited = waiting.get(id);
    if (waited !== undefined) entry.priority = Math.max(entry.priority, waited.priority);
    makeReady({ ...entry, readyAt: now });
  };

  return {
    add,
    addRateLimited: (key, priority = PRIORITY_LIVE) => {
      const id = idOf(key);
      const count = failures.get(id) ?? 0;
      failures.set(id, count + 1);
      const afterMs = backoffMs(count, BACKOFF);
      options.onRetry?.();
      add(key, { priority, afterMs });
      return afterMs;
    },
    forget: (key) => void failures.delete(idOf(key)),
    take: () => {
      if (closed) return Promise.resolve(undefined);
      const item = takeReady();
      return item === undefined ? new Promise((resolve) => takers.push(resolve)) : Promise.resolve(item);
    },
    done: (key) => {
      const id = idOf(key);
      processing.delete(id);
      const entry = again.get(id);
      again.delete(id);
      if (entry !== undefined && !closed) makeReady(entry);
    },
    shutDown: () => {
      closed = true;
      timer?.stop.abort();
      for (const taker of takers.splice(0)) taker(undefined);
    },
    state: () => ({
      depth: new Map([...ready].map(([priority, lane]) => [priority, lane.size])),
      waiting: waiting.size,
      processing: [...processing.values()],
    }),
  };
}

function idOf(key: Key): string {
  return `${key.namespace}/${key.name}`;
}
