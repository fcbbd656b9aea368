import { expect, test } from "@jest/globals";
import { ROLLOUT } from "../../crds/rollout.ts";
import type { RolloutRequest } from "../../crds/rollout-request.ts";
import type { RolloutWindow } from "../../crds/rollout-windows.ts";
import { conditionOf, reconcileOnce, toRest } from "../../testkit/story.ts";
import { NAME, verdict } from "./testing/builders.ts";
import { beginStage, later, push, type Stage } from "./testing/stage.ts";

// Runs the whole controller with spec.windows, in a world that begins while none is open.

const HOUR = 3_600;
const PASS = { verdict: verdict("Pass", "HoldOver") };

/** A window that opens in an hour, for an hour, each day. */
function inAnHour({ world }: Stage): RolloutWindow {
  const time = (hours: number): string =>
    new Date(world.clock.now() + hours * HOUR * 1_000).toISOString().slice(11, 16);
  return { days: ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"], start: time(1), end: time(2), timeZone: "UTC" };
}

const change = ({ world }: Stage, members: object): void =>
  world.edit(ROLLOUT.kind, NAME, (object) => ({ ...object, spec: { ...(object["spec"] as object), ...members } }));
const ask = (stage: Stage, action: RolloutRequest["action"]): void =>
  change(stage, { request: { id: `${action}-${String(stage.world.clock.now())}`, action } });

/** The first version serves; another one is pushed while no window is open. */
async function closed(): Promise<Stage> {
  const stage = beginStage();
  change(stage, { windows: [inAnHour(stage)] });
  await toRest(stage);
  expect(stage.status()).toMatchObject({ phase: "Idle", stable: { colour: "Blue" } });
  push(stage.world, "web:2");
  await toRest(stage);
  return stage;
}

test("a release waits for its window, says until when, and one timer wakes it", async () => {
  const stage = await closed();
  const opens = new Date(stage.world.clock.now() + HOUR * 1_000).toISOString().slice(0, 16);
  expect(conditionOf(stage, "Ready")).toMatchObject({
    status: "False",
    reason: "WaitingForWindow",
    message: expect.stringContaining(`waits for the window that opens at ${opens}`),
  });
  expect(conditionOf(stage, "Promoted")).toMatchObject({ reason: "WaitingForWindow" });
  const { requeueAfterSeconds = 0 } = await stage.controller.reconcile(stage.key, stage.world.context);
  expect(requeueAfterSeconds).toBeGreaterThan(HOUR - 120);
  await later(stage, requeueAfterSeconds);
  expect(stage.status()).toMatchObject({ phase: "Canary", stage: 0 });
});

test("a release that meets the end of its window stays where it is, judged, and goes on at the next one", async () => {
  const stage = await closed();
  await later(stage, HOUR);
  expect(stage.status()).toMatchObject({ phase: "Canary", stage: 0 });
  await later(stage, HOUR);
  stage.sampler.say(PASS);
  await toRest(stage);
  // The longest hold of the stage is 600 s: no time runs.
  await later(stage, 20 * HOUR);
  expect(stage.status()).toMatchObject({ phase: "Canary", stage: 0, weight: { observedBps: 1_000 } });
  expect(stage.status().pause).toBeUndefined();
  expect(conditionOf(stage, "Ready")).toMatchObject({ reason: "WaitingForWindow", status: "False" });
  await later(stage, 3 * HOUR);
  expect(stage.status()).toMatchObject({ phase: "Canary", stage: 1 });
});

test("harm, and another version, go back while no window is open", async () => {
  const stage = await closed();
  await later(stage, HOUR);
  await later(stage, HOUR);
  stage.sampler.say({ failure: verdict("Fail", "Harm") });
  await toRest(stage);
  expect(stage.status()).toMatchObject({ phase: "RollingBack" });
  await later(stage, 60);
  expect(conditionOf(stage, "Ready")).toMatchObject({ reason: "RolledBack" });
});

test("Promote begins a release outside of the windows, and leads it to its end", async () => {
  const stage = await closed();
  ask(stage, "Promote");
  await toRest(stage);
  expect(stage.status()).toMatchObject({ phase: "Canary", stage: 0, ignoresWindows: true });
  stage.sampler.say(PASS);
  await toRest(stage);
  stage.sampler.say(PASS);
  await toRest(stage);
  for (const seconds of [60, 30, 30]) await later(stage, seconds);
  expect(stage.status()).toMatchObject({
    phase: "Idle",
    stable: { colour: "Green" },
    releases: [{ outcome: "Promoted" }, {}],
  });
  expect(stage.status().ignoresWindows).toBeUndefined();
  // The next one waits again; a return to the version before does not.
  push(stage.world, "web:3");
  await toRest(stage);
  expect(conditionOf(stage, "Ready")).toMatchObject({ reason: "WaitingForWindow" });
  push(stage.world, "web:1");
  await toRest(stage);
  await later(stage, 30);
  expect(stage.status()).toMatchObject({ stable: { colour: "Blue" }, releases: [{ outcome: "FastPromoted" }, {}, {}] });
});

test.each(["Promote", "Skip"] as const)("%s lets a held stage go on, and PromoteFull ends it", async (action) => {
  const stage = await closed();
  await later(stage, HOUR);
  await later(stage, HOUR);
  stage.sampler.say(PASS);
  await toRest(stage);
  expect(stage.status()).toMatchObject({ phase: "Canary", stage: 0 });
  ask(stage, action);
  await toRest(stage);
  expect(stage.status()).toMatchObject({
    phase: "Canary",
    stage: 1,
    ignoresWindows: true,
    lastRequest: { result: "Done" },
  });
  ask(stage, "PromoteFull");
  await toRest(stage);
  expect(stage.status()).toMatchObject({ phase: "Retiring", stable: { colour: "Green" } });
});

test("windows that go leave a release to go on; a zone nobody knows holds it, and is told", async () => {
  const stage = await closed();
  change(stage, { windows: [{ ...inAnHour(stage), timeZone: "Mars/Base" }] });
  await toRest(stage);
  expect(conditionOf(stage, "Ready")?.message).toContain("time zone Mars/Base of spec.windows is not known");
  stage.world.edit(ROLLOUT.kind, NAME, (object) => {
    const { windows: _, ...spec } = object["spec"] as Record<string, unknown>;
    return { ...object, spec };
  });
  await reconcileOnce(stage);
  await toRest(stage);
  expect(stage.status()).toMatchObject({ phase: "Canary", stage: 0 });
});
