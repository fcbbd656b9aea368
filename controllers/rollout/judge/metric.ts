/** One metric of a release: the evidence that gathers tick by tick, and what it says of the stage. */
import type { Evidence, MetricState, Tally, Verdict } from "../../../crds/rollout-run.ts";
import { omitUndefined } from "../../../lib/core/objects.ts";
import { dispersionOf, learnDispersion, NO_DISPERSION } from "./dispersion.ts";
import { logMean, logMixture, logOfStage } from "./e-values.ts";
import { gather, isOver, settle } from "./interval.ts";
import { HARM_GRID, type Pair, PROMOTE_GRID, ratioSteps } from "./ratio-test.ts";
import { countText, eText, shareText, tallyText } from "./sentences.ts";
import { SHARE_GRID, shareSteps, upperBound } from "./share-test.ts";

/** What a metric is held against at the current stage. */
export interface MetricRules {
  readonly metric: Verdict["metric"];
  readonly ratio: number;
  readonly promoteRatio: number;
  /** Largest share of bad requests of the stage; without it nothing absolute is tested. */
  readonly limit: number | undefined;
  /** Error probability of each of this metric's tests: the policy's, divided by the number of all tests. */
  readonly level: number;
  readonly promoteLevel: number;
  readonly stages: number;
  readonly minSamples: number;
  readonly holdSeconds: number;
}

/** Where the stage stands. */
export interface StageStanding {
  readonly entries: number;
  readonly observedSeconds: number;
  /** Both versions have fresh counts. */
  readonly isFresh: boolean;
  /** For how long requests of the canary have stopped; absent while they come. */
  readonly quietSeconds: number | undefined;
  /** What both versions have answered at this stage, of whatever metric. */
  readonly canaryRequests: number;
  readonly stableRequests: number;
}

const NONE: Tally = { bad: 0, total: 0 };
const zeros = (grid: readonly number[]): number[] => grid.map(() => 0);
const plus = (values: readonly number[], steps: readonly number[]): number[] =>
  values.map((value, index) => value + (steps[index] ?? 0));
const add = (one: Tally, other: Tally): Tally => ({ bad: one.bad + other.bad, total: one.total + other.total });

/** @param hasLimit whether an absolute limit is tested, too */
export function beginMetric(hasLimit: boolean): MetricState {
  return {
    comparison: { run: zeros(HARM_GRID), stage: zeros(HARM_GRID), promote: zeros(PROMOTE_GRID) },
    ...(hasLimit ? { slo: zeros(SHARE_GRID) } : {}),
    dispersion: NO_DISPERSION,
    canary: NONE,
    stable: NONE,
  };
}

/** The stage's own sums and processes begin anew; those of the run, what was learnt and a failure stay. */
export function enterStage(state: MetricState, levels: Levels): MetricState {
  const { run } = gathered(state, levels).comparison;
  const { learning, failure } = state;
  const { comparison, ...rest } = beginMetric(state.slo !== undefined);
  return {
    ...rest,
    comparison: { ...comparison, run },
    dispersion: learning === undefined ? state.dispersion : learnDispersion(state.dispersion, learning),
    ...(failure === undefined ? {} : { failure }),
  };
}

/** One tick, and how long an interval is. */
export interface TickOfMetric extends Pair {
  readonly ms: number;
  readonly intervalMs: number;
}

/** Adds one tick. */
export function absorb(state: MetricState, tick: TickOfMetric, rules: MetricRules): MetricState {
  const { open: before = {}, learning: _, ...rest } = state;
  const { canary, stable, ms, intervalMs } = tick;
  const dispersion = dispersionOf(state.dispersion);
  // Whose bursts would speak for the test.
  const of = ({ bad }: Tally, steps: readonly number[]) => ({ steps, ms, hasBad: bad > 0, dispersion });
  const back = { level: rules.level, intervalMs };
  const harm = gather(before.harm, of(canary, ratioSteps(tick, rules.ratio, HARM_GRID)), back);
  const slo =
    state.slo === undefined || rules.limit === undefined
      ? undefined
      : gather(before.slo, of(canary, shareSteps(canary, rules.limit)), back);
  const promote = gather(before.promote, of(stable, ratioSteps(tick, rules.promoteRatio, PROMOTE_GRID)), {
    level: rules.promoteLevel,
    intervalMs,
  });
  const { comparison } = state;
  const open = omitUndefined({ harm: harm.open, slo: slo?.open, promote: promote.open });
  return {
    ...rest,
    comparison: {
      run: plus(comparison.run, harm.settled),
      stage: plus(comparison.stage, harm.settled),
      promote: plus(comparison.promote, promote.settled),
    },
    ...(state.slo === undefined || slo === undefined ? {} : { slo: plus(state.slo, slo.settled) }),
    ...learnt(state, tick),
    canary: add(state.canary, canary),
    stable: add(state.stable, stable),
    ...(Object.keys(open).length === 0 ? {} : { open }),
  };
}

