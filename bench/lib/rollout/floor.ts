/**
 * The floor: when there is evidence at all. Wald's test of two known shares of errors is the fastest there is for its rate of
 * false alarms: each request tells, on average, the divergence of the two (Kullback and Leibler), and it decides at
 * ln(1 / falseRollbackRate). A judge that must learn the stable version's share, and does not know the canary's, needs more.
 */

export interface FloorOf {
  /** Shares of failed requests. */
  readonly stable: number;
  readonly canary: number;
  readonly falseRollbackRate: number;
  readonly requestsPerSecond: number;
  /** Each step is held for so long; the last one for ever. */
  readonly percents: readonly number[];
  readonly holdSeconds: number;
}

/** Requests of the canary that tell enough, on average. */
export function requestsNeeded({ stable, canary, falseRollbackRate }: FloorOf): number {
  const divergence = canary * Math.log(canary / stable) + (1 - canary) * Math.log((1 - canary) / (1 - stable));
  return Math.log(1 / falseRollbackRate) / divergence;
}

/** Seconds from the first weight until the canary has answered that many. */
export function floorSeconds(of: FloorOf): number {
  let missing = requestsNeeded(of);
  for (const [index, percent] of of.percents.entries()) {
    const perSecond = (of.requestsPerSecond * percent) / 100;
    const seconds = missing / perSecond;
    if (seconds <= of.holdSeconds || index === of.percents.length - 1) return index * of.holdSeconds + seconds;
    missing -= of.holdSeconds * perSecond;
  }
  return Number.POSITIVE_INFINITY;
}
