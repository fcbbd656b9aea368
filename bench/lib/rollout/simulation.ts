/** What no cluster can show in a day: thousands of releases, judged with the default policy at every look of the ladder. */
import { rolloutPolicy } from "../../../crds/rollout-policy.ts";
import { upperLimit } from "../rollout-judge/interval.ts";
import { sequentialJudge } from "../rollout-judge/ladder.ts";
import { plainRelease, playReleases } from "../rollout-judge/runs.ts";
import { ARGO_ANALYSIS } from "./argo-rollouts.ts";
import { CASES } from "./cases.ts";
import { OUR_ANALYSIS } from "./ours.ts";
import { STABLE_ERRORS } from "./side.ts";
import { rolledBackShare } from "./threshold.ts";

const GOOD_RUNS = 2_000;
const WEAK_RUNS = 1_000;
const WEAK_ERRORS = 0.005;
const SEED = 1;

export interface Simulated {
  readonly goodRuns: number;
  /** Share of good releases (0.1 → 0.1 %) that were rolled back. */
  readonly falseRollbackRate: number;
  /** With 97.5 % confidence. */
  readonly falseRollbackRateUpperLimit: number;
  /** What the policy asks for. */
  readonly askedRate: number;
  readonly weakRuns: number;
  /** Share of releases of 0.1 → 0.5 % that were rolled back. */
  readonly caught: number;
  /** The same shares for each threshold of the rival, on the ladder of the cluster. */
  readonly thresholds: readonly {
    readonly thresholdBps: number;
    readonly falseRollbackRate: number;
    readonly caught: number;
  }[];
}

export function simulate(): Simulated {
  const policy = rolloutPolicy.parse({ intervalSeconds: OUR_ANALYSIS.intervalSeconds });
  const rolledBack = (canary: number, runs: number): number =>
    playReleases(plainRelease(STABLE_ERRORS, canary), {
      policy,
      make: sequentialJudge,
      runs,
      seed: SEED,
      looksQuickly: true,
    }).filter(({ end }) => end === "rolled back").length;
  const good = rolledBack(STABLE_ERRORS, GOOD_RUNS);
  return {
    goodRuns: GOOD_RUNS,
    falseRollbackRate: good / GOOD_RUNS,
    falseRollbackRateUpperLimit: upperLimit(good, GOOD_RUNS),
    askedRate: policy.falseRollbackRate,
    weakRuns: WEAK_RUNS,
    caught: rolledBack(WEAK_ERRORS, WEAK_RUNS) / WEAK_RUNS,
    thresholds: [...new Set(CASES.map(({ thresholdBps }) => thresholdBps))].map((thresholdBps) => ({
      thresholdBps,
      falseRollbackRate: rolledBackShare(STABLE_ERRORS, { ...ARGO_ANALYSIS, thresholdBps }, GOOD_RUNS),
      caught: rolledBackShare(WEAK_ERRORS, { ...ARGO_ANALYSIS, thresholdBps }, WEAK_RUNS),
    })),
  };
}
