// The controller in its manager on a real kube-apiserver: what the API server thinks of every object (validation,
// restricted pod security, server-side apply), that nothing is written at rest, and deletion with real finalizers.
// There is no kubelet and no volume controller; the test plays both, and the agents.

import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { customResourceDefinition } from "../../crds/crd.ts";
import { KINDS } from "../../crds/kinds.ts";
import { SHARD_SET, type ShardSet } from "../../crds/shardset.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { isOperatorError } from "../../lib/core/errors.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { type KubeObject, RESOURCES, type ResourceType, resourceType } from "../../lib/kube/types.ts";
import * as certificates from "../../lib/node/certificates.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { createMetrics } from "../../lib/node/metrics.ts";
import { createManager } from "../../operator/manager.ts";
import { startControlPlane, type TestControlPlane } from "../../testkit/kube-apiserver.ts";
import { makeNamespace } from "../../testkit/namespaces.ts";
import type { GetJson } from "./shardset.agents.ts";
import { createShardSetController } from "./shardset.controller.ts";
import { POLL_READY_SECONDS } from "./shardset.plan.ts";
import { agent, systemIdentifier } from "./testing/builders.ts";

const NAMESPACE = "bank-ns";
const DEADLINE_MS = 60_000;
const POLL_MS = 50;

/** Everything that a ShardSet owns or keeps. */
const OWNED: readonly ResourceType[] = [
  RESOURCES.Pod,
  RESOURCES.Secret,
  RESOURCES.ConfigMap,
  RESOURCES.Service,
  RESOURCES.ServiceAccount,
  RESOURCES.Role,
  RESOURCES.RoleBinding,
  RESOURCES.Lease,
  RESOURCES.PersistentVolumeClaim,
];

/** A start, and a full poll at rest. */
const REST_MS = (POLL_READY_SECONDS + 2) * 1_000;

let plane: TestControlPlane;
let kube: KubeClient;

beforeAll(async () => {
  plane = await startControlPlane();
  kube = plane.client();
  for (const kind of KINDS) {
    await kube.create(RESOURCES.CustomResourceDefinition, customResourceDefinition(kind) as KubeObject);
  }
  await makeNamespace(kube, NAMESPACE, { "pod-security.kubernetes.io/enforce": "restricted" });
  for (const kind of KINDS) {
    await until(`${kind.type.plural} are served`, async () => {
      await kube.list(kind.type as ResourceType);
      return true;
    });
  }
}, 120_000);

afterAll(async () => {
  await plane?.stop();
});

/** Waits until the check is true; a missing object or path counts as "not yet". */
async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const endsAt = systemClock.monotonic() + DEADLINE_MS;
  for (;;) {
    const isSo = await check().catch((error: unknown) => {
      if (isOperatorError(error, "KUBE_NOT_FOUND") || isOperatorError(error, "KUBE_CONFLICT")) return false;
      throw error;
    });
    if (isSo) return;
    if (systemClock.monotonic() > endsAt) throw new Error(`not in time: ${what}`);
    await systemClock.sleep(POLL_MS);
  }
}

async function readShardSet(name: string): Promise<ShardSet> {
  return kube.get(SHARD_SET, { namespace: NAMESPACE, name });
}

async function readyReason(name: string): Promise<string | undefined> {
  return (await readShardSet(name)).status?.conditions?.find(({ type }) => type === "Ready")?.reason;
}

/** Address of a pod in the test's world: one for each ShardSet and shard. */
function addressOf(pod: KubeObject): string {
  return `10.${(pod.metadata.name.charCodeAt(0) % 200) + 1}.0.${pod.metadata.labels?.["shieldx.dev/shard"] ?? "0"}`;
}

/** Agents that answer for every running pod. */
const getJson: GetJson = ({ host }) => Promise.resolve(agent(Number(host.split(".")[3]), { shardSet: "any" }));

/** Runs the operator until `work` is done. */
async function withOperator(work: () => Promise<void>): Promise<void> {
  const controller = createShardSetController({
    certificates,
    getJson,
    images: { postgres: "localhost/shieldx-postgres:test" },
    clusterDomain: "cluster.local",
  });
  const stop = new AbortController();
  const manager = createManager({
    client: plane.client(),
    controllers: [controller],
    namespace: "default",
    identity: randomUUID(),
    watchNamespaces: [],
    port: 0,
    metrics: createMetrics(),
    clock: systemClock,
    random: () => 0.5,
    log: silentLogger,
  });
  const running = manager.run(stop.signal);
  const kubelet = playKubelet(stop.signal);
  try {
    await work();
  } finally {
    stop.abort();
    await Promise.all([running, kubelet]);
  }
}

/** Runs pods and binds volumes, as kubelet and volume controller would; what is marked for deletion ends. */
async function playKubelet(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const pods = (await kube.list(RESOURCES.Pod, { namespace: NAMESPACE })).items;
    const claims = (await kube.list(RESOURCES.PersistentVolumeClaim, { namespace: NAMESPACE })).items;
    for (const step of [...pods.map(playPod), ...claims.map(playClaim)]) {
      // Gone or changed since it was listed: the next round sees it as it is.
      await step().catch((error: unknown) => {
        if (!isOperatorError(error, "KUBE_NOT_FOUND") && !isOperatorError(error, "KUBE_CONFLICT")) throw error;
      });
    }
    await systemClock.sleep(POLL_MS, signal);
  }
}

