/**
 * The judge of a release: a fold over ticks. Everything it knows is in its state, so that the same ticks give the same verdicts,
 * bit for bit, wherever and whenever they are judged.
 */
import type { RolloutPolicy } from "../../../crds/rollout-policy.ts";
import type { Counts, JudgeState, MetricState, RunRow, Verdict } from "../../../crds/rollout-run.ts";
import { assert } from "../../../lib/core/assert.ts";
import { chooseBound, slowOf } from "./latency.ts";
import {
  absorb,
  assessMetric,
  beginMetric,
  enterStage,
  evidenceOf,
  type MetricRules,
  type TickOfMetric,
} from "./metric.ts";
import type { Pair } from "./ratio-test.ts";

/** One interval: what both versions answered at one weight, after the gateway was seen to have taken it. */
export type Tick = Pick<RunRow, "from" | "to" | "stage" | "weightBps" | "canary" | "stable" | "silentMs">;

/** What the judge says of a tick, and why. */
export type Judgement = Pick<RunRow, "verdict" | "evidence">;

/** The judge before the first tick. */
export function beginJudge(policy: RolloutPolicy): JudgeState {
  return {
    entries: 0,
    stage: -1,
    weightBps: 0,
    observedMs: 0,
    errors: beginMetric(true),
    ...(policy.latency === undefined ? {} : { latency: beginMetric(false) }),
  };
}

/** Takes one more tick. */
export function judgeTick(
  state: JudgeState,
  tick: Tick,
  policy: RolloutPolicy,
): { readonly state: JudgeState; readonly judgement: Judgement } {
  const absorbed = absorbTick(enterTick(state, tick, policy), tick, policy);
  const judged = judge(absorbed, tick, policy);
  return { state: withFailures(absorbed, judged), judgement: { verdict: worst(judged), evidence: judged.evidence } };
}

/** Another stage or another weight: evidence for going on is gathered anew. */
function enterTick(state: JudgeState, { stage, weightBps }: Tick, policy: RolloutPolicy): JudgeState {
  if (stage === state.stage && weightBps === state.weightBps) return state;
  const levels = levelsOf(policy);
  // A stage in which the canary answered nothing has used nothing up: ticks of the stable version alone, before the first weight.
  const isUnused = state.entries > 0 && state.errors.canary.total === 0;
  const { quietMs: _, ...rest } = state;
  return {
    ...rest,
    entries: isUnused ? state.entries : state.entries + 1,
    stage,
    weightBps,
    observedMs: 0,
    errors: enterStage(state.errors, levels),
    ...(state.latency === undefined ? {} : { latency: enterStage(state.latency, levels) }),
  };
}

function absorbTick(state: JudgeState, tick: Tick, policy: RolloutPolicy): JudgeState {
  const { canary, stable } = tick;
  if (canary === undefined || stable === undefined) return state;
  const ms = Date.parse(tick.to) - Date.parse(tick.from);
  const times = { ms, intervalMs: policy.intervalSeconds * 1_000 };
  const pair = { canary: failed(canary), stable: failed(stable) };
  return {
    ...withTime(state, ms - (tick.silentMs ?? 0), { isAnswering: canary.requests > 0, policy }),
    ...absorbLatency(state, { canary, stable, ...times }, latencyRules(policy, tick.stage)),
    errors: absorb(state.errors, { ...pair, ...times }, errorRules(policy, tick.stage)),
  };
}

/** Time in which requests had stopped was no time of the stage, once they come again. */
function withTime(
  state: JudgeState,
  ms: number,
  { isAnswering, policy }: { readonly isAnswering: boolean; readonly policy: RolloutPolicy },
): JudgeState {
  const { quietMs = 0, observedMs, ...rest } = state;
  if (!isAnswering) return { ...rest, observedMs: observedMs + ms, quietMs: quietMs + ms };
  return { ...rest, observedMs: observedMs + ms - (quietSeconds(state, policy) === undefined ? 0 : quietMs) };
}

/** Requests that the canary would have answered meanwhile, had they gone on as before: then silence is no chance. */
const MISSED = 20;

/** For how long requests of the canary have stopped. @returns `undefined` where they come, or come so rarely that nobody can tell */
function quietSeconds({ quietMs = 0, observedMs, errors }: JudgeState, policy: RolloutPolicy): number | undefined {
  const missed = (errors.canary.total * quietMs) / Math.max(1, observedMs - quietMs);
  return missed >= MISSED && quietMs >= policy.intervalSeconds * 1_000 ? quietMs / 1_000 : undefined;
}

function failed({ errors, requests }: Counts): Pair["canary"] {
  return { bad: errors, total: requests };
}

