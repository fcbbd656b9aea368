import { backoffMs } from "../../lib/core/backoff.ts";

/** Which keys failed, how often, and until when events have to wait with them. Times are monotonic milliseconds. */
export interface Retries {
  /**
   * One more failure. @returns the delay of the next try: 5 ms·2ⁿ, at most 1000 s, n = failures since `forget`
   * @param capMs another longest delay
   */
  failed(id: string, now: number, capMs?: number): number;
  /** A failure that names the time of its next try; the count stays as it is. */
  failedUntil(id: string, at: { readonly now: number; readonly until: number }): void;
  /** The next try has begun: from now on nothing waits, unless it fails too. */
  begin(id: string): void;
  /** From when an event that brings no new input may run the key; `undefined` when it need not wait. */
  earliest(id: string): number | undefined;
  /** A success, or new input: the next failure is the first one. */
  forget(id: string): void;
}

/** controller-runtime's limits: 5 ms·2ⁿ reaches the cap with the 18th failure. */
const BACKOFF = { baseMs: 5, capMs: 1_000_000 };
/**
 * The longest that an event waits after a failure. What mended the world may be told by that very event, a restored
 * Secret for example, and a user watches for two or three minutes, not for the quarter of an hour that a backoff grows to.
 * Longer than the 15th delay (82 s), so that a storm of events adds no try to the first five minutes.
 */
const EVENT_WAIT_MAX_MS = 150_000;

interface Failure {
  /** Failures that count for the backoff. */
  count: number;
  /** The next try comes then, or with an event; `undefined` once it has begun. */
  wait: { readonly since: number; readonly until: number } | undefined;
}

/** Nobody has failed yet. */
export function createRetries(): Retries {
  const failures = new Map<string, Failure>();
  return {
    failed: (id, now, capMs = BACKOFF.capMs) => {
      const count = failures.get(id)?.count ?? 0;
      const delayMs = Math.min(backoffMs(count, BACKOFF), capMs);
      failures.set(id, { count: count + 1, wait: { since: now, until: now + delayMs } });
      return delayMs;
    },
    failedUntil: (id, { now, until }) => {
      failures.set(id, { count: failures.get(id)?.count ?? 0, wait: { since: now, until } });
    },
    begin: (id) => {
      const failure = failures.get(id);
      if (failure === undefined) return;
      failure.wait = undefined;
      if (failure.count === 0) failures.delete(id);
    },
    earliest: (id) => {
      const wait = failures.get(id)?.wait;
      return wait === undefined ? undefined : Math.min(wait.until, wait.since + EVENT_WAIT_MAX_MS);
    },
    forget: (id) => void failures.delete(id),
  };
}
