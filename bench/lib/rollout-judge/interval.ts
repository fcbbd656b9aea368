/** How far a share that was counted may be from the true one: Clopper and Pearson's bounds, 97.5 % each. */

const TAIL = 0.025;

/** Largest share under which so few successes (or fewer) still have a chance of 2.5 %. */
export function upperLimit(successes: number, trials: number): number {
  if (successes >= trials) return 1;
  let [low, high] = [successes / trials, 1];
  for (let step = 0; step < 60; step += 1) {
    const middle = (low + high) / 2;
    if (atMost(successes, trials, middle) > TAIL) low = middle;
    else high = middle;
  }
  return high;
}

/** Smallest share under which so many successes (or more) still have a chance of 2.5 %. */
export function lowerLimit(successes: number, trials: number): number {
  return 1 - upperLimit(trials - successes, trials);
}

/** P(X <= k) of a binomial distribution. */
function atMost(k: number, n: number, p: number): number {
  let logTerm = n * Math.log1p(-p);
  let sum = Math.exp(logTerm);
  for (let index = 1; index <= k; index += 1) {
    logTerm += Math.log(((n - index + 1) / index) * (p / (1 - p)));
    sum += Math.exp(logTerm);
  }
  return sum;
}
