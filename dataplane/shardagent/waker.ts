import type { Clock } from "../../lib/core/clock.ts";

/** Lets a loop sleep until something happens, without missing what happens while it is awake. */
export interface Waker {
  /** Ends the current sleep, or the next one at once. */
  wake(): void;
  /** Resolves after `ms`, at a wake, or when `signal` aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** One sleeper at a time. */
export function createWaker(clock: Clock): Waker {
  let pending = false;
  let current: AbortController | undefined;
  return {
    wake: () => {
      pending = true;
      current?.abort();
    },
    sleep: async (ms, signal) => {
      if (!pending) {
        current = new AbortController();
        const { abort } = current;
        const onAbort = abort.bind(current);
        signal.addEventListener("abort", onAbort, { once: true });
        if (!signal.aborted) await clock.sleep(ms, current.signal);
        signal.removeEventListener("abort", onAbort);
        current = undefined;
      }
      pending = false;
    },
  };
}
