// Whole stories: the real controller on a world in memory, with kubelet and agents. What is asserted is the state of
// the world and what the user reads, and the order of writes where the order is the point.
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { OperatorError } from "../../lib/core/errors.ts";
import { proposeOwners } from "../../lib/core/ring.ts";
import { formatShardMap, parseShardMap } from "../../lib/core/shard-map.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { NAME, NAMESPACE, requestSecret } from "./testing/builders.ts";
import { condition, createWorld, type World } from "./testing/world.ts";

function ledger(name: string): KubeObject {
  return {
    apiVersion: "shieldx.dev/v1alpha1",
    kind: "CreditLedger",
    metadata: { name, namespace: NAMESPACE },
    spec: { shardSet: NAME },
  };
}

async function ready(shards = 3): Promise<World> {
  const world = createWorld({ spec: { shards } });
  await world.settle();
  expect(condition(world, "Ready")).toBe(`True Ready: ${shards} of ${shards} shards accept writes`);
  return world;
}

/** `data` of the map's ConfigMap. */
function mapOf(world: World): Record<string, string> {
  return (world.find("ConfigMap", "bank-map") as { data?: Record<string, string> } | undefined)?.data ?? {};
}

const writes = (lines: readonly string[], verb: string): string[] =>
  lines.filter((line) => line.startsWith(`${verb} `)).map((line) => line.split(":")[0] ?? "");

describe("creation", () => {
  test("makes everything of the table, volumes before the map, pods after their certificates", async () => {
    const world = createWorld();
    const lines = await world.settle();
    const made = [...new Set([...writes(lines, "create"), ...writes(lines, "apply")])].map((line) =>
      line.split(" ").slice(1).join(" "),
    );
    expect(made.sort()).toEqual(
      [
        ...["ca", "ca-key", "operator-tls", "databases", "0-tls", "1-tls", "2-tls"].map(
          (name) => `Secret bank-${name}`,
        ),
        ...[0, 1, 2].flatMap((n) => [
          `Lease bank-${n}`,
          `Service bank-${n}`,
          `Pod bank-${n}-0`,
          `PersistentVolumeClaim bank-${n}-0`,
        ]),
        "ConfigMap bank-map",
        "ServiceAccount bank-shard",
        "Role bank-shard",
        "RoleBinding bank-shard",
      ].sort(),
    );
    const at = (start: string): number => lines.findIndex((line) => line.startsWith(start));
    expect(at("create PersistentVolumeClaim bank-2-0")).toBeLessThan(at("create ConfigMap bank-map"));
    expect(at("apply Secret bank-0-tls")).toBeLessThan(at("create Pod bank-0-0"));
  });

  test("at rest nothing is written, also by a controller that has just started", async () => {
    const world = await ready();
    expect(await world.reconcile()).toEqual([]);
  });

  test("an object of somebody else is left alone and named", async () => {
    const world = createWorld();
    world.put({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "bank-1", namespace: NAMESPACE },
      spec: { mine: true },
    });
    await world.settle();
    expect(condition(world, "Ready")).toMatch(/^False NameConflict: Service "bank-1" exists and is not ours/);
    expect(condition(world, "Stalled")).toMatch(/^True NameConflict/);
    expect(world.find("Service", "bank-1")?.["spec"]).toEqual({ mine: true });
  });

  test("paused, nothing is made and the status says why", async () => {
    const world = createWorld();
    world.edit("ShardSet", NAME, (object) => ({
      ...object,
      metadata: { ...object.metadata, annotations: { "shieldx.dev/paused": "true" } },
    }));
    await world.settle();
    expect(world.all("Pod")).toEqual([]);
    expect(condition(world, "Reconciling")).toMatch(/^False Paused/);
  });
});

