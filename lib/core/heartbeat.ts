/** Counts for how long a loop has come no step further. */
import type { Clock } from "./clock.ts";

export interface Heartbeat {
  /** The loop came a step further, or has nothing to do. Costs nothing. */
  readonly beat: () => void;
  /** Asked regularly. @returns milliseconds without a beat */
  look(): number;
}

/** Between two looks no more than this counts: while the whole process stood still, the loop could not move either. */
const LOOK_COUNTS_MS = 5_000;

export function createHeartbeat(clock: Pick<Clock, "monotonic">): Heartbeat {
  let lookedAt = clock.monotonic();
  let silentMs = 0;
  let beaten = false;
  return {
    beat: () => {
      beaten = true;
    },
    look: () => {
      const now = clock.monotonic();
      silentMs = beaten ? 0 : silentMs + Math.min(now - lookedAt, LOOK_COUNTS_MS);
      lookedAt = now;
      beaten = false;
      return silentMs;
    },
  };
}
