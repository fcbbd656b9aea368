import {
  deployment,
  NAME,
  NAMESPACE,
  rollout,
  scriptedSampler,
  service,
  verdict,
} from "../controllers/rollout/testing/builders.ts";
import { LOWER_STEPS } from "../controllers/rollout/testing/lower.ts";
import { playedController } from "../controllers/rollout/testing/stage.ts";
import { ROLLOUT, type RolloutSpec } from "../crds/rollout.ts";
import { createMemoryWorld } from "./memory-world.ts";
import { reconcileOnce, type StoryCast, toRest } from "./story.ts";
import { album, type ToldState } from "./told-album.ts";

/** Moments from the life of a Rollout. */
export async function rolloutStates(): Promise<readonly ToldState[]> {
  const sampler = scriptedSampler();
  const controller = playedController({ sampler });
  const world = createMemoryWorld({ namespace: NAMESPACE, indexes: controller.indexes, watches: controller.watches });
  const key = { namespace: NAMESPACE, name: NAME };
  const cast: StoryCast = { world, controller, key, kind: ROLLOUT.kind, steps: LOWER_STEPS };
  const { states, take } = album(() => world.find(ROLLOUT.kind, NAME));
  const setSpec = (given: Partial<RolloutSpec>): void =>
    world.edit(ROLLOUT.kind, NAME, (object) => ({ ...object, spec: { ...(object["spec"] as object), ...given } }));
  const push = (image: string): void =>
    world.edit("Deployment", "web", (object) => ({ ...object, spec: deployment(image)["spec"] }));

  world.put(rollout());
  world.put(service());
  take("just made, without a status", "Progressing");
  await reconcileOnce(cast);
  take("there is no Deployment", "Degraded");
  world.put(deployment("web:1"));
  await reconcileOnce(cast);
  take("the first version begins", "Progressing");
  await toRest(cast);
  take("the first version serves", "Healthy");
  push("web:2");
  await toRest(cast);
  take("a version is judged", "Progressing");
  setSpec({ paused: true });
  await toRest(cast);
  take("somebody holds the release", "Suspended", { isFailed: true });
  setSpec({ paused: false });
  await toRest(cast);
  await world.clock.advance(3_600_000);
  await toRest(cast);
  take("the release waits for a person", "Suspended", { isFailed: true });
  sampler.say({ failure: verdict("Fail", "Harm") });
  await reconcileOnce(cast);
  take("harm takes it back", "Progressing");
  await toRest(cast);
  await world.clock.advance(60_000);
  await toRest(cast);
  take("it was taken back", "Degraded");
  push("web:1");
  await toRest(cast);
  take("the version that serves is asked for again", "Healthy");
  world.edit(ROLLOUT.kind, NAME, (object) => ({
    ...object,
    metadata: { ...object.metadata, annotations: { "shieldx.dev/paused": "true" } },
  }));
  await reconcileOnce(cast);
  take("paused while at rest", "Suspended");
  return states;
}
