import type { Clock } from "../../lib/core/clock.ts";

/** Remembers when something was last done for a key, on the monotonic clock. After a restart everything is due. */
export interface Throttle {
  /** Whole seconds until it may be done again; 0 when it is due. */
  waitSeconds(key: string, clock: Clock): number;
  /** It was done now. */
  mark(key: string, clock: Clock): void;
  /** The key is gone. */
  forget(key: string): void;
}

/** @param intervalSeconds least time between two marks of a key */
export function createThrottle(intervalSeconds: number): Throttle {
  const doneAt = new Map<string, number>();
  return {
    waitSeconds: (key, clock) => {
      const done = doneAt.get(key);
      if (done === undefined) return 0;
      return Math.max(0, Math.ceil((done + intervalSeconds * 1_000 - clock.monotonic()) / 1_000));
    },
    mark: (key, clock) => void doneAt.set(key, clock.monotonic()),
    forget: (key) => void doneAt.delete(key),
  };
}
