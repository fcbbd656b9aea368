import type { Clock } from "../../lib/core/clock.ts";

/**
 * Remembers for a time what was last done for something, so that it is not done again too soon. After a restart everything
 * is due. Entries go by themselves when their time is over, so nobody has to clean up after objects that are gone.
 */
export interface Throttle<T = true> {
  /** Whole seconds until it may be done again; 0 when it is due. */
  waitSeconds(id: string, clock: Clock): number;
  /** What was done, until it is due again. */
  last(id: string, clock: Clock): T | undefined;
  /** It was done now. */
  mark(id: string, clock: Clock, done: T): void;
  /** It is due at once. */
  forget(id: string): void;
}

/** @param intervalSeconds least time between two marks; ids should be uids: an object that is made anew then need not wait */
export function createThrottle<T = true>(intervalSeconds: number): Throttle<T> {
  const intervalMs = intervalSeconds * 1_000;
  /** In the order of the marks, so that the first are the first to go. */
  const marks = new Map<string, { readonly at: number; readonly done: T }>();
  const waitMs = (id: string, clock: Clock): number => {
    const mark = marks.get(id);
    return mark === undefined ? 0 : Math.max(0, mark.at + intervalMs - clock.monotonic());
  };
  return {
    waitSeconds: (id, clock) => Math.ceil(waitMs(id, clock) / 1_000),
    last: (id, clock) => (waitMs(id, clock) === 0 ? undefined : marks.get(id)?.done),
    mark: (id, clock, done) => {
      const at = clock.monotonic();
      marks.delete(id);
      marks.set(id, { at, done });
      for (const [old, mark] of marks) {
        if (mark.at + intervalMs > at) break;
        marks.delete(old);
      }
    },
    forget: (id) => void marks.delete(id),
  };
}
