import { expect, test } from "@jest/globals";
import { ROLLOUT } from "../../crds/rollout.ts";
import { createMemoryWorld } from "../../testkit/memory-world.ts";
import { NAMESPACE, rollout } from "./testing/builders.ts";
import { playedController } from "./testing/stage.ts";

test("when the older one of two Rollouts of a Deployment goes, the other one is woken", () => {
  const { watches, indexes } = playedController();
  const world = createMemoryWorld({ namespace: NAMESPACE, indexes });
  const older = rollout();
  world.put({ ...rollout(), metadata: { ...older.metadata, name: "web-too", uid: "uid-too" } });
  const watch = watches.find(({ resource }) => resource.kind === ROLLOUT.kind);
  expect(watch?.keys(older, world.cache)).toEqual([{ namespace: NAMESPACE, name: "web-too" }]);
  // An update of one concerns the other in nothing.
  expect(watch?.changed?.(older, older)).toBe(false);
});
