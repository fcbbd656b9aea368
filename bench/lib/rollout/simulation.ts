/** What no cluster can show in a day: thousands of releases, judged with the default policy at every tick of the ladder. */
import { rolloutPolicy } from "../../../crds/rollout-policy.ts";
import { upperLimit } from "../rollout-judge/interval.ts";
import { sequentialJudge } from "../rollout-judge/ladder.ts";
import { plainRelease, playReleases } from "../rollout-judge/runs.ts";

const GOOD_RUNS = 2_000;
const WEAK_RUNS = 1_000;
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
}

export function simulate(): Simulated {
  const policy = rolloutPolicy.parse({});
  const rolledBack = (canary: number, runs: number): number =>
    playReleases(plainRelease(0.001, canary), { policy, make: sequentialJudge, runs, seed: SEED }).filter(
      ({ end }) => end === "rolled back",
    ).length;
  const good = rolledBack(0.001, GOOD_RUNS);
  return {
    goodRuns: GOOD_RUNS,
    falseRollbackRate: good / GOOD_RUNS,
    falseRollbackRateUpperLimit: upperLimit(good, GOOD_RUNS),
    askedRate: policy.falseRollbackRate,
    weakRuns: WEAK_RUNS,
    caught: rolledBack(0.005, WEAK_RUNS) / WEAK_RUNS,
  };
}