describe("pods", () => {
  test("one that has failed is made anew", async () => {
    const world = await ready();
    const before = world.find("Pod", "bank-1-0")?.metadata.uid;
    world.edit("Pod", "bank-1-0", (pod) => ({ ...pod, status: { phase: "Failed" } }));
    world.clock.jumpWallClock(10_000);
    await world.settle();
    expect(world.find("Pod", "bank-1-0")?.metadata.uid).not.toBe(before);
    expect(condition(world, "Ready")).toMatch(/^True/);
  });

  test("a deleted one comes back on its volume", async () => {
    const world = await ready();
    const claim = world.find("PersistentVolumeClaim", "bank-1-0")?.metadata.uid;
    world.edit("Pod", "bank-1-0", () => undefined);
    await world.settle();
    expect(world.find("Pod", "bank-1-0")).toBeDefined();
    expect(world.find("PersistentVolumeClaim", "bank-1-0")?.metadata.uid).toBe(claim);
  });

  test("a deleted one comes back also while a Service cannot be written", async () => {
    const world = await ready();
    world.fail("Service", "bank-0", new OperatorError("KUBE_FIELD_CONFLICT", "conflict with kubectl: .spec.selector"));
    world.edit("Pod", "bank-1-0", () => undefined);
    await world.reconcile();
    expect(world.find("Pod", "bank-1-0")).toBeDefined();
    expect(condition(world, "Ready")).toBe(
      "False ReconcileFailed: KUBE_FIELD_CONFLICT: conflict with kubectl: .spec.selector",
    );
  });

  test.each([
    ["Secret", "bank-ca"],
    ["Secret", "bank-databases"],
    ["Secret", "bank-0-tls"],
    ["Secret", "bank-operator-tls"],
    ["ServiceAccount", "bank-shard"],
    ["Role", "bank-shard"],
  ])("a deleted one comes back while %s %s cannot be written", async (kind, name) => {
    const world = await ready();
    world.fail(kind, name, new OperatorError("KUBE_FORBIDDEN", `no ${name}`));
    world.edit("Pod", "bank-1-0", () => undefined);
    await world.reconcile();
    expect(world.find("Pod", "bank-1-0")).toBeDefined();
    expect(condition(world, "Ready")).toContain(`False ReconcileFailed: KUBE_FORBIDDEN: no ${name}`);
  });

  test("failures of several objects are told together, with what nobody but a person can end first", async () => {
    const world = await ready();
    world.fail("Secret", "bank-ca", new OperatorError("KUBE_FORBIDDEN", "no bank-ca"));
    world.fail("Service", "bank-2", new OperatorError("NAME_CONFLICT", "bank-2 is somebody else's"));
    await world.reconcile();
    expect(condition(world, "Ready")).toBe(
      "False NameConflict: 2 steps failed: KUBE_FORBIDDEN: no bank-ca; bank-2 is somebody else's",
    );
    expect(condition(world, "Stalled")).toMatch(/^True NameConflict/);
  });

  test("a running one is not replaced while something that pods need cannot be written", async () => {
    const world = await ready();
    world.fail("Role", "bank-shard", new OperatorError("KUBE_FORBIDDEN", "no role"));
    world.setSpec({ postgres: { parameters: { work_mem: "8MB" } } });
    expect(writes(await world.settle(), "delete")).toEqual([]);
  });

  test("a new setting reaches one shard after the other", async () => {
    const world = await ready();
    world.setSpec({ postgres: { parameters: { work_mem: "8MB" } } });
    const lines = await world.settle();
    expect(writes(lines, "delete").concat(writes(lines, "create"))).toHaveLength(6);
    const order = lines.filter((line) => / Pod /.test(line)).map((line) => line.split(":")[0]);
    expect(order).toEqual([0, 1, 2].flatMap((n) => [`delete Pod bank-${n}-0`, `create Pod bank-${n}-0`]));
    expect(lines.some((line) => line.startsWith("event Normal Updating"))).toBe(true);
  });

  test("one that is replaced is replaced for what is named", async () => {
    const world = await ready(1);
    const reasons = (lines: readonly string[]): string[] => lines.filter((line) => line.startsWith("delete Pod"));
    world.setSpec({ postgres: { parameters: { shared_buffers: "1GB" } } });
    expect(reasons(await world.settle())).toEqual(["delete Pod bank-0-0: pod of shard 0 is replaced: shared_buffers"]);
    world.upgrade("shieldx-postgres:2");
    expect(reasons(await world.settle())).toEqual([
      "delete Pod bank-0-0: pod of shard 0 is replaced: image of container postgres",
    ]);
    world.setSpec({ postgres: { parameters: {} }, resources: { limits: { memory: "1Gi" } } });
    expect(reasons(await world.settle())).toEqual([
      "delete Pod bank-0-0: pod of shard 0 is replaced: shared_buffers, resources.limits of container postgres",
    ]);
    expect(condition(world, "Ready")).toMatch(/^True/);
  });

  test("a setting that breaks a shard stops there, and its correction heals it", async () => {
    const world = await ready();
    world.setSpec({ postgres: { parameters: { shared_buffers: "1TB" } } });
    await world.reconcile();
    world.disturb(0, { reason: "PostgresFailed", message: "PostgreSQL ended 3 times" });
    const lines = await world.settle();
    expect(writes(lines, "delete")).toEqual([]);
    expect(condition(world, "Ready")).toBe(
      "False Updating: 2 of 3 shards are ready; shard 0: PostgresFailed: PostgreSQL ended 3 times; pods bank-1-0, bank-2-0 follow once shard 0 accepts writes",
    );
    world.setSpec({ postgres: { parameters: {} } });
    // The broken pod goes although not every shard is ready: it is down anyway.
    expect(writes(await world.reconcile(), "delete")).toEqual(["delete Pod bank-0-0"]);
    world.disturb(0, undefined);
    await world.settle();
    expect(condition(world, "Ready")).toMatch(/^True/);
  });

  test("an agent that does not answer for a moment keeps its last answer; for long it makes the shard unready", async () => {
    const world = await ready();
    world.disturb(1, "silent");
    expect(await world.reconcile()).toEqual([]);
    await world.clock.advance(21_000);
    await world.reconcile();
    expect(condition(world, "Ready")).toBe(
      "False AgentUnreachable: 2 of 3 shards are ready; shard 1: the agent of pod bank-1-0 does not answer",
    );
    expect(condition(world, "Available")).toMatch(/^False ShardUnavailable: 1\d\d\d of 4096 buckets cannot be written/);
  });
});

