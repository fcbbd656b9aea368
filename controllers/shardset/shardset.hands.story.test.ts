// What people and policies do by hand to a ShardSet that runs: to its status, to labels and annotations of its objects.
import { describe, expect, test } from "@jest/globals";
import { ANNOTATIONS, LABELS } from "../../crds/group.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { NAME } from "./testing/builders.ts";
import { condition, createWorld, type World } from "./testing/world.ts";

async function ready(shards = 2): Promise<World> {
  const world = createWorld({ spec: { shards } });
  await world.settle();
  expect(condition(world, "Ready")).toMatch(/^True/);
  return world;
}

/** `data` of the map's ConfigMap. */
const mapOf = (world: World): Record<string, string> | undefined =>
  (world.find("ConfigMap", "bank-map") as { data?: Record<string, string> } | undefined)?.data;
const setStatus = (world: World, change: (status: Record<string, unknown>) => Record<string, unknown>): void =>
  world.edit("ShardSet", NAME, (object) => ({ ...object, status: change((object["status"] ?? {}) as never) }));
const remove = (world: World, kind: string, name: string): void => world.edit(kind, name, () => undefined);
const uidOf = (world: World, kind: string, name: string): string | undefined => world.find(kind, name)?.metadata.uid;
const setMetadata = (
  world: World,
  [kind, name]: readonly [kind: string, name: string],
  change: (metadata: KubeObject["metadata"]) => Partial<KubeObject["metadata"]>,
): void =>
  world.edit(kind, name, ({ metadata, ...rest }) => ({ ...rest, metadata: { ...metadata, ...change(metadata) } }));
const without = (all: Readonly<Record<string, string>> | undefined, names: readonly string[]): Record<string, string> =>
  Object.fromEntries(Object.entries(all ?? {}).filter(([name]) => !names.includes(name)));

describe("the status", () => {
  test("that somebody empties comes back as it was", async () => {
    const world = await ready();
    const before = world.shardSet().status;
    setStatus(world, () => ({}));
    await world.settle();
    expect(world.shardSet().status).toEqual(before);
  });

  test("lost together with the map makes no other map: shards that were added own no buckets", async () => {
    const world = await ready(2);
    world.setSpec({ shards: 4 });
    await world.settle();
    const before = mapOf(world);
    setStatus(world, () => ({}));
    remove(world, "ConfigMap", "bank-map");
    await world.settle();
    expect(mapOf(world)).toBeUndefined();
    expect(condition(world, "Stalled")).toBe(
      "True MapInvalid: ConfigMap bank-map is gone, and the status does not tell which shard owns how many buckets; restore it from a good copy, or from a shard's database (docs/operations.md)",
    );
    // Pods come and go meanwhile.
    const { uid } = world.find("Pod", "bank-0-0")?.metadata ?? {};
    remove(world, "Pod", "bank-0-0");
    await world.settle();
    expect(uidOf(world, "Pod", "bank-0-0")).toBeDefined();
    expect(uidOf(world, "Pod", "bank-0-0")).not.toBe(uid);
    const labels = { [LABELS.kind]: "ShardSet", [LABELS.name]: NAME };
    const metadata = { name: "bank-map", namespace: "demo", labels, annotations: {} };
    world.put({ apiVersion: "v1", kind: "ConfigMap", metadata, data: { ...before } });
    await world.settle();
    expect(mapOf(world)).toEqual(before);
    expect(condition(world, "Ready")).toMatch(/^True/);
  });

  test("with a shard that there never was does not keep a lost map from being made anew", async () => {
    const world = await ready();
    const before = mapOf(world);
    // What others say in a list of the status stays there.
    setStatus(world, (status) => ({
      ...status,
      shardStatuses: [...(status["shardStatuses"] as object[]), { shard: 9, ready: true, bucketCount: 5 }],
    }));
    remove(world, "ConfigMap", "bank-map");
    await world.settle();
    expect(mapOf(world)).toEqual({ ...before, epoch: "2" });
  });
});

