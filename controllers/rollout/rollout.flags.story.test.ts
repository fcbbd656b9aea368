import { expect, test } from "@jest/globals";
import { ROLLOUT, type RolloutSpec } from "../../crds/rollout.ts";
import { conditionOf, expectGolden, reconcileOnce, toRest } from "../../testkit/story.ts";
import { NAME, verdict } from "./testing/builders.ts";
import { FLAGGED, shareIn } from "./testing/flags.ts";
import { beginStage, later, push, type Stage } from "./testing/stage.ts";

// Runs the whole controller against a small world in memory, together with what others do there (Deployment controller,
// kubelet, gateway), to rest; transcripts are compared with __golden__ (rewritten by `make update-golden`).

const shareOf = ({ world }: Stage): number => shareIn(world.find("FeatureFlag", "web-flags"));

async function served(given: Partial<RolloutSpec> = {}): Promise<Stage> {
  const stage = beginStage({ ...FLAGGED, ...given });
  await toRest(stage);
  return stage;
}

async function midway(given: Partial<RolloutSpec> = {}): Promise<Stage> {
  const stage = await served(given);
  push(stage.world, "web:2");
  await toRest(stage);
  return stage;
}

/** The judge passes one place after the other, until the release is over. */
async function toTheEnd(stage: Stage): Promise<string[]> {
  const lines: string[] = [];
  for (let place = 0; place < 4; place += 1) {
    stage.sampler.say({ verdict: verdict("Pass", "HoldOver") });
    lines.push(...(await later(stage, 61)));
  }
  return [...lines, ...(await later(stage, 61))];
}

function setSpec({ world }: Stage, change: Partial<RolloutSpec>): void {
  world.edit(ROLLOUT.kind, NAME, (object) => ({ ...object, spec: { ...Object(object["spec"]), ...change } }));
}

test("flags rise with the stages, before the weights, and stay where the last stage has brought them", async () => {
  const stage = await served();
  expect([shareOf(stage), stage.status().flags]).toEqual([0, undefined]);
  push(stage.world, "web:2");
  const lines = ["· another version", ...(await toRest(stage))];
  expect(shareOf(stage)).toBe(100);
  expect(conditionOf(stage, "Promoted")?.message).toContain("with its flags on for 1 % of the contexts");
  lines.push(...(await toTheEnd(stage)));
  expect(stage.status()).toMatchObject({ phase: "Idle", flags: [{ bps: 5_000, state: "Settled" }] });
  expect(shareOf(stage)).toBe(5_000);
  expectGolden(import.meta.dirname, "flags", lines);

  // Another release neither lowers nor raises what it did not raise, and its end does not either.
  push(stage.world, "web:3");
  await toRest(stage);
  expect([stage.status().phase, shareOf(stage)]).toEqual(["Canary", 5_000]);
  stage.sampler.say({ failure: verdict("Fail", "Harm") });
  await toRest(stage);
  await later(stage, 30);
  expect([stage.status().phase, shareOf(stage)]).toEqual(["Idle", 5_000]);

  // The item goes, and the flag with it: that of Git counts again.
  const [stages, flags] = [FLAGGED.stages, { items: [{ key: "other", onVariant: "on", offVariant: "off" }] }];
  setSpec(stage, { stages, flags });
  await toRest(stage);
  expect([shareOf(stage), stage.status().flags]).toEqual([-1, undefined]);
});

test("harm takes the weight back first, then the flag, both urgently", async () => {
  const stage = await midway();
  stage.sampler.say({ failure: verdict("Fail", "Harm") });
  const written = await reconcileOnce(stage);
  const [first, second] = written;
  expect(first).toMatch(/HTTPRoute/);
  expect(second).toMatch(/FeatureFlag.*new-checkout 0 %/);
  await toRest(stage);
  await later(stage, 30);
  expect([stage.status().phase, shareOf(stage)]).toEqual(["Idle", 0]);
  // What is tried again begins at the first stage.
  setSpec(stage, { request: { id: "again", action: "Retry" } });
  await toRest(stage);
  expect([stage.status().phase, shareOf(stage)]).toEqual(["Canary", 100]);
});

test("a flag that nobody can write takes nothing from the retreat, and is off once it can be written", async () => {
  const stage = await midway();
  stage.world.fail("FeatureFlag", "web-flags", new Error("the server is away"), "always");
  stage.sampler.say({ failure: verdict("Fail", "Harm") });
  await toRest(stage).catch(() => undefined);
  await stage.world.clock.advance(31_000);
  await toRest(stage).catch(() => undefined);
  expect([stage.status().phase, shareOf(stage)]).toEqual(["Idle", 100]);
  stage.world.fail("FeatureFlag", "web-flags", undefined);
  await toRest(stage);
  expect(shareOf(stage)).toBe(0);
});

