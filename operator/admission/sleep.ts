import type { Clock } from "../../lib/core/clock.ts";

/** Sleeps until the time is over or one of the signals aborts. */
export async function sleepUntil(clock: Clock, ms: number, signals: readonly AbortSignal[]): Promise<void> {
  if (signals.some((signal) => signal.aborted)) return;
  const end = new AbortController();
  const onAbort = (): void => end.abort();
  for (const signal of signals) signal.addEventListener("abort", onAbort, { once: true });
  await clock.sleep(ms, end.signal);
  for (const signal of signals) signal.removeEventListener("abort", onAbort);
}