/** Slow is judged by a bound that was chosen in ticks before: one that is chosen by what it judges would bias the test. */
function absorbLatency(
  state: JudgeState,
  { canary, stable, ...times }: { readonly canary: Counts; readonly stable: Counts } & Omit<TickOfMetric, keyof Pair>,
  rules: ReturnType<typeof latencyRules>,
): Pick<JudgeState, "latency" | "bound" | "buckets"> {
  const { latency, bound, buckets } = state;
  if (latency === undefined || rules === undefined) return {};
  if (canary.latency === undefined || stable.latency === undefined) return {};
  if (bound === undefined) return chooseBound(buckets, stable.latency, rules.quantile);
  const pair = { canary: slowOf(canary.latency, bound), stable: slowOf(stable.latency, bound) };
  return { latency: absorb(latency, { ...pair, ...times }, rules) };
}

interface Judged {
  readonly errors: Verdict;
  readonly latency: Verdict | undefined;
  /** The latency may keep a stage from passing. */
  readonly isLatencyRequired: boolean;
  readonly evidence: RunRow["evidence"];
}

function judge(state: JudgeState, { stage, canary, stable }: Tick, policy: RolloutPolicy): Judged {
  const isFresh = canary !== undefined && stable !== undefined;
  const standing = {
    entries: state.entries,
    observedSeconds: state.observedMs / 1000,
    isFresh,
    quietSeconds: quietSeconds(state, policy),
    canaryRequests: state.errors.canary.total,
    stableRequests: state.errors.stable.total,
  };
  const shares = { stages: policy.stages.length, ...levelsOf(policy) };
  const errors = evidenceOf(state.errors, state.entries, shares);
  const errorsVerdict = assessMetric(state.errors, errors, { rules: errorRules(policy, stage), standing });
  const rules = latencyRules(policy, stage);
  if (state.latency === undefined || rules === undefined) {
    return { errors: errorsVerdict, latency: undefined, isLatencyRequired: false, evidence: { errors } };
  }
  const latency = evidenceOf(state.latency, state.entries, shares);
  const hasLatency = isFresh && canary.latency !== undefined && stable.latency !== undefined;
  return {
    errors: errorsVerdict,
    latency: assessMetric(state.latency, latency, { rules, standing: { ...standing, isFresh: hasLatency } }),
    isLatencyRequired: policy.latency?.required ?? false,
    evidence: { errors, latency },
  };
}

const SEVERITY: readonly Verdict["verdict"][] = ["Fail", "Unknown", "Inconclusive", "Pass"];

/** The worst verdict of all metrics; one that is not required counts when it fails. */
function worst({ errors, latency, isLatencyRequired }: Judged): Verdict {
  if (latency === undefined || (!isLatencyRequired && latency.verdict !== "Fail")) return errors;
  return SEVERITY.indexOf(latency.verdict) < SEVERITY.indexOf(errors.verdict) ? latency : errors;
}

function withFailures(state: JudgeState, { errors, latency }: Judged): JudgeState {
  const keep = (metric: MetricState, verdict: Verdict | undefined): MetricState =>
    verdict?.verdict === "Fail" ? { ...metric, failure: verdict } : metric;
  return {
    ...state,
    errors: keep(state.errors, errors),
    ...(state.latency === undefined ? {} : { latency: keep(state.latency, latency) }),
  };
}

/** Two tests of errors, one of latency: the rate of false rollbacks is divided among them. */
function levelsOf({ falseRollbackRate, falsePromotionRate, latency }: RolloutPolicy) {
  return { level: falseRollbackRate / (latency === undefined ? 2 : 3), promoteLevel: falsePromotionRate };
}

function common(policy: RolloutPolicy, index: number) {
  const stage = policy.stages[index];
  assert(stage !== undefined, `the policy has no stage ${index}`);
  return {
    stage,
    rules: {
      ...levelsOf(policy),
      stages: policy.stages.length,
      minSamples: stage.minSamples,
      holdSeconds: stage.holdSeconds,
    },
  };
}

function errorRules(policy: RolloutPolicy, index: number): MetricRules {
  const { stage, rules } = common(policy, index);
  return { ...rules, ...policy.errors, metric: "errors", limit: stage.maxErrorRate };
}

function latencyRules(policy: RolloutPolicy, index: number) {
  if (policy.latency === undefined) return undefined;
  const { ratio, promoteRatio, quantile } = policy.latency;
  const { rules } = common(policy, index);
  return { ...rules, ratio, promoteRatio, quantile, metric: "latency" as const, limit: undefined };
}
