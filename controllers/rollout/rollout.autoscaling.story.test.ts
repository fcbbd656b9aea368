import { expect, test } from "@jest/globals";
import { rolloutAutoscaling } from "../../crds/rollout-autoscaling.ts";
import { type StoryStep, toRest } from "../../testkit/story.ts";
import { verdict } from "./testing/builders.ts";
import { beginStage, later, push, type Stage } from "./testing/stage.ts";

// Runs the whole controller with spec.autoscaling, beside an autoscaler that brings pods into its bounds.

interface Bounds {
  readonly minReplicas: number;
  readonly maxReplicas: number;
}

const pods = ({ world }: Pick<Stage, "world">, colour: string): number =>
  (world.find("Deployment", `web-${colour}`)?.["spec"] as { replicas: number }).replicas;
const bounds = ({ world }: Pick<Stage, "world">, colour: string): Bounds | undefined =>
  world.find("HorizontalPodAutoscaler", `web-${colour}`)?.["spec"] as Bounds | undefined;

function scale({ world }: Pick<Stage, "world">, colour: string, replicas: number): void {
  world.edit("Deployment", `web-${colour}`, (object) => ({
    ...object,
    spec: { ...(object["spec"] as object), replicas },
  }));
}

const autoscaler: StoryStep = (world) => {
  for (const colour of ["blue", "green"]) {
    const wanted = bounds({ world }, colour);
    if (wanted === undefined) continue;
    const now = pods({ world }, colour);
    const next = Math.min(Math.max(now, wanted.minReplicas), wanted.maxReplicas);
    // One without pods is left alone.
    if (now === 0 || next === now) continue;
    scale({ world }, colour, next);
    return `web-${colour} is scaled to ${String(next)}`;
  }
  return undefined;
};

async function midway(): Promise<Stage> {
  const begun = beginStage({ autoscaling: rolloutAutoscaling.parse({ minReplicas: 2, maxReplicas: 20 }) });
  const stage = { ...begun, steps: [autoscaler, ...begun.steps] };
  await toRest(stage);
  expect(bounds(stage, "blue")).toMatchObject({ minReplicas: 2, maxReplicas: 20 });
  scale(stage, "blue", 10);
  await toRest(stage);
  push(stage.world, "web:2");
  await toRest(stage);
  expect(stage.status()).toMatchObject({ phase: "Canary", stage: 0, heldReplicas: 10 });
  expect(bounds(stage, "blue")).toMatchObject({ minReplicas: 10 });
  expect(bounds(stage, "green")).toMatchObject({ minReplicas: 1 });
  return stage;
}

test("[19, 25] the stable version keeps its size, the canary is whole before the bake, and goes on scaled", async () => {
  const stage = await midway();
  scale(stage, "blue", 12);
  stage.sampler.say({ verdict: verdict("Pass", "HoldOver") });
  await toRest(stage);
  expect([pods(stage, "blue"), pods(stage, "green")]).toEqual([12, 12]);
  stage.sampler.say({ verdict: verdict("Pass", "HoldOver") });
  await toRest(stage);
  expect(stage.status()).toMatchObject({ phase: "Baking", weight: { observedBps: 9_500 } });
  expect(bounds(stage, "blue")).toMatchObject({ minReplicas: 10 });
  await later(stage, 60);
  await later(stage, 30);
  expect(stage.status()).toMatchObject({ phase: "Idle", stable: { colour: "Green" } });
  expect(stage.status().heldReplicas).toBeUndefined();
  expect([pods(stage, "blue"), pods(stage, "green")]).toEqual([0, 12]);
  expect(bounds(stage, "blue")).toBeUndefined();
  expect(bounds(stage, "green")).toMatchObject({ minReplicas: 2 });
});

test("[25] after harm the canary's autoscaler goes before its pods do", async () => {
  const stage = await midway();
  scale(stage, "green", 6);
  stage.sampler.say({ failure: verdict("Fail", "Harm") });
  const lines = [...(await toRest(stage)), ...(await later(stage, 30))];
  const at = (text: string): number => lines.findIndex((line) => line.includes(text));
  expect(at("HTTPRoute web: back")).toBeLessThan(at("HorizontalPodAutoscaler web-green"));
  expect(at("Deployment web-green: 0 pods")).toBeGreaterThan(at("HorizontalPodAutoscaler web-green"));
  expect([pods(stage, "blue"), pods(stage, "green")]).toEqual([10, 0]);
  expect(bounds(stage, "green")).toBeUndefined();
  expect(bounds(stage, "blue")).toMatchObject({ minReplicas: 2 });
});
