import type { Clock } from "./clock.ts";

/*
 * How often something may happen to one key: a few times in quick succession, then once an interval. Runs of a reconcile:
 * a user who edits twice, or children that become ready one after the other, are not held up; a controller that wakes
 * itself with every write is bounded.
 *
 * A token bucket in the form of GCRA (the generic cell rate algorithm of ATM networks): instead of a count and a time it
 * keeps one number, the time at which the bucket will be full again. Decision: docs/adr/0011-pace-of-a-key.md.
 */

/** Bounds of one key. */
export interface PaceLimits {
  /** Runs that may follow each other without a pause after a time of rest; at least 1. */
  readonly burst: number;
  /** After them one run in this time. */
  readonly intervalSeconds: number;
}

/** Remembers the recent runs of keys. */
export interface Pace {
  /** Monotonic time from which the key may run; never more than the interval from now. */
  earliest(id: string): number;
  /** The key runs now. */
  spend(id: string): void;
  /** Keys in memory: those that ran within the last `burst` intervals, and some that still wait to be forgotten. */
  size(): number;
}

/** Entries that are looked at with each run; two are enough to forget faster than one remembers. */
const SWEEP = 2;

/** A memory of nobody. @throws RangeError for limits that allow nothing */
export function createPace(limits: PaceLimits, clock: Pick<Clock, "monotonic">): Pace {
  const { burst } = limits;
  const intervalMs = limits.intervalSeconds * 1_000;
  if (!(burst >= 1 && intervalMs > 0)) throw new RangeError("a pace needs a burst of at least 1 and an interval");
  /** When each key's bucket is full again; in the order of the last runs, so that the first are the first to forget. */
  const fullAt = new Map<string, number>();

  const forget = (now: number): void => {
    let looked = 0;
    for (const [id, at] of fullAt) {
      if (looked++ === SWEEP) return;
      if (at <= now) fullAt.delete(id);
    }
  };

  return {
    earliest: (id) => (fullAt.get(id) ?? Number.NEGATIVE_INFINITY) - (burst - 1) * intervalMs,
    spend: (id) => {
      const now = clock.monotonic();
      const next = Math.min(Math.max(fullAt.get(id) ?? now, now) + intervalMs, now + burst * intervalMs);
      fullAt.delete(id);
      fullAt.set(id, next);
      forget(now);
    },
    size: () => fullAt.size,
  };
}

/** Without bounds, for controllers that are bounded otherwise. */
export const unboundedPace: Pace = {
  earliest: () => Number.NEGATIVE_INFINITY,
  spend: () => undefined,
  size: () => 0,
};
