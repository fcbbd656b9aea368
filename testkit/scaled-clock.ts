import { type Clock, systemClock } from "../lib/core/clock.ts";

/**
 * The machine's clock, `factor` times as fast: delays of the code under test shrink while real sockets and processes
 * keep their pace. For loops over a socket; pure code is tested with the manual clock.
 */
export function createScaledClock(factor: number): Clock {
  const start = systemClock.monotonic();
  const startWall = systemClock.now();
  const elapsed = (): number => (systemClock.monotonic() - start) * factor;
  return {
    now: () => startWall + elapsed(),
    monotonic: elapsed,
    sleep: (ms, signal) => systemClock.sleep(ms / factor, signal),
  };
}