function playPod(pod: KubeObject): () => Promise<unknown> {
  return async () => {
    const ref = { namespace: NAMESPACE, name: pod.metadata.name };
    if (pod.metadata.deletionTimestamp !== undefined) {
      await kube.delete(RESOURCES.Pod, ref, { gracePeriodSeconds: 0 });
    } else if ((pod["status"] as { phase?: string }).phase !== "Running") {
      const podIP = addressOf(pod);
      await patchStatus(RESOURCES.Pod, pod, {
        phase: "Running",
        podIP,
        podIPs: [{ ip: podIP }],
        conditions: [{ type: "Ready", status: "True" }],
      });
    }
  };
}

function playClaim(claim: KubeObject): () => Promise<unknown> {
  return async () => {
    if ((claim["status"] as { phase?: string }).phase === "Bound") return;
    const { requests } = (claim["spec"] as { resources: { requests: { storage: string } } }).resources;
    await patchStatus(RESOURCES.PersistentVolumeClaim, claim, { phase: "Bound", capacity: requests });
  };
}

async function patchStatus(type: ResourceType, object: KubeObject, status: unknown): Promise<void> {
  const ref = { namespace: NAMESPACE, name: object.metadata.name };
  await kube.patch(type, ref, { format: "merge", patch: { status }, subresource: "status" });
}

async function create(name: string, spec: Record<string, unknown>): Promise<void> {
  await kube.create<KubeObject>(SHARD_SET, {
    apiVersion: "shieldx.dev/v1alpha1",
    kind: "ShardSet",
    metadata: { name, namespace: NAMESPACE },
    spec,
  });
}

/** "Kind name" of each object of a ShardSet with its resource version. */
async function versions(name: string): Promise<Record<string, string | undefined>> {
  const lists = await Promise.all(
    OWNED.map((type) => kube.list(type, { namespace: NAMESPACE, labelSelector: `shieldx.dev/name=${name}` })),
  );
  return Object.fromEntries(
    lists.flatMap(({ items }) =>
      items.map(({ kind, metadata }) => [`${kind} ${metadata.name}`, metadata.resourceVersion]),
    ),
  );
}

test("a ShardSet becomes ready under restricted pod security, and at rest nothing is written, restart included", async () => {
  await create("alpha", { shards: 2, postgres: { parameters: { work_mem: "8MB" } } });
  let settled: Record<string, string | undefined> = {};
  let status: ShardSet["status"];
  await withOperator(async () => {
    await until("alpha is ready", async () => (await readyReason("alpha")) === "Ready");
    settled = await versions("alpha");
    ({ status } = await readShardSet("alpha"));
  });
  expect(status).toMatchObject({ observedGeneration: 1, shards: 2, shardsReady: 2, map: { version: 1, epoch: 1 } });
  expect(Object.keys(settled)).toHaveLength(2 * 5 + 5 + 1 + 2);
  const { metadata } = await readShardSet("alpha");
  const map = { namespace: NAMESPACE, name: "alpha-map" };
  const identities = { "systemIdentifier.0": systemIdentifier(0), "systemIdentifier.1": systemIdentifier(1) };
  expect((await kube.get(RESOURCES.ConfigMap, map)).data).toMatchObject(identities);

  await withOperator(async () => {
    // Longer than a start and a full poll at rest.
    await systemClock.sleep(REST_MS);
  });
  expect(await versions("alpha")).toEqual(settled);
  expect((await readShardSet("alpha")).metadata.resourceVersion).toBe(metadata.resourceVersion);
}, 120_000);

test("what somebody deletes or changes comes back; a changed setting replaces the pods", async () => {
  await create("beta", { shards: 2 });
  await withOperator(async () => {
    await until("beta is ready", async () => (await readyReason("beta")) === "Ready");
    const ref = (name: string) => ({ namespace: NAMESPACE, name });
    const before = await kube.get(RESOURCES.Pod, ref("beta-0-0"));
    await kube.delete(RESOURCES.Service, ref("beta-1"));
    await kube.delete(RESOURCES.Pod, ref("beta-0-0"));
    await kube.delete(RESOURCES.Role, ref("beta-shard"));
    await until("everything is back", async () => {
      const pod = await kube.get(RESOURCES.Pod, ref("beta-0-0"));
      await kube.get(RESOURCES.Role, ref("beta-shard"));
      await kube.get(RESOURCES.Service, ref("beta-1"));
      return pod.metadata.uid !== before.metadata.uid;
    });
    await until("beta is ready again", async () => (await readyReason("beta")) === "Ready");

    const second = await kube.get(RESOURCES.Pod, ref("beta-1-0"));
    await kube.patch(SHARD_SET, ref("beta"), {
      format: "merge",
      patch: { spec: { postgres: { parameters: { work_mem: "16MB" } } } },
    });
    await until("both pods have the setting", async () => {
      const pods = await Promise.all([0, 1].map((shard) => kube.get(RESOURCES.Pod, ref(`beta-${shard}-0`))));
      return pods.every((pod) => JSON.stringify(pod["spec"]).includes("16MB"));
    });
    expect((await kube.get(RESOURCES.Pod, ref("beta-1-0"))).metadata.uid).not.toBe(second.metadata.uid);
    await until("beta follows", async () => {
      const { metadata, status } = await readShardSet("beta");
      return status?.observedGeneration === metadata.generation && (await readyReason("beta")) === "Ready";
    });
  });
}, 120_000);

