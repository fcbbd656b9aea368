import { expect, test } from "@jest/globals";
import { ANNOTATIONS } from "../../crds/group.ts";
import { ROLLOUT } from "../../crds/rollout.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { type MemoryWorld } from "../../testkit/memory-world.ts";
import { conditionOf, expectGolden, toRest } from "../../testkit/story.ts";
import { deployment, NAME, verdict } from "./testing/builders.ts";
import { beginStage, later, push, type Stage } from "./testing/stage.ts";

// Runs the whole controller against a small world in memory, together with what others do there (Deployment controller,
// kubelet, gateway), to rest; transcripts are compared with __golden__ (rewritten by `make update-golden`).

test("left alone by annotation: nothing is done, nothing is remembered as if it were, and no time runs", async () => {
  const stage = beginStage();
  await toRest(stage);
  push(stage.world, "web:2");
  await toRest(stage);
  const before = stage.status();
  expect(before).toMatchObject({ phase: "Canary", stage: 0 });
  const annotate = (value: string | undefined) =>
    stage.world.edit(ROLLOUT.kind, NAME, (object) => ({
      ...object,
      metadata: {
        ...object.metadata,
        annotations: value === undefined ? {} : { [ANNOTATIONS.paused]: value },
      },
    }));
  annotate("true");
  stage.sampler.say({ verdict: verdict("Pass", "HoldOver") });
  await toRest(stage);
  push(stage.world, "web:3");
  await later(stage, 3_600);
  const { heldSince: _, conditions: __, verdict: ___, ...kept } = stage.status();
  const { conditions: ____, verdict: _____, ...was } = before;
  expect(kept).toEqual(was);
  push(stage.world, "web:2");
  annotate(undefined);
  await toRest(stage);
  // The verdict counts now, and no deadline of the hour has passed.
  expect(stage.status()).toMatchObject({ phase: "Canary", stage: 1 });
  expect(stage.status().heldSince).toBeUndefined();
});

test("harm that is found while it is left alone takes the release back at its end", async () => {
  const stage = beginStage();
  await toRest(stage);
  push(stage.world, "web:2");
  await toRest(stage);
  stage.world.edit(ROLLOUT.kind, NAME, (object) => ({
    ...object,
    metadata: { ...object.metadata, annotations: { [ANNOTATIONS.paused]: "true" } },
  }));
  stage.sampler.say({ failure: verdict("Fail", "Harm") });
  await toRest(stage);
  expect(stage.status()).toMatchObject({ phase: "Canary" });
  stage.world.edit(ROLLOUT.kind, NAME, (object) => ({
    ...object,
    metadata: { ...object.metadata, annotations: {} },
  }));
  const lines = await toRest(stage);
  expect(lines.find((line) => line.startsWith("  apply"))).toContain("HTTPRoute web: back: as the test says");
});

test("the first version, then a good one, step by step", async () => {
  const stage = beginStage();
  const lines = await toRest(stage);
  expect(conditionOf(stage, "Ready")).toMatchObject({ status: "True", reason: "Ready" });
  push(stage.world, "web:2");
  lines.push("· web:2 is pushed", ...(await toRest(stage)));
  stage.sampler.say({ verdict: verdict("Pass", "HoldOver") });
  lines.push("· stage 1 passes", ...(await toRest(stage)));
  stage.sampler.say({ verdict: verdict("Pass", "HoldOver") });
  lines.push("· stage 2 passes", ...(await toRest(stage)));
  lines.push(...(await later(stage, 60)), ...(await later(stage, 30)));
  expect(stage.status()).toMatchObject({ phase: "Idle", releases: [{ outcome: "Promoted" }, { outcome: "Promoted" }] });
  expectGolden(import.meta.dirname, "good-release", lines);
});