describe("certificates", () => {
  test("are renewed when less than a third of their life is left; the CA stays", async () => {
    const world = await ready();
    const ca = world.find("Secret", "bank-ca-key");
    await world.clock.advance(61 * 86_400_000);
    const lines = await world.settle();
    expect(writes(lines, "apply").sort()).toEqual(
      [0, 1, 2].map((n) => `apply Secret bank-${n}-tls`).concat("apply Secret bank-operator-tls"),
    );
    expect(world.find("Secret", "bank-ca-key")).toEqual(ca);
    expect(writes(lines, "delete")).toEqual([]);
  });

  test("a lost CA is made anew, and clients trust both", async () => {
    const world = await ready();
    await world.clock.advance(1_000);
    world.edit("Secret", "bank-ca-key", () => undefined);
    await world.settle();
    const bundle = Buffer.from(
      (world.find("Secret", "bank-ca") as { data?: Record<string, string> }).data?.["ca.crt"] ?? "",
      "base64",
    ).toString();
    expect(bundle.trim().split("\n")).toHaveLength(2);
    expect(condition(world, "Ready")).toMatch(/^True/);
  });
});

describe("a CA that cannot be used", () => {
  const sentence =
    "Secret bank-ca-key holds no usable CA (its certificate is not that of a CA); restore it, or delete it to have it made anew";
  const text = (world: World, name: string, key: string): string =>
    Buffer.from(
      (world.find("Secret", name) as { data?: Record<string, string> } | undefined)?.data?.[key] ?? "",
      "base64",
    ).toString();

  async function spoiled(): Promise<World> {
    const world = await ready();
    world.edit("Secret", "bank-ca-key", (secret) => ({
      ...secret,
      data: { ...(secret["data"] as object), "tls.crt": Buffer.from("RSA\n").toString("base64") },
    }));
    return world;
  }

  test("is told with the way out, once, and nothing is made anew beside it", async () => {
    const world = await spoiled();
    const lines = await world.reconcile();
    expect(condition(world, "Ready")).toBe(`False AuthorityInvalid: ${sentence}`);
    expect(condition(world, "Stalled")).toBe(`True AuthorityInvalid: ${sentence}`);
    expect(lines).toEqual(["status", `event Warning AuthorityInvalid: ${sentence}`]);
    expect(await world.reconcile()).toEqual([]);
    // Also not when its certificates are long due.
    await world.clock.advance(61 * 86_400_000);
    expect(await world.reconcile()).toEqual([]);
  });

  test("keeps no shard down: a deleted pod, Service and Lease come back", async () => {
    const world = await spoiled();
    await world.settle();
    for (const [kind, name] of [
      ["Pod", "bank-1-0"],
      ["Service", "bank-1"],
      ["Lease", "bank-1"],
    ] as const) {
      world.edit(kind, name, () => undefined);
    }
    await world.settle();
    for (const [kind, name] of [
      ["Pod", "bank-1-0"],
      ["Service", "bank-1"],
      ["Lease", "bank-1"],
    ] as const) {
      expect(world.find(kind, name)).toBeDefined();
    }
    expect(condition(world, "Available")).toMatch(/^True/);
    expect(condition(world, "Ready")).toMatch(/^False AuthorityInvalid/);
  });

  test("is made anew once it is deleted, and clients trust both", async () => {
    const world = await spoiled();
    const first = text(world, "bank-ca", "ca.crt").trim();
    await world.clock.advance(1_000);
    await world.settle();
    world.edit("Secret", "bank-ca-key", () => undefined);
    await world.settle();
    expect(condition(world, "Ready")).toBe("True Ready: 3 of 3 shards accept writes");
    expect(text(world, "bank-ca-key", "tls.crt")).toBe("");
    await world.clock.advance(11 * 60_000);
    await world.settle();
    expect(condition(world, "Ready")).toBe("True Ready: 3 of 3 shards accept writes");
    const second = text(world, "bank-ca-key", "tls.crt").trim();
    expect(second).not.toBe(first);
    expect(text(world, "bank-ca", "ca.crt").trim().split("\n")).toEqual([first, second]);
    expect(text(world, "bank-1-tls", "ca.crt").trim().split("\n")).toEqual([first, second]);
  });
});

