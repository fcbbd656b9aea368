/**
 * How much errors come in bursts, learnt from the stable version, and what a test may make of one interval because of it.
 *
 * Errors of one cause come together (a pool of connections breaks, a client tries again), and a test that takes each for a
 * witness of its own blames a good canary for one burst. Two measures, chosen by simulation (docs/adr/0025-the-judge.md):
 *
 * - Evidence is divided by the dispersion: variance over mean of the stable version's errors from tick to tick, 1 for
 *   independent ones, k where each cause brings k. It is taken from ticks before, so dividing by it keeps the guarantee of
 *   independent errors: E L^(1/φ) <= (E L)^(1/φ) <= 1 for φ >= 1 (Jensen). Differences of neighbouring ticks are used, so that
 *   a rate that drifts over the day is not taken for bursts.
 * - One interval alone decides nothing: what it adds is bounded to a part of what is needed. A smaller increment is one, too.
 *
 * The canary's own bursts are not forgiven: a canary that breaks in bursts is broken.
 */
import type { MetricState, Tally } from "../../../crds/rollout-run.ts";

export type Dispersion = MetricState["dispersion"];

/** Errors that the estimate has in advance, independent ones: a first pair of ticks says little. */
const PRIOR = 1;
/** Part of the evidence that is needed, which one interval can bring: two ticks can fail a release, one cannot. */
const INTERVAL_PART = 0.6;

export const NO_DISPERSION: Dispersion = { expected: 0, seen: 0 };

/** Variance over mean, at least 1. */
export function dispersionOf({ expected, seen }: Dispersion): number {
  return Math.max(1, (PRIOR + seen) / (PRIOR + expected));
}

/** Learns from one more tick of the stable version. A tick without requests is passed over. */
export function learnDispersion(state: Dispersion, tick: Tally): Dispersion {
  if (tick.total === 0) return state;
  const { last } = state;
  if (last === undefined) return { ...state, last: tick };
  // For a rate p the squared difference has the mean φ·p/half; both sums are in errors of one tick.
  const half = (last.total * tick.total) / (last.total + tick.total);
  const difference = tick.bad / tick.total - last.bad / last.total;
  const rate = (tick.bad + last.bad) / (tick.total + last.total);
  return {
    expected: state.expected + 2 * half * rate,
    seen: state.seen + 2 * half * half * difference * difference,
    last: tick,
  };
}

/** What a test adds to its components after an interval. @param level error probability of the test */
export function soften(steps: readonly number[], dispersion: number, level: number): number[] {
  const cap = INTERVAL_PART * -Math.log(level);
  return steps.map((step) => Math.min(step / dispersion, cap));
}
