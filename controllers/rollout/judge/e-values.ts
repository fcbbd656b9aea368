/**
 * E-values in logarithms, and how several tests share one error probability.
 *
 * An e-process starts at 1, is never negative, and its mean under the hypothesis never rises. By Ville's inequality it
 * reaches 1/α with probability α at most, whenever and however often one looks (Ville 1939). A weighted mean of such
 * processes, with weights that sum to 1, is one too: that is how the tests below look for many sizes of harm, and begin anew
 * at each stage, at the price of a logarithm.
 */

/** ln(Σ weightᵢ · e^valueᵢ) without overflow; weights may be 0. */
export function logMean(terms: readonly (readonly [weight: number, value: number])[]): number {
  let highest = Number.NEGATIVE_INFINITY;
  for (const [weight, value] of terms) if (weight > 0) highest = Math.max(highest, value);
  let sum = 0;
  for (const [weight, value] of terms) if (weight > 0) sum += weight * Math.exp(value - highest);
  return highest + Math.log(sum);
}

/** Mean of the components of a mixture, all with the same weight. */
export function logMixture(components: readonly number[]): number {
  return logMean(components.map((component) => [1 / components.length, component] as const));
}

/**
 * A process that begins at the `entry`-th stage (from 1) of a ladder of `stages`, in a mean with those of all other stages.
 * Entries beyond the ladder (a stage that is entered again) share what one stage has, half of the rest each.
 * @returns its weight, and the weight of processes that have not begun and still stand at 1
 */
export function stageWeights(entry: number, stages: number): { readonly current: number; readonly later: number } {
  const share = 1 / (stages + 1);
  if (entry <= stages) return { current: share, later: 1 - entry * share };
  const left = share * 2 ** (stages - entry);
  return { current: left, later: left };
}

/** ln of the mean of a stage's process with those that have not begun. */
export function logOfStage(components: readonly number[], entry: number, stages: number): number {
  const { current, later } = stageWeights(entry, stages);
  return logMean([
    [current, logMixture(components)],
    [later, 0],
  ]);
}
