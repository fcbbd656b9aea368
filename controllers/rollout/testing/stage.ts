import { ROLLOUT, type Rollout, type RolloutSpec } from "../../../crds/rollout.ts";
import { type RolloutStatus } from "../../../crds/rollout-status.ts";
import type { KubeObject } from "../../../lib/kube/types.ts";
import { createMetrics } from "../../../lib/node/metrics.ts";
import type { Controller } from "../../../operator/runtime/types.ts";
import { createMemoryWorld, type MemoryWorld } from "../../../testkit/memory-world.ts";
import { type StoryCast, toRest } from "../../../testkit/story.ts";
import { createRolloutController, type RolloutDeps } from "../rollout.controller.ts";
import { createRolloutMetrics } from "../rollout.metrics.ts";
import { deployment, NAME, NAMESPACE, rollout, type ScriptedSampler, scriptedSampler, service } from "./builders.ts";
import { LOWER_STEPS } from "./lower.ts";

// What the stories of Rollouts begin with: the whole controller against a small world in memory, together with what others do there
// (Deployment controller, kubelet, gateway).

/** The controller, with all that it asks outside of the API server played. */
export function playedController(given: Partial<RolloutDeps> = {}): Controller<Rollout> {
  return createRolloutController({
    sampler: scriptedSampler(),
    metrics: createRolloutMetrics(createMetrics()),
    randomBytes: (size) => new Uint8Array(size).fill(7),
    askHttp: async () => ({ status: 200, body: "" }),
    post: async () => ({ status: 204 }),
    ...given,
  });
}

export interface Stage extends StoryCast {
  readonly sampler: ScriptedSampler;
  readonly status: () => RolloutStatus;
}

/** A Rollout, and what it names: the Deployment and the Service of the builders unless told. */
export function beginStage(
  given: Partial<RolloutSpec> = {},
  objects: readonly KubeObject[] = [deployment("web:1"), service()],
): Stage {
  const sampler = scriptedSampler();
  const controller = playedController({ sampler });
  const world = createMemoryWorld({
    namespace: NAMESPACE,
    indexes: controller.indexes,
    watches: controller.watches,
    verbWidth: "create".length,
  });
  for (const object of [...objects, rollout(given)]) world.put(object);
  return {
    world,
    controller,
    sampler,
    status: () => world.find(ROLLOUT.kind, NAME)?.["status"] as RolloutStatus,
    key: { namespace: NAMESPACE, name: NAME },
    kind: ROLLOUT.kind,
    steps: LOWER_STEPS,
  };
}

/** The user's Deployment gets another image. */
export function push(world: MemoryWorld, image: string): void {
  world.edit("Deployment", "web", (object) => ({ ...object, spec: deployment(image)["spec"] }));
}

/** Time passes, and what follows from that happens. @returns the transcript */
export async function later(stage: Stage, seconds: number): Promise<string[]> {
  await stage.world.clock.advance(seconds * 1_000);
  return [`· ${String(seconds)} s later`, ...(await toRest(stage))];
}
