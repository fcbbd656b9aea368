/** Exponential backoff: `baseMs * factor^attempt`, at most `capMs`. `attempt` starts at 0. */
export function backoffMs(attempt: number, options: { baseMs: number; capMs: number; factor?: number }): number {
  return Math.min(options.capMs, options.baseMs * (options.factor ?? 2) ** attempt);
}

/** Spreads a delay over [1 - ratio, 1 + ratio] of itself. `random` is in [0, 1). */
export function jitter(ms: number, ratio: number, random: number): number {
  return ms * (1 - ratio + 2 * ratio * random);
}
