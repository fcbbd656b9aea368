// Notifications of releases, through the whole controller in a world in memory. The test plays the receivers.
import { afterEach, expect, test } from "@jest/globals";
import { ROLLOUT, type RolloutSpec } from "../../crds/rollout.ts";
import { rolloutNotifications } from "../../crds/rollout-notifications.ts";
import { rolloutStatus } from "../../crds/rollout-status.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { createMetrics } from "../../lib/node/metrics.ts";
import { toRest } from "../../testkit/story.ts";
import type { PostAnswer, PostQuestion } from "../kit/notifications/answers.ts";
import { createRolloutMetrics } from "./rollout.metrics.ts";
import { NAME, NAMESPACE, verdict } from "./testing/builders.ts";
import { beginStage, later, playedController, push, type Stage } from "./testing/stage.ts";

interface Told {
  readonly id: string;
  readonly data: Readonly<Record<string, unknown>>;
}

interface Scene extends Stage {
  /** What receivers got, in the order in which it came. */
  readonly told: Told[];
  readonly events: () => string[];
  answer: (question: PostQuestion) => PostAnswer | Promise<PostAnswer>;
  /** Another replica leads, which knows what the API server knows. */
  readonly restart: () => void;
  readonly metrics: () => Promise<string>;
}

const stops: AbortController[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop.abort();
});

const receiver = (name: string, more: object = {}): object => ({
  name,
  url: `https://${name}.example.com/hook`,
  secretRef: { name: "keys" },
  ...more,
});

function begin(receivers: readonly object[] = [receiver("ops")], given: Partial<RolloutSpec> = {}): Scene {
  const stage = beginStage({ notifications: rolloutNotifications.parse(receivers), ...given });
  const { world, sampler } = stage;
  const told: Told[] = [];
  const registry = createMetrics();
  const metrics = createRolloutMetrics(registry);
  const controllerOf = () =>
    playedController({
      sampler,
      metrics,
      post: async (question) => {
        const answer = await scene.answer(question);
        if ("status" in answer && answer.status === 204) told.push(JSON.parse(question.body) as Told);
        return answer;
      },
    });
  let controller = controllerOf();
  const lead = (): void => {
    const stop = new AbortController();
    stops.push(stop);
    const { clock, context } = world;
    for (const source of controller.sources ?? []) {
      void source.run({
        cache: world.cache,
        live: context.live,
        keys: () => [],
        add: () => undefined,
        clock,
        random: () => 0.5,
        log: silentLogger,
        signal: stop.signal,
      });
    }
  };
  lead();
  const secret = Buffer.from(`whsec_${Buffer.alloc(32, 1).toString("base64")}`).toString("base64");
  world.put({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "keys", namespace: NAMESPACE },
    data: { secret },
  });
  const scene: Scene = {
    ...stage,
    controller: { reconcile: (key, context) => controller.reconcile(key, context) },
    told,
    events: () => told.map(({ data }) => String(data["event"])),
    answer: () => ({ status: 204 }),
    restart: () => {
      for (const stop of stops.splice(0)) stop.abort();
      controller = controllerOf();
      lead();
    },
    metrics: () => registry.text(),
  };
  return scene;
}

/** The first version serves, and nobody is told of it any more. */
async function served(scene: Scene): Promise<void> {
  await toRest(scene);
  await later(scene, 1);
  scene.told.splice(0);
}

test("a good release, from its beginning to its end", async () => {
  const scene = begin();
  await toRest(scene);
  await later(scene, 1);
  expect(scene.events()).toEqual(["ReleaseStarted", "Promoted"]);
  scene.told.splice(0);
  push(scene.world, "web:2");
  await toRest(scene);
  const { revision } = scene.status().canary ?? {};
  for (const share of ["10 %", "100 %"]) {
    scene.sampler.say({ verdict: verdict("Pass", "HoldOver", `all is well at ${share}`) });
    await later(scene, 60);
  }
  scene.sampler.say({ verdict: verdict("Pass", "HoldOver") });
  await later(scene, 61);
  await later(scene, 61);
  expect(
    scene.told.map(({ data: { event, stage, weightBps, verdict: said } }) => [event, stage, weightBps, said]),
  ).toEqual([
    ["ReleaseStarted", undefined, 0, undefined],
    ["StagePassed", 0, 1_000, "Pass"],
    ["StagePassed", 1, 10_000, "Pass"],
    ["Promoted", undefined, 10_000, expect.anything()],
  ]);
  expect(new Set(scene.told.map(({ data }) => data["revision"]))).toEqual(new Set([revision]));
  expect(scene.told[1]?.data).toMatchObject({
    reason: "HoldOver",
    message: "stage 1 of 2 at 10 % is over: all is well at 10 %",
  });
  const status = scene.status();
  expect(status.outbox).toBeUndefined();
  expect(status.notifications).toMatchObject([{ name: "ops", result: "Delivered", event: "Promoted" }]);
  expect(rolloutStatus.safeParse(status).error).toBeUndefined();
  expect(await scene.metrics()).toContain('notifications_total{kind="Rollout",result="delivered"} 6');
});

