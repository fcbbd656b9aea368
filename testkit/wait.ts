import { systemClock } from "../lib/core/clock.ts";

/** Longest wait of a test for something that happens in another turn of the event loop, or in another process. */
const TIMEOUT_MS = 8_000;
const POLL_MS = 5;

/**
 * Waits until the check returns something other than `undefined` and `false`.
 * @param timeoutMs 8 s unless told: more for what is much work @throws Error with `what` after that time
 */
export async function eventually<T>(
  what: string,
  check: () => T | Promise<T>,
  timeoutMs = TIMEOUT_MS,
): Promise<Exclude<T, undefined | false>> {
  const endsAt = systemClock.monotonic() + timeoutMs;
  for (;;) {
    const value = await check();
    if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>;
    if (systemClock.monotonic() > endsAt) throw new Error(`not within ${timeoutMs / 1000} s: ${what}`);
    await systemClock.sleep(POLL_MS);
  }
}
