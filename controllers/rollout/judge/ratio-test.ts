/**
 * The sequential test of "the canary's rate of bad requests is at most θ0 times the stable version's".
 *
 * In one interval the canary answers n_c requests, x_c of them bad, the stable version n_s with x_s bad; each request is
 * bad by itself, with any probability of its own, of mean p_c and p_s. For a suspected ratio θ let
 *
 *     D(θ) = θ·n_c + n_s        a = (θ/θ0)·D(θ0)/D(θ)        b = D(θ0)/D(θ)        L(θ) = a^x_c · b^x_s
 *
 * L(θ) is the likelihood ratio of θ against θ0 when, given x_c + x_s bad requests, each is the canary's with probability
 * θ·n_c/D(θ) (Lindon and Malek, Anytime-valid inference for multinomial count data, NeurIPS 2022, arXiv 2011.03567; mixture
 * and restart after Robbins 1970). That it may be multiplied over intervals follows without any Poisson approximation: the
 * mean of a product of independent requests is Π(1 + p·(a-1)) · Π(1 + p·(b-1)), and 1 + u <= e^u, so
 *
 *     E L(θ) <= exp( n_c·p_c·(a-1) + n_s·p_s·(b-1) )
 *
 * For harm, θ > θ0: a > 1 > b. Under the hypothesis p_c <= θ0·p_s, so the exponent is at most
 *     p_s·( θ0·n_c·(a-1) + n_s·(b-1) )
 *       = p_s·( [θ·n_c·D(θ0) - θ0·n_c·D(θ)] + [n_s·D(θ0) - n_s·D(θ)] )/D(θ)
 *       = p_s·( D(θ)·D(θ0) - D(θ0)·D(θ) )/D(θ) = 0
 * and E L(θ) <= 1. For "not inferior", θ < θ1 in place of θ0: a < 1 < b, the hypothesis is p_c >= θ1·p_s, and the same lines
 * hold. The product over intervals is therefore a supermartingale, whatever the weights do from tick to tick, and
 * whatever the rates do over the day as long as both versions live through it. No bad request at all leaves it at 1.
 *
 * Assumed: within an interval requests fail independently of each other. Where they do not, see `dispersion.ts`.
 */
import type { Tally } from "../../../crds/rollout-run.ts";

/** θ/θ0 of the harm that is looked for. */
export const HARM_GRID: readonly number[] = [1.5, 2, 3, 5, 10, 25, 100];
/** θ/θ1 of the ratios that would be good news. */
export const PROMOTE_GRID: readonly number[] = [0.75, 0.5, 0.25, 0.1];

/** What both versions answered in one interval. */
export interface Pair {
  readonly canary: Tally;
  readonly stable: Tally;
}

/** ln L(θ) of one interval for each θ = ratio · grid; zeros where one side answered nothing. */
export function ratioSteps({ canary, stable }: Pair, ratio: number, grid: readonly number[]): number[] {
  if (canary.total === 0 || stable.total === 0) return grid.map(() => 0);
  const bad = canary.bad + stable.bad;
  const before = ratio * canary.total + stable.total;
  return grid.map(
    (times) => canary.bad * Math.log(times) + bad * Math.log(before / (times * ratio * canary.total + stable.total)),
  );
}