describe("growth", () => {
  test("new shards own no bucket, and the map stays as it is", async () => {
    const world = await ready(2);
    const { owners, version, epoch } = mapOf(world);
    world.setSpec({ shards: 4 });
    const lines = await world.settle();
    expect(mapOf(world)).toMatchObject({ owners, version, epoch });
    expect(world.all("Pod").map(({ metadata }) => metadata.name)).toEqual([
      "bank-0-0",
      "bank-1-0",
      "bank-2-0",
      "bank-3-0",
    ]);
    expect(condition(world, "Balanced")).toBe(
      "False MoveUnavailable: shards 2, 3 own no bucket, because moving data between shards is not available yet",
    );
    expect(condition(world, "Ready")).toBe("True Ready: 4 of 4 shards accept writes");
    expect(lines.some((line) => line.startsWith("event Normal ScalingUp"))).toBe(true);
  });

  test("volumes grow by a patch and never shrink", async () => {
    const world = await ready();
    world.setSpec({ storage: { size: "2Gi" } });
    expect(writes(await world.settle(), "patch")).toEqual(
      [0, 1, 2].map((n) => `patch PersistentVolumeClaim bank-${n}-0`),
    );
    expect(condition(world, "Ready")).toMatch(/^True/);
    world.setSpec({ storage: { size: "1Gi" } });
    expect(writes(await world.settle(), "patch")).toEqual([]);
    expect(condition(world, "Ready")).toBe(
      "False StorageShrinkRefused: storage.size is 1Gi, but shard 0 has 2Gi, shard 1 has 2Gi, shard 2 has 2Gi",
    );
  });

  test("a class that does not let volumes grow is told once and asked again later", async () => {
    const world = await ready();
    world.setSpec({ storage: { size: "2Gi" } });
    world.fail(
      "PersistentVolumeClaim",
      "bank-0-0",
      new OperatorError("KUBE_FORBIDDEN", "only dynamically provisioned pvc can be resized"),
    );
    await world.settle();
    expect(condition(world, "Ready")).toBe(
      "False StorageExpansionUnsupported: only dynamically provisioned pvc can be resized",
    );
    world.fail("PersistentVolumeClaim", "bank-0-0", undefined);
    expect(await world.reconcile()).toEqual([]);
    await world.clock.advance(300_000);
    await world.settle();
    expect(condition(world, "Ready")).toMatch(/^True/);
  });
});