test("trial 8: labels and annotations of others stay, and replace no pod", async () => {
  await create("hand", { shards: 1 });
  await withOperator(async () => {
    await until("hand is ready", async () => (await readyReason("hand")) === "Ready");
    const ref = (name: string) => ({ namespace: NAMESPACE, name });
    const { uid } = (await kube.get(RESOURCES.Pod, ref("hand-0-0"))).metadata;
    const edits: [ResourceType, string, object][] = [
      [RESOURCES.Pod, "hand-0-0", { labels: { team: "payments" } }],
      [RESOURCES.Service, "hand-0", { annotations: { "example.test/owner": "x" } }],
      [RESOURCES.PersistentVolumeClaim, "hand-0-0", { labels: { "cost-centre": "7" } }],
    ];
    for (const [type, name, metadata] of edits) {
      await kube.patch(type, ref(name), { format: "merge", patch: { metadata } });
    }
    // Longer than a full poll at rest.
    await systemClock.sleep(REST_MS);
    for (const [type, name, metadata] of edits) {
      expect((await kube.get(type, ref(name))).metadata).toMatchObject(metadata);
    }
    expect((await kube.get(RESOURCES.Pod, ref("hand-0-0"))).metadata.uid).toBe(uid);
    expect(await readyReason("hand")).toBe("Ready");
  });
}, 120_000);

test("a class that cannot grow volumes is told, and everything else goes on", async () => {
  await create("gamma", { shards: 1 });
  await withOperator(async () => {
    await until("gamma is ready", async () => (await readyReason("gamma")) === "Ready");
    await kube.patch(
      SHARD_SET,
      { namespace: NAMESPACE, name: "gamma" },
      {
        format: "merge",
        patch: { spec: { shards: 2, storage: { size: "2Gi" } } },
      },
    );
    await until("gamma says so", async () => (await readyReason("gamma")) === "StorageExpansionUnsupported");
    const claim = await kube.get(RESOURCES.PersistentVolumeClaim, { namespace: NAMESPACE, name: "gamma-1-0" });
    expect(claim["spec"]).toMatchObject({ resources: { requests: { storage: "2Gi" } } });
  });
}, 120_000);

test("deletion waits for a ledger, then keeps what Retain keeps, and a new ShardSet takes it over", async () => {
  await create("delta", { shards: 2 });
  const ledger = { namespace: NAMESPACE, name: "credits" };
  const ledgerType: ResourceType = resourceType("shieldx.dev/v1alpha1", ["CreditLedger", "creditledgers"]);
  await kube.create(ledgerType, {
    apiVersion: ledgerType.apiVersion,
    kind: ledgerType.kind,
    metadata: ledger,
    spec: { shardSet: "delta", assets: [{ code: "CZK", scale: 2 }] },
  });
  await withOperator(async () => {
    await until("delta is ready", async () => (await readyReason("delta")) === "Ready");
    const ca = await kube.get(RESOURCES.Secret, { namespace: NAMESPACE, name: "delta-ca-key" });
    await kube.delete(SHARD_SET, { namespace: NAMESPACE, name: "delta" });
    await until("delta says for whom it waits", async () => (await readyReason("delta")) === "DeletionBlocked");
    expect((await readShardSet("delta")).status?.conditions?.[0]?.message).toContain("CreditLedger credits");
    await kube.delete(ledgerType, ledger);
    await until(
      "delta is gone",
      async () => (await kube.find(SHARD_SET, { namespace: NAMESPACE, name: "delta" })) === undefined,
    );
    expect(Object.keys(await versions("delta")).sort()).toEqual([
      "ConfigMap delta-map",
      "PersistentVolumeClaim delta-0-0",
      "PersistentVolumeClaim delta-1-0",
      "Secret delta-ca",
      "Secret delta-ca-key",
    ]);
    await create("delta", { shards: 2, deletionPolicy: "Delete" });
    await until("delta is ready again", async () => (await readyReason("delta")) === "Ready");
    expect((await kube.get(RESOURCES.Secret, { namespace: NAMESPACE, name: "delta-ca-key" })).metadata.uid).toBe(
      ca.metadata.uid,
    );
    await kube.delete(SHARD_SET, { namespace: NAMESPACE, name: "delta" });
    await until("nothing is left", async () => {
      const left = Object.keys(await versions("delta")).filter((name) => !name.startsWith("PersistentVolumeClaim"));
      return left.length === 0 && (await kube.find(SHARD_SET, { namespace: NAMESPACE, name: "delta" })) === undefined;
    });
  });
}, 120_000);
