// Stories of pods that are to be replaced while shards are down, out of reach or recovering: nobody's pod goes that may
// be at work, and what is made right again comes back by itself.
import { expect, test } from "@jest/globals";
import { IMAGE, NAME } from "./testing/builders.ts";
import { condition, createWorld, type World } from "./testing/world.ts";

async function ready(): Promise<World> {
  const world = createWorld();
  await world.settle();
  expect(condition(world, "Ready")).toBe("True Ready: 3 of 3 shards accept writes");
  return world;
}

/** Four looks of the controller with the kubelet's work between them. @returns the deletions of pods */
async function looks(world: World, count = 4): Promise<string[]> {
  const lines: string[] = [];
  for (let look = 0; look < count; look += 1) {
    lines.push(...(await world.reconcile()));
    world.lower();
  }
  return lines.filter((line) => line.startsWith("delete Pod"));
}

/** uids of the pods, in the order of their shards. */
function uids(world: World): (string | undefined)[] {
  return [...world.all("Pod")]
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    .map(({ metadata }) => metadata.uid);
}

const bad = { postgres: { parameters: { max_connections: "3" } } };

test("trial 6: agents out of reach and a bad setting replace no pod", async () => {
  const world = await ready();
  await world.clock.advance(60_000);
  for (const shard of [0, 1, 2]) world.disturb(shard, "silent");
  world.setSpec(bad);
  expect(await looks(world)).toEqual([]);
});

test("trial 6: a shard in recovery is waited for, and replaced after it", async () => {
  const world = await ready();
  world.disturb(1, { reason: "PostgresStarting", message: "the database system is starting up" });
  world.setSpec({ postgres: { parameters: { work_mem: "8MB" } } });
  expect(await looks(world)).toEqual([]);
  world.disturb(1, undefined);
  expect((await world.settle()).filter((line) => line.startsWith("delete Pod"))).toHaveLength(3);
});

test("trial 9: an image that does not exist takes one shard, and going back heals it", async () => {
  const world = await ready();
  const before = uids(world);
  world.upgrade("shieldx-postgres:nope");
  await world.reconcile();
  world.lower();
  world.stick(0, "ErrImagePull");
  // Also while the set grows, and while an agent comes and goes.
  world.setSpec({ shards: 4 });
  world.stick(3, "ErrImagePull");
  await looks(world);
  world.disturb(2, "silent");
  await world.clock.advance(60_000);
  await looks(world);
  world.disturb(2, undefined);
  await looks(world);
  expect(uids(world).slice(1, 3)).toEqual(before.slice(1, 3));
  expect(condition(world, "Ready")).toMatch(/^False Updating: 2 of 4 shards are ready; shard 0: .*ErrImagePull/);

  world.upgrade(IMAGE);
  world.stick(0, undefined);
  world.stick(3, undefined);
  // At once, both of them: nothing ran in them.
  const lines = await world.reconcile();
  expect(lines.filter((line) => line.startsWith("delete Pod"))).toHaveLength(2);
  await world.settle();
  expect(condition(world, "Ready")).toBe("True Ready: 4 of 4 shards accept writes");
  expect(uids(world).slice(1, 3)).toEqual(before.slice(1, 3));
});

test("paused, no pod is replaced, whatever the spec", async () => {
  const world = await ready();
  const before = uids(world);
  world.edit("ShardSet", NAME, (object) => ({
    ...object,
    metadata: { ...object.metadata, annotations: { "shieldx.dev/paused": "true" } },
  }));
  world.setSpec(bad);
  world.disturb(1, { reason: "PostgresFailed", message: "it says so" });
  await looks(world);
  expect(uids(world)).toEqual(before);
});
