/** Times of rows: they ascend, and their distances are those of the monotonic clock, whatever the wall clock does. */

/** When a sample was begun, by both clocks in milliseconds; the wall clock's as rows have it. */
export interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/** Up to here the wall clock is let run ahead, so that a clock that is being set right leaves no gaps between rows. */
const DRIFT_MS = 1_000;

/**
 * The time of the next sample. A wall clock that was set back is waited for; one that jumped ahead is followed, and the time
 * of the row stays what it was: a gap comes before it.
 * @param floorMs end of the last row that is there already
 */
export function nextMoment(
  last: Moment | undefined,
  now: Moment,
  floorMs: number,
): Moment & { readonly elapsedMs: number } {
  if (last === undefined) return { ...now, wallMs: Math.max(Math.round(now.wallMs), floorMs), elapsedMs: 0 };
  const elapsedMs = Math.max(1, Math.round(now.monotonicMs - last.monotonicMs));
  const expected = last.wallMs + elapsedMs;
  const wallMs = now.wallMs - expected > DRIFT_MS ? Math.round(now.wallMs) : expected;
  return { wallMs, monotonicMs: last.monotonicMs + elapsedMs, elapsedMs };
}