describe("database requests", () => {
  const stored = (world: World): string[] => {
    const secret = world.find("Secret", "bank-databases") as { data?: Record<string, string> } | undefined;
    const json = Buffer.from(secret?.data?.["databases.json"] ?? "", "base64").toString();
    return (JSON.parse(json) as { databases: { database: string }[] }).databases.map(({ database }) => database);
  };

  test("are merged in the order of their names and counted in the status", async () => {
    const world = await ready();
    world.put(requestSecret("b", "ledger_b", "2026-01-01T00:00:00Z"));
    world.put(requestSecret("a", "ledger_a", "2026-01-02T00:00:00Z"));
    await world.settle();
    expect(stored(world)).toEqual(["ledger_a", "ledger_b"]);
    expect(world.shardSet().status?.databases?.map(({ name, shardsReady }) => [name, shardsReady])).toEqual([
      ["ledger_a", 3],
      ["ledger_b", 3],
    ]);
    expect(condition(world, "DatabasesReady")).toBe(
      "True DatabasesReady: 2 of 2 requests are carried out on all shards",
    );
  });

  test("one that cannot be read, or comes second, is named and holds up nobody", async () => {
    const world = await ready();
    world.put(requestSecret("first", "ledger_a", "2026-01-01T00:00:00Z"));
    world.put(requestSecret("second", "ledger_a", "2026-01-02T00:00:00Z"));
    world.put(requestSecret("broken", "ledger_x", "2026-01-01T00:00:00Z", '{"database": "postgres"}'));
    const lines = await world.settle();
    expect(stored(world)).toEqual(["ledger_a"]);
    expect(condition(world, "Ready")).toMatch(/^True/);
    const message =
      "Secret broken: the database request is not valid: database: is a name that PostgreSQL or the shard agent keeps for itself; Secret second: database ledger_a is requested by the older Secret first";
    expect(condition(world, "DatabasesReady")).toBe(`False DatabaseRequestInvalid: ${message}`);
    expect(lines.filter((line) => line.startsWith("event"))).toEqual([
      `event Warning DatabaseRequestInvalid: ${message}`,
    ]);
  });
});

describe("lost data", () => {
  test("an empty volume is never made in the place of a lost one, and the other shards go on", async () => {
    const world = await ready();
    world.edit("PersistentVolumeClaim", "bank-1-0", () => undefined);
    world.edit("Pod", "bank-1-0", () => undefined);
    world.edit("Pod", "bank-2-0", () => undefined);
    await world.settle();
    expect(world.find("PersistentVolumeClaim", "bank-1-0")).toBeUndefined();
    expect(world.find("Pod", "bank-1-0")).toBeUndefined();
    expect(world.find("Pod", "bank-2-0")).toBeDefined();
    expect(condition(world, "Stalled")).toBe(
      "True VolumeLost: 2 of 3 shards are ready; shard 1: volume bank-1-0 is gone; restore it under this name with labels shieldx.dev/kind=ShardSet, shieldx.dev/name=bank, shieldx.dev/shard=1; if it is there, it lacks them: kubectl label --overwrite pvc bank-1-0 -n demo shieldx.dev/kind=ShardSet shieldx.dev/name=bank shieldx.dev/shard=1",
    );
  });

  test("a pod whose volume was deleted under it is not replaced, and people are told what to do", async () => {
    const world = await ready();
    world.edit("PersistentVolumeClaim", "bank-1-0", (claim) => ({
      ...claim,
      metadata: { ...claim.metadata, deletionTimestamp: "now", finalizers: ["kubernetes.io/pvc-protection"] },
    }));
    const pod = world.find("Pod", "bank-1-0")?.metadata.uid;
    world.setSpec({ postgres: { parameters: { work_mem: "8MB" } } });
    const lines = await world.settle();
    expect(writes(lines, "delete")).toEqual(["delete Pod bank-0-0", "delete Pod bank-2-0"]);
    expect(world.find("Pod", "bank-1-0")?.metadata.uid).toBe(pod);
    expect(condition(world, "Stalled")).toBe(
      "True VolumeDeleting: PersistentVolumeClaims bank-1-0 are deleted and go with their pods; before a pod ends, set the reclaim policy of its PersistentVolume to Retain",
    );
    expect(condition(world, "Available")).toMatch(/^True/);
  });

  test("a lost map is made anew as it was, with a higher epoch", async () => {
    const world = await ready(2);
    world.setSpec({ shards: 3 });
    await world.settle();
    world.edit("ConfigMap", "bank-map", () => undefined);
    await world.settle();
    const map = world.find("ConfigMap", "bank-map") as { data?: Record<string, string> } | undefined;
    expect(parseShardMap(map?.data)).toEqual({ version: 1, epoch: 2, owners: proposeOwners(2) });
    expect(world.shardSet().status?.map).toEqual({ version: 1, epoch: 2 });
  });
});

