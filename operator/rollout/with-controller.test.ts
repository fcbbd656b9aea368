// The command line and the controller understand each other: what the one asks for the other carries out, and what the one
// says the other shows.
import { expect, test } from "@jest/globals";
import {
  deployment,
  NAME,
  NAMESPACE,
  rollout,
  scriptedSampler,
  service,
  spec,
  verdict,
} from "../../controllers/rollout/testing/builders.ts";
import { LOWER_STEPS } from "../../controllers/rollout/testing/lower.ts";
import { playedController } from "../../controllers/rollout/testing/stage.ts";
import { ROLLOUT, type Rollout } from "../../crds/rollout.ts";
import { type RolloutRequest } from "../../crds/rollout-request.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { createMemoryWorld } from "../../testkit/memory-world.ts";
import { conditionOf, toRest } from "../../testkit/story.ts";
import { askRollout } from "./ask.ts";
import { type ColourPods, readPods } from "./colours.ts";
import { nextSteps } from "./next.ts";
import { screenText } from "./screen.ts";

const PLACE = { namespace: NAMESPACE, name: NAME };

/** A Rollout whose first stage waits for approval, with the first version at rest. */
async function begin() {
  const sampler = scriptedSampler();
  const controller = playedController({ sampler });
  const world = createMemoryWorld({ namespace: NAMESPACE, indexes: controller.indexes });
  world.put(deployment("web:1"));
  world.put(service());
  const [first, last] = spec().stages;
  world.put(
    rollout({ stages: [first, last].flatMap((one, index) => (one ? [{ ...one, approval: index === 0 }] : [])) }),
  );
  const stage = { world, controller, sampler, key: PLACE, kind: ROLLOUT.kind, steps: LOWER_STEPS };
  const present = () => world.find(ROLLOUT.kind, NAME) as unknown as Rollout;
  const client = {
    find: async (type: { readonly kind: string }, { name }: { readonly name: string }) => world.find(type.kind, name),
    patch: async (_type: unknown, _place: unknown, { patch }: { readonly patch: { readonly spec: object } }) => {
      world.edit(ROLLOUT.kind, NAME, (object) => merged(object, patch) as KubeObject);
      return present();
    },
  } as never;
  const ask = async (request: RolloutRequest) => {
    const context = { client, clock: world.clock, print: () => undefined, waitSeconds: 0 };
    await askRollout(PLACE, request, context);
    await toRest(stage);
    return present().status?.lastRequest;
  };
  const screen = async (): Promise<string> => {
    const pods: ColourPods = await readPods(client, present());
    return screenText(present(), pods, world.clock.now());
  };
  const push = async (image: string): Promise<void> => {
    world.edit("Deployment", "web", (object) => ({ ...object, spec: deployment(image)["spec"] }));
    await toRest(stage);
  };
  await toRest(stage);
  return { ...stage, present, ask, screen, push };
}

/** RFC 7386. */
function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const result: Record<string, unknown> = { ...(target as Record<string, unknown> | undefined) };
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = merged(result[name], value);
  }
  return result;
}

test("a release that waits for approval is promoted by the command that the controller names", async () => {
  const stage = await begin();
  expect(await stage.screen()).toContain("phase      Idle");
  await stage.push("web:2");
  expect(await stage.screen()).toContain("[10 % (approval)] > 100 % > bake 1m");
  stage.sampler.say({ verdict: verdict("Pass", "HoldOver") });
  await toRest(stage);
  const [promote, abort] = nextSteps(stage.present());
  const { message } = conditionOf(stage, "Ready") as { readonly message: string };
  expect(message).toContain(`To go on: ${promote?.command ?? "?"};`);
  expect(message).toContain(`to go back: ${abort?.command ?? "?"}`);
  expect(await stage.screen()).toContain("waits for a person since 0s");

  expect(await stage.ask({ id: "promote-1", action: "Promote" })).toMatchObject({ id: "promote-1", result: "Done" });
  expect(await stage.screen()).toContain("10 % (approval) > [100 %] > bake 1m");
  expect(await stage.screen()).toMatch(/request +Promote \(promote-1\) 0s ago: Done: went on from stage 1 of 2\n/);
  expect(await stage.ask({ id: "promote-2", action: "Promote" })).toMatchObject({ id: "promote-2", result: "Refused" });
  expect(await stage.ask({ id: "jump-1", action: "Jump", stage: 0 })).toMatchObject({
    result: "Done",
    message: "went to stage 1",
  });
});

test("a release that was aborted is released again by the command that the controller names", async () => {
  const stage = await begin();
  await stage.push("web:2");
  expect(await stage.ask({ id: "abort-1", action: "Abort" })).toMatchObject({ id: "abort-1", result: "Done" });
  expect(nextSteps(stage.present())).toEqual([]);
  await stage.world.clock.advance(60_000);
  await toRest(stage);
  const [retry] = nextSteps(stage.present());
  expect(conditionOf(stage, "Ready")).toMatchObject({
    reason: "RolledBack",
    message: expect.stringContaining(retry?.command ?? "?"),
  });
  expect(await stage.screen()).toMatch(/releases +\w{10} Aborted 0s ago \(Aborted\): somebody asked for it\n/);
  expect(await stage.ask({ id: "retry-1", action: "Retry" })).toMatchObject({ result: "Done" });
  expect(stage.present().status?.phase).toBe("Canary");
});
