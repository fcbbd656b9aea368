/**
 * Latency as a share: a request is slow above a bound that the stable version's early ticks give (the first bucket edge above
 * its quantile), and then the shares of slow requests are compared as those of failed ones are. A histogram has no more to
 * say at that point than the counts on both sides of an edge; a slow hour slows both versions and cancels, which a fixed bound or
 * a mean would not give; and the guarantee is the same.
 */
import type { JudgeState, Tally } from "../../../crds/rollout-run.ts";

/** Slow requests that the bound must rest on. */
const SLOW_MIN = 20;

/** Requests above the bound, of all. */
export function slowOf(buckets: readonly number[], bound: number): Tally {
  const total = buckets.reduce((sum, count) => sum + count, 0);
  return { bad: buckets.slice(bound + 1).reduce((sum, count) => sum + count, 0), total };
}

/** Gathers the stable version's buckets until they suffice for a bound. */
export function chooseBound(
  before: readonly number[] | undefined,
  tick: readonly number[],
  quantile: number,
): Pick<JudgeState, "bound" | "buckets"> {
  const buckets = tick.map((count, index) => count + (before?.[index] ?? 0));
  const total = buckets.reduce((sum, count) => sum + count, 0);
  // No edge at all: everything is in one bucket, and nothing can be slow.
  if (total * (1 - quantile) < SLOW_MIN || buckets.length < 2) return { buckets };
  const last = buckets.length - 2;
  for (let bound = 0; bound < last; bound += 1) {
    if (slowOf(buckets, bound).bad <= (1 - quantile) * total) return { buckets, bound };
  }
  return { buckets, bound: last };
}