describe("deletion", () => {
  test("waits for ledgers, says for whom, and goes on working meanwhile", async () => {
    const world = await ready();
    world.put(ledger("credits"));
    world.deleteShardSet();
    world.edit("Pod", "bank-0-0", () => undefined);
    const lines = await world.settle();
    expect(condition(world, "Ready")).toBe("False DeletionBlocked: waits for the deletion of CreditLedger credits");
    expect(lines.filter((line) => line.startsWith("event"))).toEqual([
      "event Warning DeletionBlocked: waits for the deletion of CreditLedger credits",
    ]);
    expect(world.all("Pod")).toHaveLength(3);
    world.edit("CreditLedger", "credits", () => undefined);
    await world.settle();
    expect(world.shardSet()).toBeUndefined();
  });

  test("Retain keeps volumes, CA and map; pods go before everything else", async () => {
    const world = await ready();
    world.deleteShardSet();
    const lines = await world.settle();
    expect(writes(lines, "delete").slice(0, 3)).toEqual([0, 1, 2].map((n) => `delete Pod bank-${n}-0`));
    const left = [
      "Pod",
      "Service",
      "Lease",
      "Role",
      "RoleBinding",
      "ServiceAccount",
      "Secret",
      "ConfigMap",
      "PersistentVolumeClaim",
    ]
      .flatMap((kind) => world.all(kind))
      .map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    expect(left).toEqual([
      "Secret bank-ca",
      "Secret bank-ca-key",
      "ConfigMap bank-map",
      ...[0, 1, 2].map((n) => `PersistentVolumeClaim bank-${n}-0`),
    ]);
  });

  test("Delete removes all of it", async () => {
    const world = createWorld({ spec: { deletionPolicy: "Delete" } });
    await world.settle();
    world.deleteShardSet();
    await world.settle();
    const kinds = [
      "Pod",
      "Service",
      "Lease",
      "Role",
      "RoleBinding",
      "ServiceAccount",
      "Secret",
      "ConfigMap",
      "PersistentVolumeClaim",
      "ShardSet",
    ];
    expect(kinds.flatMap((kind) => world.all(kind))).toEqual([]);
  });
});

describe("a ShardSet on kept data", () => {
  async function kept(): Promise<World> {
    const world = await ready();
    world.deleteShardSet();
    await world.settle();
    return world;
  }
  function recreate(world: World, shards: number, deletionPolicy: "Retain" | "Delete" = "Retain"): void {
    const fresh = createWorld({ spec: { shards, deletionPolicy }, uid: "uid-second" }).shardSet();
    world.put(fresh);
  }

  test("takes it over", async () => {
    const world = await kept();
    const before = ["Secret/bank-ca-key", "ConfigMap/bank-map", "PersistentVolumeClaim/bank-0-0"].map((ref) => {
      const [kind, name] = ref.split("/") as [string, string];
      return world.find(kind, name)?.metadata.uid;
    });
    recreate(world, 4);
    await world.settle();
    expect(condition(world, "Ready")).toBe("True Ready: 4 of 4 shards accept writes");
    expect(
      ["Secret/bank-ca-key", "ConfigMap/bank-map", "PersistentVolumeClaim/bank-0-0"].map((ref) => {
        const [kind, name] = ref.split("/") as [string, string];
        return world.find(kind, name)?.metadata.uid;
      }),
    ).toEqual(before);
    expect(condition(world, "Balanced")).toMatch(/shard 3 owns no bucket/);
  });

  test.each([
    {
      name: "with fewer shards than the map names",
      shards: 2,
      harm: () => undefined,
      message: "ConfigMap bank-map is kept and names 3 shards, but spec.shards is 2",
    },
    {
      name: "without the map",
      shards: 3,
      harm: (world: World) => world.edit("ConfigMap", "bank-map", () => undefined),
      message:
        "volumes bank-0-0, bank-1-0, bank-2-0 are kept, but ConfigMap bank-map is missing; restore it, or delete the volumes",
    },
  ])("$name is refused, and nothing is made or changed, also by a deletion", async ({ shards, harm, message }) => {
    const world = await kept();
    harm(world);
    recreate(world, shards, "Delete");
    const lines = await world.settle();
    expect(condition(world, "Stalled")).toBe(`True RetainedDataConflict: ${message}`);
    expect([...writes(lines, "create"), ...writes(lines, "apply"), ...writes(lines, "delete")]).toEqual([]);
    expect(world.shardSet().status?.map).toBeUndefined();
    // What was never taken over is not this ShardSet's to remove, whatever its own policy says.
    world.deleteShardSet();
    expect(writes(await world.settle(), "delete")).toEqual([]);
    expect(world.shardSet()).toBeUndefined();
  });

  test("begins anew once somebody has removed what did not fit", async () => {
    const world = await kept();
    recreate(world, 2);
    await world.settle();
    expect(condition(world, "Ready")).toMatch(/^False RetainedDataConflict/);
    world.edit("ConfigMap", "bank-map", () => undefined);
    for (const shard of [0, 1, 2]) world.edit("PersistentVolumeClaim", `bank-${shard}-0`, () => undefined);
    await world.settle();
    expect(condition(world, "Ready")).toBe("True Ready: 2 of 2 shards accept writes");
  });

  test("Delete removes what was taken over", async () => {
    const world = await kept();
    recreate(world, 3, "Delete");
    await world.settle();
    world.deleteShardSet();
    await world.settle();
    expect(["Secret", "ConfigMap", "PersistentVolumeClaim"].flatMap((kind) => world.all(kind))).toEqual([]);
  });
});

