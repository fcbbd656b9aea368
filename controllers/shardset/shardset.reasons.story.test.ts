// A shard that does not come up says why, whoever knows it, and what was asked for by mistake can be put right.
import { expect, test } from "@jest/globals";
import { NAME, spec } from "./testing/builders.ts";
import { condition, createWorld, type World } from "./testing/world.ts";

/** Long enough for complaints to be asked for. */
async function wait(world: World, seconds = 15): Promise<void> {
  await world.settle();
  await world.clock.advance(seconds * 1_000);
  await world.settle();
}

const typo = { shards: 1, storage: { size: "1Gi", storageClassName: "stanard" } };
const right = { size: "1Gi", storageClassName: "standard" };

test("trial 4: a typo in the storage class is told with volume and class, and is for a person to mend", async () => {
  const world = createWorld({ spec: typo });
  world.useClasses(["standard", "fast"]);
  await wait(world);
  expect(condition(world, "Ready")).toBe(
    'False StartBlocked: 0 of 1 shards are ready; shard 0: volume bank-0-0: storage class "stanard" does not exist; there are: fast, standard; correct spec.storage.storageClassName: there is no data yet, so the volume is made anew',
  );
  expect(condition(world, "Stalled")).toMatch(/^True StartBlocked: /);
  expect(condition(world, "Reconciling")).toMatch(/^False /);
});

test("trial 4: the class is corrected in place, and the volume is made anew, since there never was one", async () => {
  const world = createWorld({ spec: typo });
  world.useClasses(["standard"]);
  await wait(world);
  world.setSpec({ storage: right });
  await wait(world);
  expect(condition(world, "Ready")).toBe("True Ready: 1 of 1 shards accept writes");
  expect(world.find("PersistentVolumeClaim", "bank-0-0")?.["spec"]).toMatchObject({ storageClassName: "standard" });
  expect(world.shardSet().status?.volumesBound).toBe(true);
});

test("trial 4: what never held data does not stay behind, so a second try begins anew", async () => {
  const world = createWorld({ spec: typo });
  world.useClasses(["standard"]);
  await wait(world);
  world.deleteShardSet();
  await world.settle();
  expect(world.find("ShardSet", NAME)).toBeUndefined();
  expect(world.all("PersistentVolumeClaim")).toEqual([]);
  expect(world.find("ConfigMap", "bank-map")).toBeUndefined();
  world.put({
    apiVersion: "shieldx.dev/v1alpha1",
    kind: "ShardSet",
    metadata: { name: NAME, namespace: "demo", uid: "uid-second" },
    spec: spec({ ...typo, storage: right }),
  });
  await wait(world);
  expect(condition(world, "Ready")).toBe("True Ready: 1 of 1 shards accept writes");
});

test("trial 4b: a missing default class is told, and it heals when one returns", async () => {
  const world = createWorld({ spec: { shards: 1 } });
  world.useClasses([]);
  await wait(world);
  expect(condition(world, "Ready")).toBe(
    "False StartBlocked: 0 of 1 shards are ready; shard 0: volume bank-0-0: the cluster has no default StorageClass; there are: none; mark one as the default, or set spec.storage.storageClassName: there is no data yet, so the volume is made anew",
  );
  world.useClasses(["standard"]);
  await wait(world);
  expect(condition(world, "Ready")).toBe("True Ready: 1 of 1 shards accept writes");
});

test("a volume that once was there stays lost, whatever is asked for", async () => {
  const world = createWorld({ spec: { shards: 1 } });
  world.useClasses(["standard"]);
  await wait(world);
  for (const kind of ["Pod", "PersistentVolumeClaim"]) world.edit(kind, "bank-0-0", () => undefined);
  world.setSpec({ storage: right });
  await wait(world);
  expect(condition(world, "Ready")).toMatch(/^False VolumeLost: /);
  expect(world.all("PersistentVolumeClaim")).toEqual([]);
});
