// The chart's permissions, on a real API server: the operator lives a whole life of both kinds under the service account
// of the chart. Every verb that it uses is granted (the server would refuse), and every verb that is granted is used.

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { parseAllDocuments } from "yaml";
import { createCreditLedgerController } from "../controllers/creditledger/creditledger.controller.ts";
import { createRolloutController } from "../controllers/rollout/rollout.controller.ts";
import { createRolloutMetrics } from "../controllers/rollout/rollout.metrics.ts";
import { scriptedSampler } from "../controllers/rollout/testing/builders.ts";
import { createShardSetController } from "../controllers/shardset/shardset.controller.ts";
import { CREDIT_LEDGER, type CreditLedger } from "../crds/creditledger.ts";
import { LABELS } from "../crds/group.ts";
import { KINDS } from "../crds/kinds.ts";
import { SHARD_SET, type ShardSet } from "../crds/shardset.ts";
import { serveKinds } from "../crds/testing/served.ts";
import { systemClock } from "../lib/core/clock.ts";
import { createKubeClient, type KubeClient } from "../lib/kube/client.ts";
import { createTransport } from "../lib/kube/transport.ts";
import { type KubeObject, RESOURCES, type ResourceType, resourceType } from "../lib/kube/types.ts";
import * as certificates from "../lib/node/certificates.ts";
import { silentLogger } from "../lib/node/logger.ts";
import { createMetrics } from "../lib/node/metrics.ts";
import { scramVerifier } from "../lib/node/scram.ts";
import { createManager } from "../operator/manager.ts";
import { installGatewayApi } from "../testkit/gateway-api.ts";
import { startControlPlane, type TestControlPlane } from "../testkit/kube-apiserver.ts";
import { makeNamespace } from "../testkit/namespaces.ts";
import { installFeatureFlags } from "../testkit/open-feature.ts";
import { eventually } from "../testkit/wait.ts";
import { type Access, type Right, type RoleRule, recordAccesses, rightsOf } from "./testing/accesses.ts";
import { createLife, SLOW_TO_BIND_MS } from "./testing/life.ts";
import { tellReleases } from "./testing/releases.ts";

const ROOT = join(import.meta.dirname, "..");
const SYSTEM = "shieldx-system";
const NAMESPACE = "bank-ns";
const DEADLINE_MS = 90_000;

const run = promisify(execFile);
let plane: TestControlPlane;
let user: KubeClient;
/** What the chart renders. */
let chart: readonly KubeObject[];
/** What the operator did in its life. */
const accesses: Access[] = [];
/** What the Roles of its making grant. */
const handedOn = new Set<Right>();

beforeAll(async () => {
  plane = await startControlPlane();
  user = plane.client(NAMESPACE);
  await serveKinds(user, KINDS);
  await installGatewayApi(user);
  await installFeatureFlags(user);
  const images = "image.reference=example/shieldx:1,postgresImage.reference=example/shieldx-postgres:1";
  const { stdout } = await run(
    join(ROOT, ".build/bin/helm"),
    ["template", "shieldx", join(ROOT, "charts/operator"), "--namespace", SYSTEM, "--set", images],
    { maxBuffer: 2 ** 24 },
  );
  chart = parseAllDocuments(stdout).flatMap((document) => (document.toJS() as KubeObject | null) ?? []);
  for (const name of [SYSTEM, NAMESPACE]) {
    await makeNamespace(user, name);
  }
  for (const object of chart) {
    const type = CREATED[object.kind];
    if (type !== undefined) await user.create(type, object);
  }
  await live();
}, 240_000);

afterAll(async () => {
  await plane?.stop();
});

/** What of the chart the test needs. */
const CREATED: Readonly<Record<string, ResourceType>> = {
  ServiceAccount: RESOURCES.ServiceAccount,
  Role: RESOURCES.Role,
  RoleBinding: RESOURCES.RoleBinding,
  ClusterRole: resourceType("rbac.authorization.k8s.io/v1", ["ClusterRole", "clusterroles"], false),
  ClusterRoleBinding: resourceType(
    "rbac.authorization.k8s.io/v1",
    ["ClusterRoleBinding", "clusterrolebindings"],
    false,
  ),
};

