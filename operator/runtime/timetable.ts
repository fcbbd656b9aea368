import type { Clock } from "../../lib/core/clock.ts";
import { createDelays, type Delayed, type Delays } from "./delays.ts";

/** Entries that are called when their time has come. */
export interface Timetable<E extends Delayed> extends Omit<Delays<E>, "first"> {
  /** Nobody is called any more. */
  stop(): void;
}

/** Longest sleep of the one timer: timers take at most 2^31 ms (24 days), and a certificate may be due in two months. */
const SLEEP_MAX_MS = 12 * 3_600_000;

/**
 * An empty timetable with one timer for all entries.
 * @param call the entry is due; it must remove the entry or put it to a later time, or it would be called without end
 */
export function createTimetable<E extends Delayed>(clock: Clock, call: (entry: E) => void): Timetable<E> {
  const delays = createDelays<E>();
  const alarm = createAlarm(clock, () => {
    const now = clock.monotonic();
    for (let entry = delays.first(); entry !== undefined && entry.readyAt <= now; entry = delays.first()) call(entry);
    const next = delays.first();
    if (next !== undefined) alarm.set(next.readyAt);
  });
  return {
    ...delays,
    put: (entry) => {
      delays.put(entry);
      alarm.set(entry.readyAt);
    },
    stop: alarm.stop,
  };
}

/** One timer for the soonest of many times. */
interface Alarm {
  /** Rings at this monotonic time or earlier. It is never set back to a later time: ringing too early does no harm. */
  set(at: number): void;
  stop(): void;
}

function createAlarm(clock: Clock, ring: () => void): Alarm {
  let timer: { readonly at: number; readonly stop: AbortController } | undefined;
  let stopped = false;
  return {
    set: (at) => {
      if (stopped || (timer !== undefined && timer.at <= at)) return;
      timer?.stop.abort();
      const mine = { at, stop: new AbortController() };
      timer = mine;
      const ms = Math.min(Math.max(0, at - clock.monotonic()), SLEEP_MAX_MS);
      void clock.sleep(ms, mine.stop.signal).then(() => {
        if (timer !== mine || stopped) return;
        timer = undefined;
        ring();
      });
    },
    stop: () => {
      stopped = true;
      timer?.stop.abort();
    },
  };
}
