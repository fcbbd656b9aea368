// Stories of data that is not where it ought to be: what is told, what is never made, and how people go on.
import { describe, expect, test } from "@jest/globals";
import { OperatorError } from "../../lib/core/errors.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { NAME } from "./testing/builders.ts";
import { condition, createWorld, type World } from "./testing/world.ts";

async function ready(): Promise<World> {
  const world = createWorld();
  await world.settle();
  expect(condition(world, "Ready")).toBe("True Ready: 3 of 3 shards accept writes");
  return world;
}

/** `data` of the map's ConfigMap. */
function mapOf(world: World): Record<string, string> {
  return (world.find("ConfigMap", "bank-map") as { data?: Record<string, string> } | undefined)?.data ?? {};
}

describe("data that is lost", () => {
  /** What a backup of the cluster's objects brings back: without status, with other uids, volumes empty. */
  function restore(world: World, change: (object: KubeObject) => KubeObject = (object) => object): World {
    const restored = createWorld({ uid: "uid-restored" });
    for (const kind of ["PersistentVolumeClaim", "Secret", "ConfigMap", "Lease"]) {
      for (const object of world.all(kind)) {
        // Those with an owner were collected and are made anew.
        if (kind === "Secret" && object.metadata.ownerReferences !== undefined) continue;
        const { uid: _, resourceVersion: __, ...metadata } = object.metadata;
        const { status: ___, ...rest } = object;
        restored.put(change({ ...rest, metadata }));
      }
    }
    return restored;
  }
  const lost = (shard: number, id: string, epoch = 1): string =>
    `shard ${shard}: DataLost: volume of bank-${shard}-0 lacks its data; bind PersistentVolumeClaim bank-${shard}-0 to the volume that has the data, or restore it there; to give that data up for good: kubectl annotate --overwrite shardset bank -n demo shieldx.dev/accept-data-loss=${shard}:${id}:${epoch}`;
  const annotate = (world: World, value: string): void =>
    world.edit("ShardSet", NAME, (object) => ({
      ...object,
      metadata: { ...object.metadata, annotations: { "shieldx.dev/accept-data-loss": value } },
    }));

  test("trial 13: restored objects with empty volumes are taken over, and nothing begins anew", async () => {
    const before = await ready();
    const ids = [0, 1, 2].map((shard) => mapOf(before)[`systemIdentifier.${shard}`] ?? "");
    expect(new Set(ids).size).toBe(3);
    const world = restore(before);
    await world.settle();
    const message = `0 of 3 shards are ready; ${ids.map((id, shard) => lost(shard, id)).join("; ")}`;
    expect(condition(world, "Ready")).toBe(`False DataLost: ${message}`);
    expect(condition(world, "Stalled")).toBe(`True DataLost: ${message}`);
    expect(mapOf(world)).toEqual(mapOf(before));
    expect(await world.reconcile()).toEqual([]);
  });

  test("trial 13: so are those of the version that recorded nothing", async () => {
    const before = await ready();
    const legacy = (object: KubeObject): KubeObject => {
      const { annotations = {} } = object.metadata;
      const { "shieldx.dev/system-identifier": _, ...others } = annotations;
      const data = (object as { data?: Record<string, string> }).data ?? {};
      const kept = Object.fromEntries(Object.entries(data).filter(([key]) => !key.startsWith("systemIdentifier.")));
      return {
        ...object,
        metadata: { ...object.metadata, annotations: others },
        ...(object.kind === "ConfigMap" ? { data: kept } : {}),
      };
    };
    const world = restore(before, legacy);
    await world.settle();
    expect(condition(world, "Ready")).toBe(
      `False DataLost: 0 of 3 shards are ready; ${[0, 1, 2].map((shard) => lost(shard, "unknown")).join("; ")}`,
    );
    // The Leases go with some backups and not with others: the map alone says enough.
    for (const shard of [0, 1, 2]) world.edit("Lease", `bank-${shard}`, () => undefined);
    await world.settle();
    expect(condition(world, "Ready")).toMatch(/^False DataLost/);
    annotate(world, [0, 1, 2].map((shard) => `${shard}:unknown:1`).join(", "));
    await world.settle();
    expect(condition(world, "Ready")).toBe("True Ready: 3 of 3 shards accept writes");
  });

  test("an upgrade records what it finds, and an empty volume of a running shard is not a beginning", async () => {
    const world = await ready();
    world.edit("ConfigMap", "bank-map", (map) => {
      const { version, epoch, owners } = (map as { data?: Record<string, string> }).data ?? {};
      return { ...map, data: { version, epoch, owners } };
    });
    await world.settle();
    expect(mapOf(world)["systemIdentifier.2"]).toMatch(/^75/);
    expect(condition(world, "Ready")).toBe("True Ready: 3 of 3 shards accept writes");
  });

  test("is given up by its very name, once", async () => {
    const world = await ready();
    const former = mapOf(world)["systemIdentifier.1"] ?? "";
    world.emptyVolume(1);
    await world.settle();
    expect(condition(world, "Ready")).toBe(`False DataLost: 2 of 3 shards are ready; ${lost(1, former)}`);
    for (const wrong of ["1", `0:${former}:1`, `1:${former}:2`, "1:unknown:1", "true"]) {
      annotate(world, wrong);
      await world.settle();
      expect(condition(world, "Ready")).toMatch(/^False DataLost/);
    }
    annotate(world, `1:${former}:1`);
    expect((await world.settle()).filter((line) => line.includes("ConfigMap") || line.includes("DataGivenUp"))).toEqual(
      [
        `patch ConfigMap bank-map: shard 1 gave up the data with system identifier ${former}`,
        "event Warning DataGivenUp: data of shard 1 is given up as annotated",
        expect.stringMatching(/^patch ConfigMap bank-map: shard 1 has the data with system identifier 75/),
      ],
    );
    expect(condition(world, "Ready")).toBe("True Ready: 3 of 3 shards accept writes");
    expect(mapOf(world)["systemIdentifier.1"]).not.toBe(former);
    // The annotation stays where it is, in a repository for example: it is used up.
    world.emptyVolume(1);
    await world.settle();
    expect(condition(world, "Ready")).toMatch(/^False DataLost/);
  });

  test("a shard is ready only when it is recorded what its data is", async () => {
    const world = await ready();
    world.edit("ConfigMap", "bank-map", (map) => ({
      ...map,
      data: { ...(map as { data?: object }).data, "systemIdentifier.0": "new" },
    }));
    world.fail("ConfigMap", "bank-map", new OperatorError("KUBE_UNREACHABLE", "no answer"), "always");
    await world.reconcile();
    expect(world.shardSet().status?.shardsReady).toBe(2);
    world.fail("ConfigMap", "bank-map", undefined);
    await world.settle();
    expect(condition(world, "Ready")).toBe("True Ready: 3 of 3 shards accept writes");
  });

  test("another database cluster on the volume is told, and the record stays", async () => {
    const world = await ready();
    world.edit("ConfigMap", "bank-map", (map) => ({
      ...map,
      data: { ...(map as { data?: object }).data, "systemIdentifier.0": "7400000000000000009" },
    }));
    await world.settle();
    expect(condition(world, "Stalled")).toMatch(
      /^True DataRefused: 2 of 3 shards are ready; shard 0: DataRefused: .*accept-data-loss=0:7400000000000000009:1$/,
    );
    expect(mapOf(world)["systemIdentifier.0"]).toBe("7400000000000000009");
  });
});
