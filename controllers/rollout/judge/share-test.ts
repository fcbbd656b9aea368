/**
 * The sequential test of "the share of bad requests is at most `limit`": the likelihood ratio of a larger share p against it,
 * (p/limit)^bad · ((1-p)/(1-limit))^good. One request has the mean 1 + (q - limit)·(p - limit)/(limit·(1-limit)) <= 1 for each
 * true probability q <= limit, and the mean of many with different q is at most that of their mean (arithmetic and geometric
 * means), so the product is a supermartingale (Wald 1945). The shares p have odds that are multiples of the limit's.
 */
import type { Tally } from "../../../crds/rollout-run.ts";

/** Odds of the suspected share over the odds of the limit. */
export const SHARE_GRID: readonly number[] = [1.5, 2, 3, 5, 10];

/** ln of the likelihood ratios of one interval. */
export function shareSteps({ bad, total }: Tally, limit: number): number[] {
  return SHARE_GRID.map((times) => {
    // With odds `times` as high: p = times·limit / (1 - limit + times·limit).
    const whole = 1 - limit + times * limit;
    return bad * Math.log(times / whole) - (total - bad) * Math.log(whole);
  });
}

/** Standard deviations of `upperBound`. */
const DEVIATIONS = 2;

/** Upper end of Wilson's interval for the share; 1 without requests. */
export function upperBound({ bad, total }: Tally): number {
  if (total === 0) return 1;
  const square = DEVIATIONS ** 2;
  const share = bad / total;
  const spread = DEVIATIONS * Math.sqrt((share * (1 - share)) / total + square / (4 * total ** 2));
  return (share + square / (2 * total) + spread) / (1 + square / total);
}
