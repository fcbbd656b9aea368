import { expect, test } from "@jest/globals";
import { LABELS } from "../../crds/group.ts";
import { ROLLOUT, type RolloutSpec } from "../../crds/rollout.ts";
import { conditionOf, expectGolden, toRest } from "../../testkit/story.ts";
import { NAME, verdict } from "./testing/builders.ts";
import { beginStage, later, push, type Stage } from "./testing/stage.ts";

// Runs the whole controller against a small world in memory, together with what others do there (Deployment controller,
// kubelet, gateway), to rest; transcripts are compared with __golden__ (rewritten by `make update-golden`).

async function midway(given: Partial<RolloutSpec> = {}): Promise<Stage> {
  const stage = beginStage(given);
  await toRest(stage);
  push(stage.world, "web:2");
  await toRest(stage);
  return stage;
}

test("harm goes back while the API server refuses the Deployment, and a lost status brings nothing back", async () => {
  const stage = await midway();
  const { world, sampler } = stage;
  expect(stage.status()).toMatchObject({ phase: "Canary", weight: { observedBps: 1_000 } });
  world.fail("Deployment", "web-green", new Error("quota exceeded"), "always");
  sampler.say({ failure: verdict("Fail", "Harm") });
  const lines = [
    "· harm is found, and web-green is refused",
    ...(await toRest(stage).catch(() => world.takeTranscript())),
  ];
  world.fail("Deployment", "web-green", undefined);
  world.edit(ROLLOUT.kind, NAME, ({ status: _, ...object }) => object);
  lines.push("· the status is lost", ...(await toRest(stage)), ...(await later(stage, 30)));
  expect(stage.status()).toMatchObject({ phase: "Idle", stable: { colour: "Blue" } });
  expect(conditionOf(stage, "Ready")).toMatchObject({ reason: "RolledBack" });
  expectGolden(import.meta.dirname, "accidents", lines);
});

test("[13] a Rollout that is deleted midway leaves nothing to do", async () => {
  const stage = await midway();
  stage.world.edit(ROLLOUT.kind, NAME, (object) => ({
    ...object,
    metadata: { ...object.metadata, deletionTimestamp: "2026-01-01T00:00:00Z", finalizers: ["foregroundDeletion"] },
  }));
  const lines = await toRest(stage);
  expect(lines.filter((line) => /apply|create|delete/.test(line))).toEqual([]);
});

test("[10] the version that serves comes back midway without a verdict", async () => {
  const stage = await midway();
  push(stage.world, "web:1");
  await toRest(stage);
  await later(stage, 30);
  expect(stage.status()).toMatchObject({
    phase: "Idle",
    releases: [{ outcome: "Superseded", reason: "Reverted" }, {}],
  });
  expect(conditionOf(stage, "Ready")).toMatchObject({ status: "True" });
});

test("a Rollout that is made again while the objects of the former one go: its version serves as soon as it is ready", async () => {
  const stage = beginStage();
  const { world } = stage;
  await toRest(stage);
  world.edit(ROLLOUT.kind, NAME, ({ status: _, ...object }) => object);
  push(world, "web:2");
  await toRest(stage);
  // What was found of the former one looked like a version that serves.
  expect(stage.status()).toMatchObject({ phase: "Canary", stable: { colour: "Blue" } });
  const { stable } = stage.status();
  for (const kind of ["ControllerRevision", "Deployment", "Pod"]) {
    for (const { metadata } of world.all(kind)) {
      if (metadata.labels?.[LABELS.revision] === stable?.revision) world.edit(kind, metadata.name, () => undefined);
    }
  }
  await toRest(stage);
  await later(stage, 30);
  expect(stage.status()).toMatchObject({ phase: "Idle", stable: { colour: "Green" } });
  expect(conditionOf(stage, "Ready")).toMatchObject({ status: "True" });
});