test("a weight that is not served lets no stage pass, and harm is found all the same", async () => {
  const stage = beginStage();
  await toRest(stage);
  push(stage.world, "web:2");
  await toRest(stage);
  const shareTrouble = "the gateway gives the new version 0.2 % of 5,000 requests instead of 5 %";
  stage.sampler.say({ shareTrouble, verdict: verdict("Pass", "HoldOver") });
  await later(stage, 60);
  expect(stage.status()).toMatchObject({ phase: "Canary", stage: 0 });
  expect(conditionOf(stage, "Judged")).toMatchObject({
    status: "Unknown",
    reason: "WeightNotMeasured",
    message: shareTrouble,
  });
  stage.sampler.say({ failure: verdict("Fail", "Harm") });
  await toRest(stage);
  expect(stage.status()).toMatchObject({ phase: "RollingBack" });
});

/** Ports of a colour's Service, and of the route's way to it. */
function portsOf({ world }: Stage, colour: "blue" | "green"): { readonly ports: unknown; readonly route: unknown } {
  const { ports } = world.find("Service", `web-${colour}`)?.["spec"] as { ports: unknown };
  const { rules } = world.find("HTTPRoute", NAME)?.["spec"] as {
    rules: { backendRefs: { name: string; port: number }[] }[];
  };
  return { ports, route: rules[0]?.backendRefs.find(({ name }) => name === `web-${colour}`)?.port };
}

/** The user corrects the ports of the Service. */
function putPorts(world: MemoryWorld, port: { readonly port: number; readonly targetPort: number }): void {
  const changed = (object: KubeObject): KubeObject => ({
    ...object,
    spec: { ...(object["spec"] as object), ports: [port] },
  });
  world.edit("Service", "web", changed);
}

test("[16] a change of ports alone is a release, what serves keeps its own, and a return to them is none", async () => {
  const stage = beginStage();
  const { world, sampler } = stage;
  await toRest(stage);
  const { stable } = stage.status();
  const before = { ports: [{ port: 80, targetPort: 8_080, protocol: "TCP" }], route: 80 };
  expect(portsOf(stage, "blue")).toEqual(before);
  putPorts(world, { port: 81, targetPort: 9_090 });
  await toRest(stage);
  expect(conditionOf(stage, "Ready")).toMatchObject({ status: "False", reason: "Releasing" });
  expect(portsOf(stage, "green")).toEqual({ ports: [{ port: 81, targetPort: 9_090, protocol: "TCP" }], route: 81 });
  expect(portsOf(stage, "blue")).toEqual(before);
  sampler.say({ failure: verdict("Fail", "Harm") });
  await toRest(stage);
  await later(stage, 30);
  expect(conditionOf(stage, "Ready")).toMatchObject({ reason: "RolledBack" });
  expect(portsOf(stage, "blue")).toEqual(before);
  putPorts(world, { port: 80, targetPort: 8_080 });
  await toRest(stage);
  expect(conditionOf(stage, "Ready")).toMatchObject({ status: "True" });
  expect(stage.status()).toMatchObject({ phase: "Idle", stable, releases: [{ outcome: "RolledBack" }, {}] });
});

test("a Deployment that is scaled to 0 says nothing of the pods that serve: they stay until spec.replicas tells", async () => {
  const stage = beginStage();
  const { world } = stage;
  await toRest(stage);
  const podsOf = (): unknown => (world.find("Deployment", "web-blue")?.["spec"] as { replicas: number }).replicas;
  world.edit("Deployment", "web", (object) => ({ ...object, spec: deployment("web:2", 0)["spec"] }));
  await toRest(stage);
  expect(conditionOf(stage, "Ready")).toMatchObject({
    status: "False",
    reason: "ReplicasUnknown",
    message: expect.stringContaining("set spec.replicas"),
  });
  expect(conditionOf(stage, "Stalled")).toMatchObject({ status: "True" });
  expect(podsOf()).toBe(4);
  expect(stage.status()).toMatchObject({ phase: "Idle", stable: { colour: "Blue" } });
  world.edit("Deployment", "web", (object) => ({ ...object, spec: deployment("web:1", 0)["spec"] }));
  world.edit(ROLLOUT.kind, NAME, (object) => ({ ...object, spec: { ...(object["spec"] as object), replicas: 3 } }));
  await toRest(stage);
  expect(conditionOf(stage, "Ready")).toMatchObject({ status: "True" });
  expect(podsOf()).toBe(3);
});
