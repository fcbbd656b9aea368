// What clumsy users and intruders do to the objects of a ShardSet: nothing of theirs may be lost, and no sentence wrong.
import { describe, expect, test } from "@jest/globals";
import { ANNOTATIONS, LABELS } from "../../crds/group.ts";
import { type ShardSetSpec, shardSetStatus } from "../../crds/shardset.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { NAMESPACE } from "./testing/builders.ts";
import { condition, createWorld, type World } from "./testing/world.ts";

async function ready(changes: Partial<ShardSetSpec> = {}): Promise<World> {
  const world = createWorld({ spec: { shards: 2, ...changes } });
  await world.settle();
  expect(condition(world, "Ready")).toMatch(/^True/);
  return world;
}

/** Somebody copies an object under another name, with its labels and annotations. */
function copy(world: World, kind: string, [name, as]: readonly [name: string, as: string]): void {
  const { metadata, ...rest } = world.find(kind, name) as KubeObject;
  const { labels = {}, annotations = {} } = metadata;
  world.put({ ...rest, metadata: { name: as, namespace: NAMESPACE, labels, annotations } });
}

const setData = (world: World, [kind, name]: readonly [string, string], data: Record<string, string>): void =>
  world.edit(kind, name, (object) => ({ ...object, data: { ...(object["data"] as object), ...data } }));
const base64 = (text: string): string => Buffer.from(text).toString("base64");
const textOf = (world: World, name: string, key: string): string =>
  Buffer.from((world.find("Secret", name) as { data?: Record<string, string> }).data?.[key] ?? "", "base64").toString();
const claims = (world: World): string[] => world.all("PersistentVolumeClaim").map(({ metadata }) => metadata.name);

describe("data that is to be kept", () => {
  test("Retain keeps CA and key also when somebody else's owner reference is on them", async () => {
    const world = await ready();
    const ownerReferences = [
      { apiVersion: "external-secrets.io/v1", kind: "ExternalSecret", name: "ca", uid: "uid-es" },
    ];
    for (const name of ["bank-ca", "bank-ca-key"]) {
      world.edit("Secret", name, (secret) => ({ ...secret, metadata: { ...secret.metadata, ownerReferences } }));
    }
    world.deleteShardSet();
    await world.settle();
    expect(world.all("Secret").map(({ metadata }) => metadata.name)).toEqual(["bank-ca", "bank-ca-key"]);
  });

  test("Delete removes the volumes of the shards, and no copy of one under another name", async () => {
    const world = await ready({ deletionPolicy: "Delete" });
    copy(world, "PersistentVolumeClaim", ["bank-0-0", "zz-copy-of-bank-0-0"]);
    world.deleteShardSet();
    await world.settle();
    expect(claims(world)).toEqual(["zz-copy-of-bank-0-0"]);
  });

  test("a lost volume is told also while a copy of it under another name has its labels", async () => {
    const world = await ready();
    copy(world, "PersistentVolumeClaim", ["bank-0-0", "zz-copy-of-bank-0-0"]);
    world.edit("PersistentVolumeClaim", "bank-0-0", () => undefined);
    await world.settle();
    expect(condition(world, "Ready")).toMatch(/^False VolumeLost/);
  });

  test("the volume of the shard grows, and no copy of it", async () => {
    const world = await ready();
    copy(world, "PersistentVolumeClaim", ["bank-0-0", "zz-copy-of-bank-0-0"]);
    world.setSpec({ storage: { size: "2Gi" } });
    await world.settle();
    const requests = (name: string) => (world.find("PersistentVolumeClaim", name)?.["spec"] as never)["resources"];
    expect(requests("bank-0-0")).toEqual({ requests: { storage: "2Gi" } });
    expect(requests("zz-copy-of-bank-0-0")).toEqual({ requests: { storage: "1Gi" } });
  });
});

describe("secrets", () => {
  test("a private key beside the CA's certificate gets into no bundle", async () => {
    const world = await ready();
    const combined = `${textOf(world, "bank-ca-key", "tls.crt")}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n`;
    setData(world, ["Secret", "bank-ca-key"], { "tls.crt": base64(combined) });
    await world.settle();
    expect(textOf(world, "bank-ca", "ca.crt")).not.toContain("PRIVATE KEY");
    expect(textOf(world, "bank-0-tls", "ca.crt")).not.toContain("PRIVATE KEY");
  });
});

