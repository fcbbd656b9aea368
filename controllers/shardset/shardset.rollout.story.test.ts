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

/** What PostgreSQL 17 says to the settings of trial 6. */
const COMPLAINTS: Readonly<Record<string, string>> = {
  "max_connections=3":
    'FATAL: "superuser_reserved_connections" (5) plus "reserved_connections" (0) must be less than "max_connections" (3)',
  "work_mem=8mb": 'invalid value for parameter "work_mem": "8mb"',
  "no_such_setting=1": 'unrecognized configuration parameter "no_such_setting"',
  "max_wal_size=10": 'FATAL: "max_wal_size" must be at least twice "wal_segment_size"',
};
const complaint = (name: string, value: string): string | undefined => COMPLAINTS[`${name}=${value}`];

test.each(Object.keys(COMPLAINTS))(
  "trial 6: %s is refused before any pod goes, and the way back is at once",
  async (given) => {
    const [name = "", value = ""] = given.split("=");
    const world = await ready();
    world.takes(complaint);
    const before = uids(world);
    world.setSpec({ postgres: { parameters: { [name]: value } } });
    await looks(world);
    expect(uids(world)).toEqual(before);
    const told = `SettingsRefused: spec.postgres.parameters.${name} '${value}' is refused by PostgreSQL: ${COMPLAINTS[given] ?? ""}. No pod is replaced until it is changed; 3 of 3 shards are ready`;
    expect(condition(world, "Ready")).toBe(`False ${told}`);
    expect(condition(world, "Stalled")).toBe(`True ${told}`);
    expect(condition(world, "Available")).toMatch(/^True/);

    world.setSpec({ postgres: { parameters: {} } });
    expect(await looks(world)).toEqual([]);
    expect(condition(world, "Ready")).toMatch(/^True/);
    expect(condition(world, "Stalled")).toMatch(/^False/);
    // Another value of it reaches all shards.
    world.setSpec({ postgres: { parameters: { work_mem: "16MB" } } });
    expect((await world.settle()).filter((line) => line.startsWith("delete Pod"))).toHaveLength(3);
  },
);

test("trial 6: with agents that cannot try settings one shard goes, tells, and comes back", async () => {
  const world = await ready();
  const before = uids(world);
  world.setSpec(bad);
  await world.reconcile();
  world.lower();
  // The new pod brings an agent that tries its settings before it starts.
  world.takes(complaint);
  await looks(world);
  expect(uids(world).slice(1)).toEqual(before.slice(1));
  expect(condition(world, "Stalled")).toMatch(
    /^True SettingsRefused: .*'3' is refused by PostgreSQL: FATAL: .*; 2 of 3 shards are ready; shard 0: ConfigInvalid: FATAL/,
  );
  world.setSpec({ postgres: { parameters: {} } });
  await world.settle();
  expect(condition(world, "Ready")).toMatch(/^True/);
  expect(uids(world).slice(1)).toEqual(before.slice(1));
});

test("trial 6: a new ShardSet whose settings are refused says which, and the corrected spec heals all shards at once", async () => {
  const world = createWorld({ spec: bad });
  world.takes(complaint);
  await world.settle();
  expect(condition(world, "Stalled")).toMatch(
    /^True SettingsRefused: 0 of 3 shards are ready; shard 0: ConfigInvalid: FATAL: .* Change spec.postgres.parameters.max_connections$/,
  );
  world.setSpec({ postgres: { parameters: { max_connections: "30" } } });
  const lines = await world.reconcile();
  expect(lines.filter((line) => line.startsWith("delete Pod"))).toHaveLength(3);
  expect(condition(world, "Stalled")).toMatch(/^False/);
  await world.settle();
  expect(condition(world, "Ready")).toBe("True Ready: 3 of 3 shards accept writes");
});

test("settings that are refused hold up an upgrade of the image too, and both go with the correction", async () => {
  const world = await ready();
  world.takes(complaint);
  world.setSpec(bad);
  world.upgrade("shieldx-postgres:2");
  expect(await looks(world)).toEqual([]);
  world.setSpec({ postgres: { parameters: {} } });
  expect((await world.settle()).filter((line) => line.startsWith("delete Pod"))).toEqual(
    [0, 1, 2].map((n) => `delete Pod bank-${n}-0: pod of shard ${n} is replaced: image of container postgres`),
  );
});