/** From nothing to ready, a new setting and a larger volume, something deleted by hand, and all of it deleted again. */
async function live(): Promise<void> {
  const kubectl = join(ROOT, ".build/bin/kubectl");
  const account = ["create", "token", "shieldx-controller", "--namespace", SYSTEM];
  const { stdout: token } = await run(kubectl, ["--kubeconfig", plane.kubeconfig, ...account]);
  const endpoint = plane.endpoint(SYSTEM);
  const tls = { ca: plane.ca };
  const credentials = { headers: { authorization: `Bearer ${token.trim()}` }, tls };
  const client = createKubeClient({
    transport: recordAccesses(
      createTransport({ ...endpoint, credentials: () => Promise.resolve(credentials) }),
      accesses,
    ),
    namespace: SYSTEM,
    userAgent: "shieldx/test",
    clock: systemClock,
    random: () => 0.5,
  });
  // The controller asks why: that right is used too.
  const life = createLife(user, { namespace: NAMESPACE, shardSet: "s", bindAfterMs: SLOW_TO_BIND_MS });
  const images = { shieldx: "example/shieldx:1", postgres: "example/shieldx-postgres:1" };
  const clusterDomain = "cluster.local";
  const apiServerPorts = [443];
  const stop = new AbortController();
  const manager = createManager({
    client,
    controllers: [
      createShardSetController({ images, clusterDomain, apiServerPorts, certificates, getJson: life.getJson }),
      createCreditLedgerController({ images, clusterDomain, apiServerPorts, certificates, scramVerifier, randomBytes }),
      createRolloutController({
        sampler: scriptedSampler(),
        metrics: createRolloutMetrics(createMetrics()),
        randomBytes,
        askHttp: async () => ({ status: 200, body: "" }),
        post: async () => ({ status: 204 }),
      }),
    ],
    namespace: SYSTEM,
    identity: "one",
    watchNamespaces: [],
    port: "none",
    metrics: createMetrics(),
    clock: systemClock,
    random: () => 0.5,
    log: silentLogger,
  });
  const running = [manager.run(stop.signal), life.run(stop.signal)];
  try {
    await tellStory();
    await tellReleases(user, NAMESPACE);
  } finally {
    stop.abort();
    await Promise.all(running);
    await client.close();
  }
}

async function tellStory(): Promise<void> {
  const spec = { deletionPolicy: "Delete" };
  await user.create(SHARD_SET, object("ShardSet", "s", { ...spec, shards: 1 }) as ShardSet);
  const assets = [{ code: "CZK", scale: 2 }];
  await user.create(CREDIT_LEDGER, object("CreditLedger", "l", { ...spec, shardSet: "s", assets }) as CreditLedger);
  await isReady(SHARD_SET, "s");
  await isReady(CREDIT_LEDGER, "l");
  for (const role of (await user.list(RESOURCES.Role, { namespace: NAMESPACE })).items) {
    for (const right of rightsOf(role["rules"] as RoleRule[])) handedOn.add(right);
  }

  const pod = await user.get(RESOURCES.Pod, { namespace: NAMESPACE, name: "s-0-0" });
  const unlabelled = { metadata: { labels: { [LABELS.kind]: null } } };
  const ref = { namespace: NAMESPACE, name: "s-0-0" };
  await user.patch(RESOURCES.Pod, ref, { format: "merge", patch: unlabelled });
  await eventually("the label is back", () => has("patch pods"), DEADLINE_MS);
  await isReady(SHARD_SET, "s");
  const patch = { spec: { postgres: { parameters: { work_mem: "16MB" } }, storage: { size: "2Gi" } } };
  await user.patch(SHARD_SET, { namespace: NAMESPACE, name: "s" }, { format: "merge", patch });
  await eventually(
    "the pod was replaced",
    async () => {
      const now = await user.find(RESOURCES.Pod, { namespace: NAMESPACE, name: "s-0-0" });
      return now !== undefined && now.metadata.uid !== pod.metadata.uid;
    },
    DEADLINE_MS,
  );
  await eventually("the volume was asked to grow", () => has("patch persistentvolumeclaims"), DEADLINE_MS);

  await user.delete(CREDIT_LEDGER, { namespace: NAMESPACE, name: "l" });
  await isGone(CREDIT_LEDGER, "l");
  await user.delete(SHARD_SET, { namespace: NAMESPACE, name: "s" });
  await isGone(SHARD_SET, "s");
}

