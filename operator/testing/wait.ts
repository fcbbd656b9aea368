import { systemClock } from "../../lib/core/clock.ts";

/** Longest wait of a test for something that happens in another turn of the event loop, or in another process. */
const TIMEOUT_MS = 8_000;
const POLL_MS = 5;

/** Waits until the check returns something other than `undefined` and `false`. @throws Error with `what` after 8 s */
export async function eventually<T>(what: string, check: () => T | Promise<T>): Promise<Exclude<T, undefined | false>> {
  const endsAt = systemClock.monotonic() + TIMEOUT_MS;
  for (;;) {
    const value = await check();
    if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>;
    if (systemClock.monotonic() > endsAt) throw new Error(`not within ${TIMEOUT_MS / 1000} s: ${what}`);
    await systemClock.sleep(POLL_MS);
  }
}
