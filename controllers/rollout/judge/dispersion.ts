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
 * The canary's own bursts are not forgiven: a canary that breaks in bursts is broken. They count only for as long as the stable
 * version has shown too few errors to tell, and only up to a size: an outage that begins is not a burst.
 */
import type { MetricState, Tally } from "../../../crds/rollout-run.ts";
import type { Pair } from "./ratio-test.ts";

/** What was learnt of both versions. */
export type Dispersions = MetricState["dispersion"];
/** Of one version: sums over pairs of neighbouring ticks, in errors of one tick. */
type Dispersion = Dispersions["stable"];

/** Errors that the estimate has in advance, independent ones: a first pair of ticks says little. */
const PRIOR = 1;
/** Errors of the stable version after which the canary's bursts count half. */
const ENOUGH = 10;
/** Largest burst of the canary that is believed. */
const BURST_MAX = 20;
/** Part of the evidence that is needed, which one interval can bring: two ticks can fail a release, one cannot. */
const INTERVAL_PART = 0.6;

const NOTHING: Dispersion = { expected: 0, seen: 0 };
export const NO_DISPERSION: Dispersions = { canary: NOTHING, stable: NOTHING };

/** Variance over mean, at least 1. */
export function dispersionOf({ canary, stable }: Dispersions): number {
  const part = ENOUGH / (ENOUGH + stable.expected);
  return Math.max(1, (PRIOR + stable.seen + part * canary.seen) / (PRIOR + stable.expected + part * canary.expected));
}

/** Learns from one more tick. */
export function learnDispersion(state: Dispersions, tick: Pair): Dispersions {
  return {
    canary: learn(state.canary, tick.canary, BURST_MAX),
    stable: learn(state.stable, tick.stable, Number.POSITIVE_INFINITY),
  };
}

/** A tick without requests is passed over. */
function learn(state: Dispersion, tick: Tally, burstMax: number): Dispersion {
  if (tick.total === 0) return state;
  const { last } = state;
  if (last === undefined) return { ...state, last: tick };
  // For a rate p the squared difference has the mean φ·p/half; both sums are in errors of one tick.
  const half = (last.total * tick.total) / (last.total + tick.total);
  const difference = tick.bad / tick.total - last.bad / last.total;
  const expected = (2 * half * (tick.bad + last.bad)) / (tick.total + last.total);
  const seen = expected === 0 ? 0 : Math.min(2 * half * half * difference * difference, burstMax * expected);
  return { expected: state.expected + expected, seen: state.seen + seen, last: tick };
}

/** What a test adds to its components after an interval. @param level error probability of the test */
export function soften(steps: readonly number[], dispersion: number, level: number): number[] {
  const cap = INTERVAL_PART * -Math.log(level);
  return steps.map((step) => Math.min(step / dispersion, cap));
}
