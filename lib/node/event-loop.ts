import { monitorEventLoopDelay } from "node:perf_hooks";

/** Watches whether the process gets to run: long synchronous work, a paused container and a starved machine all show. */
export interface EventLoopMonitor {
  /** The longest time within about the last half minute that nothing could run, in milliseconds. */
  longestStallMs(): number;
  close(): void;
}

/** How often libuv looks; finer tells nothing about stalls of seconds. */
const RESOLUTION_MS = 100;
/** A stall is remembered this long after it was noticed. */
const MEMORY_MS = 30_000;

/**
 * A monitor that begins now. It measures the machine, so it takes no `Clock`. What happened is noticed when somebody asks,
 * so that a process at rest has no timer for it.
 */
export function createEventLoopMonitor(): EventLoopMonitor {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  let worst = { ms: 0, at: 0 };
  return {
    longestStallMs: () => {
      const now = performance.now();
      // An empty histogram has a maximum of 0. The resolution itself is no delay.
      const ms = Math.max(0, histogram.max / 1e6 - RESOLUTION_MS);
      histogram.reset();
      if (ms >= worst.ms || now - worst.at > MEMORY_MS) worst = { ms, at: now };
      return worst.ms;
    },
    close: () => void histogram.disable(),
  };
}