function object(kind: string, name: string, spec: unknown): KubeObject {
  return { apiVersion: "shieldx.dev/v1alpha1", kind, metadata: { name, namespace: NAMESPACE }, spec };
}

async function isReady(type: ResourceType, name: string): Promise<void> {
  let seen = "";
  await eventually(
    `${type.kind} ${name} is ready`,
    async () => {
      const { status } = (await user.get(type, { namespace: NAMESPACE, name })) as ShardSet;
      seen = JSON.stringify(status?.conditions?.find((condition) => condition.type === "Ready"));
      return seen?.includes('"status":"True"');
    },
    DEADLINE_MS,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${seen}`);
  });
}

async function isGone(type: ResourceType, name: string): Promise<void> {
  const ref = { namespace: NAMESPACE, name };
  await eventually(`${name} is gone`, async () => (await user.find(type, ref)) === undefined, DEADLINE_MS);
}

function has(right: Right): boolean {
  return accesses.some((access) => access.right === right);
}

function grantedBy(kind: string, name: string): Set<Right> {
  const found = chart.find((candidate) => candidate.kind === kind && candidate.metadata.name === name);
  return rightsOf((found?.["rules"] ?? []) as RoleRule[]);
}

/** What a life of half a minute on this server does not need, and others do. */
const UNSEEN: readonly RegExp[] = [
  // Asked for by an admission plugin that not every cluster has.
  /^update \w+\.shieldx\.dev\/finalizers$/,
  // An event that is told again after a while becomes a series.
  /^patch events\.events\.k8s\.io$/,
  // Takes our finalizer off a Rollout that brings one along: it gets none here.
  /^patch rollouts\.shieldx\.dev$/,
  // A route of ours goes when the spec names one of the user's; theirs is given back once their Service has pods.
  /^delete (http|grpc)routes\.gateway\.networking\.k8s\.io$/,
  /^list endpointslices\.discovery\.k8s\.io$/,
  // A label that somebody took off what is made once.
  /^patch (jobs\.batch|controllerrevisions\.apps)$/,
  // Asked about an object that does not come up for some seconds; here most do.
  /^list (events\.events|storageclasses\.storage)\.k8s\.io$/,
];

/** Reading has three verbs, and whoever may watch a kind may read all of it: they are granted together. */
function isRead(right: Right): boolean {
  return /^(get|list|watch) /.test(right);
}

describe("permissions of the controllers", () => {
  test("nothing that they asked for was refused", () => {
    // The server lets no volume grow without a StorageClass, whoever asks.
    const refused = accesses.filter(({ status, right }) => status === 403 && right !== "patch persistentvolumeclaims");
    expect(refused).toEqual([]);
    expect(accesses.length).toBeGreaterThan(100);
  });

  test("every verb that they use is granted by the rule that is meant for it", () => {
    const everywhere = grantedBy("ClusterRole", "shieldx-controller");
    const leading = grantedBy("Role", "shieldx-leader-election");
    const missing = accesses.filter(
      ({ right, namespace }) => !everywhere.has(right) && !(namespace === SYSTEM && leading.has(right)),
    );
    expect(missing).toEqual([]);
  });

  test("every verb that is granted is used, or handed on to pods", () => {
    const used = new Set(accesses.filter(({ namespace }) => namespace !== SYSTEM).map(({ right }) => right));
    const read = new Set([...used].filter(isRead).map((right) => right.replace(/^\w+ /, "")));
    const idle = [...grantedBy("ClusterRole", "shieldx-controller")].filter(
      (right) =>
        !used.has(right) &&
        !handedOn.has(right) &&
        !(isRead(right) && read.has(right.replace(/^\w+ /, ""))) &&
        !UNSEEN.some((pattern) => pattern.test(right)),
    );
    expect(idle).toEqual([]);
  });

  test("every verb on the Lease of the leader is used", () => {
    const used = new Set(accesses.filter(({ namespace }) => namespace === SYSTEM).map(({ right }) => right));
    expect([...grantedBy("Role", "shieldx-leader-election")].filter((right) => !used.has(right))).toEqual([]);
  });

  test("what the Roles of the controllers grant is all that they hold for others", () => {
    const everywhere = grantedBy("ClusterRole", "shieldx-controller");
    expect([...handedOn].filter((right) => !everywhere.has(right))).toEqual([]);
    expect(handedOn).toContain("update leases.coordination.k8s.io");
  });
});
