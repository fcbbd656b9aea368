import type { Clock } from "../lib/core/clock.ts";

/** A clock whose wall time can jump while durations go on, as after `date -s` or a correction by NTP. */
export interface JumpingClock extends Clock {
  /** Moves the wall clock, forth or back. */
  jump(ms: number): void;
}

/** Runs as `base` does until it jumps. */
export function createJumpingClock(base: Clock): JumpingClock {
  let offset = 0;
  return {
    now: () => base.now() + offset,
    monotonic: () => base.monotonic(),
    sleep: (ms, signal) => base.sleep(ms, signal),
    jump: (ms) => {
      offset += ms;
    },
  };
}
