import { expect, test } from "@jest/globals";
import { LABELS } from "../../crds/group.ts";
import { ROLLOUT } from "../../crds/rollout.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { type StoryStep, toRest } from "../../testkit/story.ts";
import { NAME, verdict } from "./testing/builders.ts";
import { beginStage, later, type Stage } from "./testing/stage.ts";

// Runs the whole controller with spec.disruption: budgets come and go with the pods of a version.

const specOf = (stage: Stage, colour: "blue" | "green"): unknown =>
  stage.world.find("PodDisruptionBudget", `web-${colour}`)?.["spec"];

/** `kubectl rollout restart` of the user's Deployment. */
function restart({ world }: Stage): void {
  world.edit("Deployment", "web", (object) => {
    const { template, ...rest } = object["spec"] as { readonly template: KubeObject };
    const annotations = { "kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z" };
    return { ...object, spec: { ...rest, template: { ...template, metadata: { ...template.metadata, annotations } } } };
  });
}

test("[12] a restart is a release: the budget's pods are there at every moment, and a canary's budget lets drains go on", async () => {
  const stage = beginStage({ disruption: { minAvailable: 3 } });
  const fewest: number[] = [];
  const count: StoryStep = (world) => {
    const { phase, stable } = stage.status();
    const pods = world.all("Pod").filter(({ metadata }) => metadata.labels?.[LABELS.revision] === stable?.revision);
    if (phase !== undefined && stable !== undefined) fewest.push(pods.length);
    return undefined;
  };
  const watched = { ...stage, steps: [...stage.steps, count] };
  await toRest(watched);
  expect(specOf(stage, "blue")).toMatchObject({ minAvailable: 3, unhealthyPodEvictionPolicy: "AlwaysAllow" });
  expect(specOf(stage, "green")).toBeUndefined();
  restart(stage);
  await toRest(watched);
  expect(stage.status()).toMatchObject({ phase: "Canary", stage: 0 });
  expect(specOf(stage, "green")).toMatchObject({
    maxUnavailable: 1,
    selector: { matchLabels: { [LABELS.colour]: "green" } },
  });
  for (let round = 0; round < 2; round += 1) {
    stage.sampler.say({ verdict: verdict("Pass", "HoldOver") });
    await toRest(watched);
  }
  expect(specOf(stage, "green")).toMatchObject({ minAvailable: 3 });
  await later(watched, 60);
  await later(watched, 30);
  expect(stage.status()).toMatchObject({ phase: "Idle", stable: { colour: "Green" } });
  expect(Math.min(...fewest)).toBe(4);
  expect(specOf(stage, "blue")).toBeUndefined();
});

test("budgets follow the spec, come back when somebody deletes them, and go with it", async () => {
  const stage = beginStage({ disruption: { maxUnavailable: 1 } });
  const ask = (disruption: unknown): void =>
    stage.world.edit(ROLLOUT.kind, NAME, (object) => {
      const { disruption: _, ...spec } = object["spec"] as Record<string, unknown>;
      return { ...object, spec: { ...spec, ...(disruption === undefined ? {} : { disruption }) } };
    });
  await toRest(stage);
  stage.world.edit("PodDisruptionBudget", "web-blue", () => undefined);
  ask({ maxUnavailable: "25%" });
  await toRest(stage);
  expect(specOf(stage, "blue")).toMatchObject({ maxUnavailable: "25%" });
  ask({ minAvailable: 2 });
  await toRest(stage);
  expect(specOf(stage, "blue")).toMatchObject({ minAvailable: 2 });
  expect(specOf(stage, "blue")).not.toHaveProperty("maxUnavailable");
  ask(undefined);
  await toRest(stage);
  expect(specOf(stage, "blue")).toBeUndefined();
});
