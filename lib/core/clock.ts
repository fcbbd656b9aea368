/** Where time comes from. Decisions take a `Clock`, so that tests choose the time. */
export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch. It may jump: never measure a duration with it. */
  now(): number;
  /** Monotonic clock in milliseconds from an arbitrary origin. */
  monotonic(): number;
  /** Resolves after `ms` milliseconds, or at once (without error) when `signal` is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Longer times do not fit into a timer of Node: it would fire at once. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** The clock of the machine. */
export const systemClock: Clock = {
  // The one home of the wall clock.
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const wait = (left: number): NodeJS.Timeout =>
        left > TIMER_MAX_MS
          ? setTimeout(() => {
              timer = wait(left - TIMER_MAX_MS);
            }, TIMER_MAX_MS)
          : setTimeout(done, left);
      let timer = wait(ms);
      signal?.addEventListener("abort", done, { once: true });
    }),
};

/** Milliseconds since the epoch as RFC 3339 with second precision, the form Kubernetes uses in conditions. */
export function rfc3339Seconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** Milliseconds since the epoch as RFC 3339 with microseconds, the form of Lease times. */
export function rfc3339Micros(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 23)}000Z`;
}
