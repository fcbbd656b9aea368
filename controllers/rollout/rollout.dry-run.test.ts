import { describe, expect, test } from "@jest/globals";
import { type Rollout } from "../../crds/rollout.ts";
import { rolloutAnalysis } from "../../crds/rollout-analysis.ts";
import type { DryRunStatus, RolloutDryRun } from "../../crds/rollout-dry-run.ts";
import { rolloutPolicy } from "../../crds/rollout-policy.ts";
import type { RolloutStatus } from "../../crds/rollout-status.ts";
import { judgeRun } from "./judge/run.ts";
import { dryRunStatus, isToTryOnRecord } from "./rollout.dry-run.ts";
import { rollout } from "./testing/builders.ts";
import { tickAt } from "./testing/ticks.ts";

// Goal: each release is told of once, the newest first; another policy begins anew, and is tried on the last record at once.

const run = (revision: string) =>
  judgeRun({ revision, policy: rolloutPolicy.parse({}) }, [tickAt(0, [0, 10], [0, 90])]);

function given(tried: RolloutDryRun | undefined, status: Partial<RolloutStatus> = {}): Rollout {
  const made = rollout({ analysis: rolloutAnalysis.parse(tried === undefined ? {} : { dryRun: tried }) });
  return { ...made, status: { observedGeneration: 1, phase: "Idle", ...status } };
}

const TRIED = { falseRollbackRateBps: 10 };
const judged = (dryRun: DryRunStatus | undefined): Rollout => given(TRIED, dryRun === undefined ? {} : { dryRun });

describe("status.dryRun", () => {
  test("tells of each release once, the newest first, and of ten at most", () => {
    let status: DryRunStatus | undefined;
    for (let index = 0; index < 12; index += 1) status = dryRunStatus(judged(status), run(`r${String(index)}`));
    status = dryRunStatus(judged(status), run("r11"));
    expect(status?.releases.map(({ release }) => release)).toEqual(
      [11, 10, 9, 8, 7, 6, 5, 4, 3, 2].map((index) => `r${String(index)}`),
    );
  });

  test("stays as it is while nothing is new", () => {
    const status = dryRunStatus(judged(undefined), run("r1"));
    expect(dryRunStatus(judged(status), undefined)).toEqual(status);
  });

  test("begins anew with another policy, and goes with the last one", () => {
    const status = dryRunStatus(judged(undefined), run("r1"));
    const other = given({ falseRollbackRateBps: 20 }, { dryRun: status as DryRunStatus });
    expect(dryRunStatus(other, undefined)).toMatchObject({ releases: [] });
    expect(dryRunStatus(given(undefined, { dryRun: status as DryRunStatus }), run("r2"))).toBeUndefined();
  });
});

describe("the record of the last release", () => {
  test("is asked for once for each policy, between releases", () => {
    expect(isToTryOnRecord(given(undefined))).toBe(false);
    expect(isToTryOnRecord(given(TRIED, { phase: "Canary" }))).toBe(false);
    expect(isToTryOnRecord(given(TRIED))).toBe(true);
    // There may be none.
    const tried = dryRunStatus(given(TRIED), undefined);
    expect(tried).toMatchObject({ releases: [] });
    expect(isToTryOnRecord(judged(tried))).toBe(false);
  });
});