test("harm: the retreat is told before it is over, with the judge's words, and waits for no receiver", async () => {
  const scene = begin([receiver("ops"), receiver("calm", { events: ["RolledBack"] })]);
  await served(scene);
  push(scene.world, "web:2");
  await toRest(scene);
  scene.answer = () => new Promise<PostAnswer>(() => undefined);
  scene.sampler.say({ failure: verdict("Fail", "Harm", "5 of 10 requests failed") });
  await toRest(scene);
  // Nobody has answered, and the release is back all the same.
  await later(scene, 31);
  expect(scene.status()).toMatchObject({ phase: "Idle", releases: [{ outcome: "RolledBack" }, {}] });
  expect(scene.status().outbox?.map(({ event, to }) => [event, to])).toEqual([
    ["RetreatStarted", ["ops"]],
    ["TrafficRestored", ["ops"]],
    ["RolledBack", ["ops", "calm"]],
  ]);
  scene.restart();
  scene.answer = () => ({ status: 204 });
  await later(scene, 1);
  await later(scene, 1);
  const retreat = scene.told.find(({ data }) => data["event"] === "RetreatStarted");
  expect(retreat?.data).toMatchObject({ reason: "Harm", weightBps: 1_000, stage: 0, verdict: "Fail" });
  expect(String(retreat?.data["message"])).toContain("5 of 10 requests failed");
  expect(scene.events().toSorted()).toEqual([
    "ReleaseStarted",
    "RetreatStarted",
    "RolledBack",
    "RolledBack",
    "TrafficRestored",
  ]);
  expect(scene.status().outbox).toBeUndefined();
});

test("a leader that dies at any moment loses nothing: the next one sends what is left, under the same names", async () => {
  const scene = begin();
  await served(scene);
  scene.answer = () => ({ status: 503 });
  push(scene.world, "web:2");
  await toRest(scene);
  await later(scene, 5);
  const [waiting] = scene.status().outbox ?? [];
  expect(waiting).toMatchObject({ event: "ReleaseStarted", to: ["ops"] });
  expect(scene.status().notifications).toMatchObject([{ result: "Retrying", message: "status 503" }]);
  scene.restart();
  scene.answer = () => ({ status: 204 });
  await toRest(scene);
  // It is delivered, and this one dies as well, before it could write so.
  await scene.world.clock.advance(1_000);
  scene.restart();
  await later(scene, 1);
  await later(scene, 1);
  expect(scene.told.map(({ id }) => id)).toEqual([waiting?.id, waiting?.id]);
  expect(scene.status().outbox).toBeUndefined();
});

test("a receiver that refuses is told of in status and event, and holds up nothing", async () => {
  const scene = begin([receiver("ops"), receiver("gone")]);
  scene.answer = ({ host }) => ({ status: host === "gone.example.com" ? 410 : 204 });
  const lines = [...(await toRest(scene)), ...(await later(scene, 1))];
  expect(scene.status()).toMatchObject({ phase: "Idle", releases: [{ outcome: "Promoted" }] });
  expect(lines.join("\n")).toContain("NotificationFailed");
  expect(lines.join("\n")).toContain("gone was not told of Promoted of revision");
  expect(scene.status().notifications).toMatchObject([
    { name: "ops", result: "Delivered" },
    { name: "gone", result: "Failed", message: "status 410, try 1" },
  ]);
  expect(scene.status().outbox).toBeUndefined();
});

test("a release that waits for a person says so, and that it goes on", async () => {
  const stages = [{ weightBps: 10_000, holdSeconds: 60, maxHoldSeconds: 600, minSamples: 10, maxErrorRateBps: 100 }];
  const scene = begin([receiver("ops")], { stages: stages.map((stage) => ({ ...stage, approval: true })) });
  await served(scene);
  push(scene.world, "web:2");
  await toRest(scene);
  scene.sampler.say({ verdict: verdict("Pass", "HoldOver", "all is well") });
  await later(scene, 61);
  await later(scene, 1);
  expect(scene.told.at(-1)?.data).toMatchObject({
    event: "Paused",
    reason: "Approval",
    message: "the stage has passed and waits for approval; all is well",
  });
  scene.world.edit(ROLLOUT.kind, NAME, (object) => ({
    ...object,
    spec: { ...(object["spec"] as object), request: { id: "go", action: "Promote" } },
  }));
  await toRest(scene);
  await later(scene, 1);
  expect(scene.told.slice(-2).map(({ data: { event, reason } }) => [event, reason])).toEqual([
    ["Resumed", "Resumed"],
    ["StagePassed", "Promote"],
  ]);
});

test("without receivers the status says nothing of notifications; a receiver that comes later is not told of what was", async () => {
  const scene = begin([]);
  await toRest(scene);
  expect(scene.status()).toMatchObject({ releases: [{ outcome: "Promoted" }] });
  expect(scene.status()).not.toHaveProperty("outbox");
  expect(scene.status()).not.toHaveProperty("notifications");
  scene.world.edit(ROLLOUT.kind, NAME, (object) => ({
    ...object,
    spec: { ...(object["spec"] as object), notifications: rolloutNotifications.parse([receiver("ops")]) },
  }));
  await toRest(scene);
  await later(scene, 1);
  expect(scene.told).toEqual([]);
});