describe("whatever happens", () => {
  type Blow = (world: World) => void;
  const remove =
    (kind: string, name: string): Blow =>
    (world) => {
      if (world.find(kind, name) !== undefined) world.edit(kind, name, () => undefined);
    };
  const blows: Record<string, Blow> = {
    "pod deleted": remove("Pod", "bank-0-0"),
    "service deleted": remove("Service", "bank-1"),
    "lease deleted": remove("Lease", "bank-2"),
    "certificate deleted": remove("Secret", "bank-0-tls"),
    "operator certificate deleted": remove("Secret", "bank-operator-tls"),
    "bundle deleted": remove("Secret", "bank-ca"),
    "databases deleted": remove("Secret", "bank-databases"),
    "role deleted": remove("Role", "bank-shard"),
    "pod failed": (world) => {
      if (world.find("Pod", "bank-1-0") !== undefined)
        world.edit("Pod", "bank-1-0", (pod) => ({ ...pod, status: { phase: "Failed" } }));
      // It had run for a while: one that ends at once is made anew more slowly.
      world.clock.jumpWallClock(10_000);
    },
    "setting changed": (world) => world.setSpec({ postgres: { parameters: { work_mem: "16MB" } } }),
    "setting changed back": (world) => world.setSpec({ postgres: { parameters: {} } }),
    "one shard more": (world) => world.setSpec({ shards: Math.min(6, world.shardSet().spec.shards + 1) }),
    "time passes": (world) => void world.clock.jumpWallClock(20 * 86_400_000),
    "kubelet works": (world) => world.lower(),
  };
  const names = Object.keys(blows);

  test("it comes to rest, ready, with the same volumes and the same map, and then plans nothing", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom(...names), fc.boolean()), { maxLength: 12 }),
        async (steps) => {
          const world = createWorld({ spec: { shards: 2 } });
          await world.settle();
          const claims = world.all("PersistentVolumeClaim").map(({ metadata }) => metadata.uid);
          const map = mapOf(world);
          for (const [name, reconcileNow] of steps) {
            blows[name]?.(world);
            if (reconcileNow) await world.reconcile();
          }
          await world.settle();
          const { shards } = world.shardSet().spec;
          expect(condition(world, "Ready")).toBe(`True Ready: ${shards} of ${shards} shards accept writes`);
          expect(
            world
              .all("PersistentVolumeClaim")
              .slice(0, 2)
              .map(({ metadata }) => metadata.uid),
          ).toEqual(claims);
          // What is recorded of a shard's data never changes; new shards add theirs.
          expect(mapOf(world)).toMatchObject(map);
          expect(await world.reconcile()).toEqual([]);
        },
      ),
      { numRuns: 40 },
    );
  });

  test("the map in the ConfigMap is the one that the ring proposes", async () => {
    const world = await ready(5);
    expect(mapOf(world)).toMatchObject(formatShardMap({ version: 1, epoch: 1, owners: proposeOwners(5) }));
  });
});