describe("fields that somebody changed", () => {
  test("a certificate that somebody spoils is made anew (trial 7)", async () => {
    const world = await ready();
    setData(world, ["Secret", "bank-0-tls"], { "tls.crt": base64("garbage") });
    await world.settle();
    expect(textOf(world, "bank-0-tls", "tls.crt")).not.toContain("garbage");
    expect(condition(world, "Ready")).toMatch(/^True/);
  });

  test.each([
    ["without owners", false],
    ["with owners that are gone", true],
  ])("a namespace that a backup brings back %s is taken over (trial 13)", async (_how, keepsOwners) => {
    const world = await ready();
    const kinds = ["ShardSet", "Secret", "ConfigMap", "PersistentVolumeClaim", "Service", "Lease", "ServiceAccount"];
    const saved = [...kinds, "Role", "RoleBinding"].flatMap((kind) => world.all(kind));
    for (const { kind, metadata } of [...saved, ...world.all("Pod")]) world.edit(kind, metadata.name, () => undefined);
    for (const { status: _, ...object } of saved) {
      const { uid: _uid, resourceVersion: _v, creationTimestamp: _t, ownerReferences, ...metadata } = object.metadata;
      world.put({
        ...object,
        metadata: { ...metadata, ...(keepsOwners && ownerReferences ? { ownerReferences } : {}) },
      });
    }
    await world.settle();
    expect(condition(world, "Ready")).toMatch(/^True/);
    const { uid } = world.shardSet().metadata;
    for (const [kind, name] of [
      ["Service", "bank-0"],
      ["Role", "bank-shard"],
      ["Secret", "bank-0-tls"],
    ] as const) {
      expect(world.find(kind, name)?.metadata.ownerReferences?.map((owner) => owner.uid)).toEqual([uid]);
    }
  });
});

describe("pods", () => {
  test("a deleted one comes back while a copy of it under another name has its labels", async () => {
    const world = await ready();
    copy(world, "Pod", ["bank-0-0", "zz-copy-of-bank-0-0"]);
    world.edit("Pod", "bank-0-0", () => undefined);
    await world.settle();
    expect(world.find("Pod", "bank-0-0")).toBeDefined();
  });

  test.each(["7", "1", "x", "-1", ""])(
    "one whose shard label somebody sets to %j is replaced, for its Service does not lead to it",
    async (label) => {
      const world = await ready();
      world.edit("Pod", "bank-0-0", (pod) => ({
        ...pod,
        metadata: { ...pod.metadata, labels: { ...pod.metadata.labels, [LABELS.shard]: label } },
      }));
      await world.settle();
      expect(world.find("Pod", "bank-0-0")?.metadata.labels?.[LABELS.shard]).toBe("0");
      expect(condition(world, "Ready")).toMatch(/^True/);
    },
  );
});

describe("the map", () => {
  test("one that gives buckets to a shard that the spec does not have is told", async () => {
    const world = await ready();
    setData(world, ["ConfigMap", "bank-map"], { owners: "0:0,2000:5" });
    await world.settle();
    expect(condition(world, "Ready")).toBe(
      "False MapInvalid: ConfigMap bank-map gives buckets to shard 5, but spec.shards is 2; restore it from a good copy",
    );
  });

  test.each(["version", "epoch"])(
    "a %s that is no safe integer makes no status that the server refuses",
    async (key) => {
      const world = await ready();
      setData(world, ["ConfigMap", "bank-map"], { [key]: "9999999999999999" });
      await world.settle();
      expect(shardSetStatus.safeParse(world.shardSet().status).error?.issues).toBeUndefined();
    },
  );
});

describe("deletion", () => {
  const withLedger = (world: World, policy: string, isDeleted: boolean): void =>
    world.put({
      apiVersion: "shieldx.dev/v1alpha1",
      kind: "CreditLedger",
      metadata: {
        name: "credits",
        namespace: NAMESPACE,
        ...(isDeleted ? { deletionTimestamp: "2026-01-01T00:00:00Z", finalizers: ["shieldx.dev/finalizer"] } : {}),
      },
      spec: { shardSet: "bank", deletionPolicy: policy },
    });

  test.each([
    ["is gone for good: its ledger is deleted too and leaves the database", "Retain", "Retain", true, false],
    ["is gone for good: ledger and volumes go together", "Delete", "Delete", true, false],
    ["comes back: the ledger drops its database from volumes that stay", "Retain", "Delete", true, true],
    ["comes back: the ledger lives", "Delete", "Retain", false, true],
  ] as const)(
    "in the foreground takes a pod, which %s (trial 3)",
    async (_what, deletionPolicy, ledgerPolicy, isLedgerDeleted, comesBack) => {
      const world = await ready({ deletionPolicy });
      withLedger(world, ledgerPolicy, isLedgerDeleted);
      world.deleteShardSet();
      world.edit("Pod", "bank-0-0", () => undefined);
      await world.settle();
      expect(world.find("Pod", "bank-0-0") !== undefined).toBe(comesBack);
      expect(condition(world, "Ready")).toBe("False DeletionBlocked: waits for the deletion of CreditLedger credits");
    },
  );

  test("of one that is paused says that nothing is removed (trial 3)", async () => {
    const world = await ready();
    world.edit("ShardSet", "bank", ({ metadata, ...rest }) => ({
      ...rest,
      metadata: { ...metadata, annotations: { [ANNOTATIONS.paused]: "true" } },
    }));
    world.deleteShardSet();
    await world.settle();
    expect(condition(world, "Ready")).toBe(
      "False Paused: it is being deleted, but annotation shieldx.dev/paused is true: nothing of it is removed until that is taken off",
    );
    expect(world.all("Pod")).toHaveLength(2);
  });

  test("a Lease without its owner reference goes too", async () => {
    const world = await ready({ deletionPolicy: "Delete" });
    world.edit("Lease", "bank-0", ({ metadata: { ownerReferences: _, ...metadata }, ...lease }) => ({
      ...lease,
      metadata,
    }));
    world.deleteShardSet();
    await world.settle();
    expect(world.all("Lease")).toEqual([]);
  });
});
