/** One simulated release: traffic on the ladder, looked at every tick, until it is at the end, rolled back, or held too long. */
import { beginJudge, judgeTick, type Tick } from "../../../controllers/rollout/judge/judge.ts";
import type { RolloutPolicy } from "../../../crds/rollout-policy.ts";
import { binomial, errorsOf, latencyOf, type Truth } from "./traffic.ts";

export const TICK_SECONDS = 5;
/** Ticks soon after a change of weight, and how soon that is, as `sampling/pace` has them. */
const QUICK_TICK_SECONDS = 0.5;
const QUICK_SECONDS = 15;
/** Of the requests, when all others go to the canary: without them there is nothing to compare with. */
const HOLDBACK = 0.05;
const STAGE_SECONDS_MAX = 1_200;

/** What a decider makes of a tick: back, on to the next stage, or neither. */
export type Decision = "Fail" | "Pass" | "wait";
export type Decider = (tick: Required<Omit<Tick, "silentMs">>) => Decision;

export interface Release {
  readonly stable: Truth;
  readonly canary: Truth;
  readonly requestsPerSecond: number;
  /** Ticks of the stable version alone, before the first weight; none when absent. */
  readonly warmUpTicks?: number;
  /** Every so many ticks, on average, a moment in which this share of all requests fails, whoever answers. */
  readonly hiccups?: { readonly everyTicks: number; readonly share: number };
}

export interface Outcome {
  readonly end: "rolled back" | "promoted" | "held";
  readonly seconds: number;
  /** Failed requests that the canary answered. */
  readonly errorsServed: number;
}

/** Plays one release to its end. */
export function playRelease(
  release: Release,
  of: { policy: RolloutPolicy; decide: Decider; random: () => number; looksQuickly: boolean },
): Outcome {
  const { policy, decide, random, looksQuickly } = of;
  let [stage, seconds, stageSeconds, errorsServed] = [0, 0, 0, 0];
  let warmUp = release.warmUpTicks ?? 0;
  for (; ; warmUp -= 1) {
    const weightBps = warmUp > 0 ? 0 : (policy.stages[stage]?.weightBps ?? 0);
    const tickSeconds = looksQuickly && stageSeconds < QUICK_SECONDS ? QUICK_TICK_SECONDS : TICK_SECONDS;
    const total = release.requestsPerSecond * tickSeconds;
    const requests = binomial(total, Math.min(weightBps / 10_000, 1 - HOLDBACK), random);
    const { hiccups } = release;
    const hiccup = hiccups !== undefined && random() < 1 / hiccups.everyTicks ? hiccups.share : 0;
    const side = (truth: Truth, answered: number) => {
      const own = errorsOf(truth, { requests: answered, stage }, random);
      const latency = latencyOf(truth, answered, random);
      const errors = own + binomial(answered - own, hiccup, random);
      return { requests: answered, errors, ...(latency === undefined ? {} : { latency }) };
    };
    const canary = side(release.canary, requests);
    const stable = side(release.stable, total - requests);
    const [from, to] = [timeAt(seconds), timeAt(seconds + tickSeconds)];
    const decision = decide({ from, to, stage, weightBps, canary, stable });
    seconds += tickSeconds;
    stageSeconds += tickSeconds;
    errorsServed += canary.errors;
    if (decision === "Fail") return { end: "rolled back", seconds, errorsServed };
    if (decision === "Pass") [stage, stageSeconds] = [stage + 1, 0];
    if (stage === policy.stages.length) return { end: "promoted", seconds, errorsServed };
    if (stageSeconds >= STAGE_SECONDS_MAX) return { end: "held", seconds, errorsServed };
  }
}

function timeAt(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}

/** Our judge. */
export function sequentialJudge(policy: RolloutPolicy): Decider {
  let state = beginJudge(policy);
  return (tick) => {
    const next = judgeTick(state, tick, policy);
    state = next.state;
    const { verdict } = next.judgement.verdict;
    return verdict === "Fail" || verdict === "Pass" ? verdict : "wait";
  };
}

/** The original's rule: from the least number of samples on, the stage's rate so far must not be above its limit at any tick. */
export function fixedGate(policy: RolloutPolicy): Decider {
  let [stage, seconds, requests, errors] = [0, 0, 0, 0];
  return (tick) => {
    if (tick.stage !== stage) [stage, seconds, requests, errors] = [tick.stage, 0, 0, 0];
    const rules = policy.stages[stage] as RolloutPolicy["stages"][number];
    seconds += TICK_SECONDS;
    requests += tick.canary.requests;
    errors += tick.canary.errors;
    if (requests < rules.minSamples) return "wait";
    if (errors > rules.maxErrorRate * requests) return "Fail";
    return seconds >= rules.holdSeconds ? "Pass" : "wait";
  };
}