test("a share that somebody edits is taken back, and its stage begins its hold anew", async () => {
  const stage = await midway();
  const before = stage.status().verifiedAt;
  await later(stage, 10);
  const raised = {
    fractional: [
      ["on", 9_000],
      ["off", 1_000],
    ],
  };
  const spec = (definition: object) => ({
    flagSpec: { flags: { "new-checkout": { ...definition, targeting: raised } } },
  });
  stage.world.edit("FeatureFlag", "web-flags", (object) => {
    const { flagSpec } = object["spec"] as { flagSpec: { flags: Record<string, object> } };
    return { ...object, spec: spec(flagSpec.flags["new-checkout"] ?? {}) };
  });
  await toRest(stage);
  expect(shareOf(stage)).toBe(100);
  expect(Date.parse(stage.status().verifiedAt ?? "")).toBeGreaterThan(Date.parse(before ?? ""));
});

test("a FeatureFlag that somebody deletes is made again as it was", async () => {
  const stage = await midway();
  stage.world.edit("FeatureFlag", "web-flags", () => undefined);
  await toRest(stage);
  expect(shareOf(stage)).toBe(100);
});

test("while somebody holds the release, the next share does not arrive", async () => {
  const stage = await midway();
  stage.sampler.say({ verdict: verdict("Pass", "HoldOver") });
  // The step is remembered, and held before it is acted upon.
  await reconcileOnce(stage);
  expect(stage.status()).toMatchObject({ stage: 1, flags: [{ bps: 2_500 }] });
  setSpec(stage, { paused: true });
  await toRest(stage);
  expect(shareOf(stage)).toBe(100);
  setSpec(stage, { paused: false });
  await toRest(stage);
  expect(shareOf(stage)).toBe(2_500);
});

test("without the kind nothing begins; what serves goes on, and the first version comes", async () => {
  const stage = beginStage(FLAGGED);
  stage.world.setAvailability("FeatureFlag", "missing");
  await toRest(stage);
  expect(stage.status().stable).toBeDefined();
  push(stage.world, "web:2");
  await toRest(stage);
  expect(stage.status()).toMatchObject({ phase: "Idle" });
  expect(conditionOf(stage, "Ready")).toMatchObject({ status: "False", reason: "OpenFeatureNotInstalled" });
  expect(conditionOf(stage, "Stalled")).toMatchObject({ status: "True", reason: "OpenFeatureNotInstalled" });
  stage.world.setAvailability("FeatureFlag", "served");
  await toRest(stage);
  expect([stage.status().phase, shareOf(stage)]).toEqual(["Canary", 100]);
});

test("a kind that goes away in mid-release takes the release back in time", async () => {
  const stage = await midway();
  stage.world.setAvailability("FeatureFlag", "missing");
  await toRest(stage);
  expect(conditionOf(stage, "Ready")).toMatchObject({ reason: "OpenFeatureNotInstalled" });
  await later(stage, 601);
  expect(stage.status().retreat ?? stage.status().releases?.[0]).toMatchObject({
    reason: "ProgressDeadlineExceeded",
    message: "the flags of the new version are not raised after 600 s",
  });
});

test("a status that is lost finds what was promoted again, and forgets what was under way", async () => {
  const stage = await midway();
  await toTheEnd(stage);
  const lose = (): void => stage.world.edit(ROLLOUT.kind, NAME, ({ status: _, ...object }) => object);
  lose();
  await toRest(stage);
  expect([stage.status().phase, shareOf(stage)]).toEqual(["Idle", 5_000]);
  setSpec(stage, {
    flags: { items: [...(FLAGGED.flags?.items ?? []), { key: "next", onVariant: "on", offVariant: "off" }] },
  });
  push(stage.world, "web:3");
  await toRest(stage);
  const next = (): number => shareIn(stage.world.find("FeatureFlag", "web-flags"), "next");
  expect([shareOf(stage), next()]).toEqual([5_000, 100]);
  lose();
  await reconcileOnce(stage);
  expect([shareOf(stage), next()]).toEqual([5_000, 0]);
});

test("flags that leave the spec leave the cluster, and a FeatureFlag of somebody else stays", async () => {
  const stage = await served();
  const { flags: _, ...rest } = FLAGGED;
  const bare = rest.stages.map(({ flagBps: __, ...it }) => it);
  stage.world.edit(ROLLOUT.kind, NAME, (object) => {
    const { flags: ___, ...spec } = object["spec"] as RolloutSpec;
    return { ...object, spec: { ...spec, stages: bare } };
  });
  stage.world.put({ apiVersion: "core.openfeature.dev/v1beta1", kind: "FeatureFlag", metadata: { name: "web" } });
  await toRest(stage);
  expect(stage.world.all("FeatureFlag").map(({ metadata }) => metadata.name)).toEqual(["web"]);
});

test("a FeatureFlag of somebody else in the place of ours is named, and left alone", async () => {
  const stage = beginStage(FLAGGED);
  const theirs = { apiVersion: "core.openfeature.dev/v1beta1", kind: "FeatureFlag", metadata: { name: "web-flags" } };
  stage.world.put(theirs);
  await toRest(stage).catch(() => undefined);
  expect(conditionOf(stage, "Ready")).toMatchObject({ reason: "NameConflict" });
  expect(stage.world.find("FeatureFlag", "web-flags")).not.toHaveProperty("spec");
});
