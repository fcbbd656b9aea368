import { expect, test } from "@jest/globals";
import { ROLLOUT, type RolloutSpec } from "../../crds/rollout.ts";
import { rolloutAnalysis } from "../../crds/rollout-analysis.ts";
import { toRest } from "../../testkit/story.ts";
import { judgeRun } from "./judge/run.ts";
import { NAME, verdict } from "./testing/builders.ts";
import { beginStage, later, push, type Stage } from "./testing/stage.ts";
import { tickAt } from "./testing/ticks.ts";

// Goal: a policy that is only tried tells what it would have done, of the release under way and of the last record, and moves nothing.

const STRICT = { stages: [{ minSamples: 1_000_000_000 }, {}] };

function tryPolicy({ world }: Stage, dryRun: NonNullable<RolloutSpec["analysis"]["dryRun"]>): void {
  world.edit(ROLLOUT.kind, NAME, (object) => ({
    ...object,
    spec: { ...(object["spec"] as object), analysis: rolloutAnalysis.parse({ dryRun }) },
  }));
}

/** Ticks of 5 s, so many that each stage passes. */
const TICKS = 40;

/** A good release with many requests. */
async function promoted(stage: Stage): Promise<void> {
  const { world, sampler } = stage;
  await toRest(stage);
  push(world, "web:2");
  await toRest(stage);
  const task = sampler.task();
  const policy = task?.policy;
  if (task === undefined || policy === undefined) throw new Error("nothing is looked at");
  const ticks = [0, 1].flatMap((at) => new Array<number>(TICKS).fill(at));
  const run = judgeRun(
    { revision: task.revision, policy },
    ticks.map((at, index) => tickAt(index, [0, 100_000], [0, 900_000], { stage: at })),
  );
  sampler.say({ run, verdict: verdict("Pass", "NotInferior") });
  await toRest(stage);
  sampler.say({ verdict: verdict("Pass", "NotInferior") });
  await toRest(stage);
  await later(stage, 60);
  await later(stage, 30);
}

test("a policy in dry run is told beside the one that decides, and decides nothing", async () => {
  const stage = beginStage({ analysis: rolloutAnalysis.parse({ dryRun: STRICT }) });
  await promoted(stage);
  expect(stage.status()).toMatchObject({
    phase: "Idle",
    releases: [{ outcome: "Promoted" }, {}],
    dryRun: { releases: [{ decision: "WouldWait", message: expect.stringContaining("TooFewSamples") }] },
  });
});

test("a policy that is tried later is tried on the record of the last release at once, and another one anew", async () => {
  const stage = beginStage();
  await promoted(stage);
  expect(stage.status().dryRun).toBeUndefined();
  tryPolicy(stage, STRICT);
  await toRest(stage);
  expect(stage.status()).toMatchObject({ phase: "Idle", dryRun: { releases: [{ decision: "WouldWait" }] } });
  tryPolicy(stage, {});
  await toRest(stage);
  expect(stage.status().dryRun?.releases).toMatchObject([{ decision: "Same" }]);
});