describe("labels that somebody takes off", () => {
  test.each([
    ["Pod", "bank-0-0"],
    ["ConfigMap", "bank-map"],
    ["Secret", "bank-ca"],
    ["Secret", "bank-databases"],
    ["Lease", "bank-0"],
    ["Service", "bank-0"],
  ])("%s %s come back, and the object is the same one", async (kind, name) => {
    const world = await ready();
    const data = world.find(kind, name)?.["data"];
    const [uid, pod] = [uidOf(world, kind, name), uidOf(world, "Pod", "bank-0-0")];
    for (const labels of [[LABELS.name], [LABELS.kind], [LABELS.kind, LABELS.name]]) {
      setMetadata(world, [kind, name], (metadata) => ({ labels: without(metadata.labels, labels) }));
      await world.settle();
      expect(condition(world, "Ready")).toMatch(/^True/);
      expect(world.find(kind, name)?.metadata.labels).toMatchObject({ [LABELS.kind]: "ShardSet", [LABELS.name]: NAME });
    }
    expect([uidOf(world, kind, name), uidOf(world, "Pod", "bank-0-0")]).toEqual([uid, pod]);
    expect(world.find(kind, name)?.["data"]).toEqual(data);
  });

  test("a volume are told with the command that heals, and nothing is made in its place", async () => {
    const world = await ready();
    const claim = ["PersistentVolumeClaim", "bank-0-0"] as const;
    const uid = uidOf(world, ...claim);
    const { labels } = world.find(...claim)?.metadata ?? {};
    setMetadata(world, claim, (metadata) => ({ labels: without(metadata.labels, [LABELS.name]) }));
    await world.settle();
    expect(condition(world, "Stalled")).toBe(
      "True VolumeLost: 1 of 2 shards are ready; shard 0: volume bank-0-0 is gone; restore it under this name with labels shieldx.dev/kind=ShardSet, shieldx.dev/name=bank, shieldx.dev/shard=0; if it is there, it lacks them: kubectl label --overwrite pvc bank-0-0 -n demo shieldx.dev/kind=ShardSet shieldx.dev/name=bank shieldx.dev/shard=0",
    );
    remove(world, "Pod", "bank-0-0");
    await world.settle();
    expect(world.all("PersistentVolumeClaim").map(({ metadata }) => metadata.uid)).toContain(uid);
    expect(world.all("PersistentVolumeClaim")).toHaveLength(2);
    setMetadata(world, claim, () => ({ labels: labels ?? {} }));
    await world.settle();
    expect(condition(world, "Ready")).toMatch(/^True/);
    expect(uidOf(world, ...claim)).toBe(uid);
  });
});

describe("a policy of the cluster", () => {
  test.each<[string, (metadata: KubeObject["metadata"]) => Partial<KubeObject["metadata"]>]>([
    [
      "says labels for people otherwise",
      ({ labels }) => ({ labels: { ...labels, "app.kubernetes.io/instance": "tenant-7" } }),
    ],
    ["adds labels", ({ labels }) => ({ labels: { ...labels, team: "payments" } })],
    ["takes labels for people off", ({ labels }) => ({ labels: without(labels, ["app.kubernetes.io/managed-by"]) })],
    ["takes annotations off", ({ annotations }) => ({ annotations: without(annotations, [ANNOTATIONS.configHash]) })],
  ])("that %s of each pod has none replaced", async (_what, change) => {
    const world = await ready();
    const seen = new Set<string>();
    for (let round = 0; round < 10; round += 1) {
      const { uid = "" } = world.find("Pod", "bank-0-0")?.metadata ?? {};
      if (uid !== "" && !seen.has(uid)) setMetadata(world, ["Pod", "bank-0-0"], change);
      seen.add(uid);
      await world.reconcile();
      world.lower();
    }
    expect(seen.size).toBe(1);
    expect(condition(world, "Ready")).toMatch(/^True/);
    // A new spec does replace it.
    world.setSpec({ resources: { requests: { cpu: "300m" } } });
    await world.settle();
    expect(seen.has(uidOf(world, "Pod", "bank-0-0") ?? "")).toBe(false);
  });
});
