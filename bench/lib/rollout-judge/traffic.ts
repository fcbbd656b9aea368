/** Errors of a service in the simulation, drawn from a seed. */

/** Errors of one version. */
export interface Truth {
  /** Mean share of failed requests. */
  readonly rate: number;
  /** Errors that one cause brings at once, in one version; 1 when absent: each fails by itself. */
  readonly burst?: number;
  /** From this stage on (from 0) another share fails. */
  readonly later?: { readonly stage: number; readonly rate: number };
  /** Requests above the bound of latency; not simulated when absent. */
  readonly slow?: { readonly rate: number; readonly burst: number };
}

/** Number of successes in `n` trials; the number of draws grows with the successes only. */
export function binomial(n: number, p: number, random: () => number): number {
  if (p <= 0 || n <= 0) return 0;
  if (p > 0.5) return n - binomial(n, 1 - p, random);
  const scale = Math.log1p(-p);
  let successes = -1;
  // Trials up to the next success are geometric.
  for (let at = 0; at <= n; successes += 1) at += Math.floor(Math.log(1 - random()) / scale) + 1;
  return successes;
}

/** Failed ones of a tick's requests. */
export function errorsOf(
  { rate, burst = 1, later }: Truth,
  { requests, stage }: { readonly requests: number; readonly stage: number },
  random: () => number,
): number {
  const now = later !== undefined && stage >= later.stage ? later.rate : rate;
  return inBursts(requests, { rate: now, burst }, random);
}

/** Buckets below and above the bound. */
export function latencyOf({ slow }: Truth, requests: number, random: () => number): number[] | undefined {
  if (slow === undefined) return undefined;
  const above = inBursts(requests, slow, random);
  return [requests - above, above];
}

function inBursts(
  requests: number,
  { rate, burst }: { readonly rate: number; readonly burst: number },
  random: () => number,
): number {
  return Math.min(requests, burst * binomial(requests, rate / burst, random));
}