/** Bursts are learnt from whole intervals: in a part of one there is a part of a burst. */
function learnt(state: MetricState, tick: TickOfMetric): Pick<MetricState, "dispersion" | "learning"> {
  const { canary = NONE, stable = NONE, ms = 0 } = state.learning ?? {};
  const learning = { canary: add(canary, tick.canary), stable: add(stable, tick.stable), ms: ms + tick.ms };
  return isOver(learning.ms, tick.ms, tick.intervalMs)
    ? { dispersion: learnDispersion(state.dispersion, learning) }
    : { dispersion: state.dispersion, learning };
}

type Levels = Pick<MetricRules, "level" | "promoteLevel">;

/** All evidence until now, with that of intervals that are not over. */
function gathered({ comparison, slo, open = {} }: MetricState, { level, promoteLevel }: Levels) {
  const { run, stage, promote } = comparison;
  const harm = open.harm === undefined ? [] : settle(open.harm, level);
  return {
    comparison: {
      run: plus(run, harm),
      stage: plus(stage, harm),
      promote: open.promote === undefined ? promote : plus(promote, settle(open.promote, promoteLevel)),
    },
    slo: slo === undefined || open.slo === undefined ? slo : plus(slo, settle(open.slo, level)),
  };
}

/** Logarithms of the e-values: half of "harm" looks since the run's begin, half since each stage's. */
export function evidenceOf(
  state: MetricState,
  entries: number,
  { stages, ...levels }: Levels & Pick<MetricRules, "stages">,
): Evidence {
  const { comparison, slo } = gathered(state, levels);
  const harm = logMean([
    [0.5, logMixture(comparison.run)],
    [0.5, logOfStage(comparison.stage, entries, stages)],
  ]);
  const promote = logMixture(comparison.promote);
  return slo === undefined ? { harm, promote } : { harm, slo: logOfStage(slo, entries, stages), promote };
}

/** What the metric says of the stage; checks in the order of their weight. */
export function assessMetric(
  state: MetricState,
  evidence: Evidence,
  { rules, standing }: { readonly rules: MetricRules; readonly standing: StageStanding },
): Verdict {
  const { canary, stable } = state;
  const needed = -Math.log(rules.level);
  const both = `canary ${tallyText(canary)}, stable ${tallyText(stable)} at this stage`;
  const say = (verdict: Verdict["verdict"], reason: Verdict["reason"], message: string): Verdict => ({
    verdict,
    reason,
    metric: rules.metric,
    message: `${rules.metric}: ${message}`,
  });

  if (state.failure !== undefined) return state.failure;
  if (evidence.harm >= needed) {
    const words = `worse than ${rules.ratio} times the stable version, e-value ${eText(evidence.harm)} of ${eText(needed)}`;
    return say("Fail", "Harm", `${both}: ${words}`);
  }
  if (evidence.slo !== undefined && rules.limit !== undefined && evidence.slo >= needed) {
    const words = `above ${shareText(rules.limit)}, e-value ${eText(evidence.slo)} of ${eText(needed)}`;
    return upperBound(stable) < rules.limit || stable.total === 0
      ? say("Fail", "SloBreach", `${both}: the canary is ${words}`)
      : say("Unknown", "CommonCause", `${both}: the canary is ${words}, and so may be the stable version`);
  }
  if (!standing.isFresh) return say("Unknown", "NoData", `no fresh counts; ${both}`);
  if (standing.canaryRequests === 0) {
    return say("Unknown", "NoTraffic", "the canary has answered no request at this stage");
  }
  if (standing.quietSeconds !== undefined) {
    const words = `the canary has answered no request for ${Math.floor(standing.quietSeconds)} s`;
    return say("Unknown", "NoTraffic", `${words}; ${both}`);
  }
  if (standing.stableRequests === 0) {
    return say("Unknown", "NoBaseline", "the stable version has answered no request at this stage");
  }
  if (canary.total < rules.minSamples) {
    return say(
      "Inconclusive",
      "TooFewSamples",
      `${countText(canary.total)} of ${countText(rules.minSamples)} samples; ${both}`,
    );
  }
  if (rules.limit !== undefined && canary.bad > rules.limit * canary.total) {
    const words = `above ${shareText(rules.limit)}`;
    return stable.bad > rules.limit * stable.total
      ? say("Unknown", "CommonCause", `${both}: both are ${words}`)
      : say("Inconclusive", "GateExceeded", `${both}: the canary is ${words}, not yet beyond doubt`);
  }
  if (evidence.promote >= -Math.log(rules.promoteLevel)) {
    const words = `better than ${rules.promoteRatio} times the stable version, e-value ${eText(evidence.promote)} of ${eText(-Math.log(rules.promoteLevel))}`;
    return say("Pass", "NotInferior", `${both}: ${words}`);
  }
  const hold = `${Math.floor(standing.observedSeconds)} of ${rules.holdSeconds} s observed`;
  return standing.observedSeconds >= rules.holdSeconds
    ? say("Pass", "HoldOver", `${both}; ${hold}`)
    : say("Inconclusive", "Holding", `${both}; ${hold}`);
}
