/** Watches whether the process gets to run: long synchronous work, a paused container and a starved machine all show. */
export interface EventLoopMonitor {
  /** The longest time within about the last half minute that nothing could run, in milliseconds. */
  longestStallMs(): number;
  /** Begins to look. */
  start(): void;
  close(): void;
}

/** How often the monitor expects to run; finer tells nothing about stalls of seconds. */
const PERIOD_MS = 500;
/** A stall is remembered this long after its end. */
const MEMORY_MS = 30_000;

/**
 * Nothing is measured before `start`; it does not keep the process alive. It measures the machine, so it takes no `Clock`. A
 * timer of our own, because the histogram of `perf_hooks` records nothing for the interval in which it is reset.
 */
export function createEventLoopMonitor(): EventLoopMonitor {
  let timer: NodeJS.Timeout | undefined;
  let ranAt = 0;
  let worst = { ms: 0, at: 0 };
  const look = (): void => {
    const now = performance.now();
    const ms = Math.max(0, now - ranAt - PERIOD_MS);
    if (ms >= worst.ms || now - worst.at > MEMORY_MS) worst = { ms, at: now };
  };
  return {
    longestStallMs: () => {
      // Whoever asks may run before the timer that is late.
      if (timer !== undefined) look();
      return worst.ms;
    },
    start: () => {
      ranAt = performance.now();
      timer ??= setInterval(() => {
        look();
        ranAt = performance.now();
      }, PERIOD_MS).unref();
    },
    close: () => {
      clearInterval(timer);
      timer = undefined;
    },
  };
}
