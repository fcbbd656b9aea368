import { describe, expect, test } from "@jest/globals";
import type { RolloutDryRun } from "../../../crds/rollout-dry-run.ts";
import { type RolloutPolicy, rolloutPolicy } from "../../../crds/rollout-policy.ts";
import { type Answered, tickAt } from "../testing/ticks.ts";
import { dryRun, triedPolicy } from "./dry-run.ts";
import { judgeRun } from "./run.ts";

// Goal: of the same counts, it is told where another policy would have decided otherwise, and by which numbers; the gravest first.

const STAGES = [
  { weightBps: 1_000, holdSeconds: 20, minSamples: 100, maxErrorRate: 0.05 },
  { weightBps: 10_000, holdSeconds: 20, minSamples: 100, maxErrorRate: 0.05 },
];
const POLICY: RolloutPolicy = rolloutPolicy.parse({ stages: STAGES });

/** Forgives nearly everything that stays within the gates. */
const LENIENT: RolloutPolicy = { ...POLICY, errors: { ratio: 100, promoteRatio: 100 } };

/** A release of two stages: what the canary answered at each tick of 5 s, beside a stable version without errors. */
function release(policy: RolloutPolicy, ...stages: readonly (readonly Answered[])[]) {
  const ticks = stages.flatMap((answers, stage) => answers.map((answered) => ({ answered, stage })));
  return judgeRun(
    { revision: "abc", policy },
    ticks.map(({ answered, stage }, index) =>
      tickAt(index, answered, [0, 900], { stage, weightBps: STAGES[stage]?.weightBps ?? 0 }),
    ),
  );
}

const times = (count: number, answered: Answered): readonly Answered[] => new Array<Answered>(count).fill(answered);
const GOOD = times(4, [0, 100]);

describe("the policy that is tried", () => {
  test("is the one that decides, but for what it names", () => {
    expect(triedPolicy(POLICY, {})).toEqual(POLICY);
    const tried = triedPolicy(POLICY, {
      falseRollbackRateBps: 10,
      errors: { ratioPercent: 300 },
      stages: [{ minSamples: 7 }, { maxErrorRateBps: 50 }],
    });
    expect(tried).toEqual({
      ...POLICY,
      falseRollbackRate: 0.001,
      errors: { ...POLICY.errors, ratio: 3 },
      stages: [
        { ...STAGES[0], minSamples: 7 },
        { ...STAGES[1], maxErrorRate: 0.005 },
      ],
    });
  });

  test("keeps the gates of a ladder that had another number of stages", () => {
    expect(triedPolicy(POLICY, { stages: [{ minSamples: 7 }] })).toEqual(POLICY);
  });

  test("judges latency only where it is judged", () => {
    expect(triedPolicy(POLICY, { latency: { required: false } })).toEqual(POLICY);
    const latency = { quantile: 0.95, ratio: 1.5, promoteRatio: 2, required: true };
    const tried = triedPolicy({ ...POLICY, latency }, { latency: { quantileBps: 9_900, required: false } });
    expect(tried.latency).toEqual({ ...latency, quantile: 0.99, required: false });
  });
});

describe("it decides", () => {
  test.each<[what: string, run: ReturnType<typeof release>, tried: RolloutDryRun, decision: string, says: string]>([
    ["as the present one", release(POLICY, GOOD, GOOD), {}, "Same", "as the present policy"],
    [
      "back, where the present one forgives",
      release(LENIENT, times(8, [2, 100]), GOOD),
      { errors: { ratioPercent: 125 } },
      "WouldRollBack",
      "Fail (",
    ],
    [
      "on, where the present one went back",
      release(POLICY, times(8, [20, 100])),
      { errors: { ratioPercent: 10_000 }, stages: [{ maxErrorRateBps: 9_000 }, { maxErrorRateBps: 9_000 }] },
      "WouldGoOn",
      "the present policy said Fail",
    ],
    [
      "to wait for more requests",
      release(POLICY, GOOD, GOOD),
      { stages: [{ minSamples: 5_000 }, {}] },
      "WouldWait",
      "TooFewSamples",
    ],
    [
      "sooner",
      release(POLICY, GOOD, GOOD),
      { stages: [{ holdSeconds: 5 }, { holdSeconds: 5 }] },
      "WouldPassEarlier",
      "the present policy said Inconclusive",
    ],
  ])("%s", (_, run, tried, decision, says) => {
    const found = dryRun(run, tried);
    expect(found.decision).toBe(decision);
    expect(found.message).toContain(says);
    expect(found.message.length).toBeLessThanOrEqual(700);
  });

  test("nothing of a run without ticks", () => {
    expect(dryRun(release(POLICY, []), { falseRollbackRateBps: 1 }).decision).toBe("Same");
  });
});
