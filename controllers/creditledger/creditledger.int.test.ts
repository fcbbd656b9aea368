import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { customResourceDefinition } from "../../crds/crd.ts";
import { CREDIT_LEDGER, type CreditLedger } from "../../crds/creditledger.ts";
import { DATABASE_REQUEST_KEY, parseDatabaseRequest, requestHash } from "../../crds/database-request.ts";
import { ANNOTATIONS, API_VERSION, COMPONENTS, LABELS } from "../../crds/group.ts";
import { KINDS } from "../../crds/kinds.ts";
import { SHARD_SET, type ShardSet } from "../../crds/shardset.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { isOperatorError } from "../../lib/core/errors.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { type KubeObject, RESOURCES, type ResourceType, type SecretObject } from "../../lib/kube/types.ts";
import * as certificates from "../../lib/node/certificates.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { createMetrics } from "../../lib/node/metrics.ts";
import { scramVerifier } from "../../lib/node/scram.ts";
import { createManager } from "../../operator/manager.ts";
import { startControlPlane, type TestControlPlane } from "../../testkit/kube-apiserver.ts";
import { makeNamespace } from "../../testkit/namespaces.ts";
import { createCreditLedgerController } from "./creditledger.controller.ts";

// The ledger's controller under the real manager on a real API server. There are no nodes and no other controllers: the
// test plays the ShardSet, the Job's pod, the Deployment and the writers by patching statuses, as they would.

const SHARDS = 3;
/** Two busy cores. */
const TIMEOUT_MS = 60_000;
const POLL_MS = 50;
/** Long enough for several renewals and for whatever a restless controller would write. */
const REST_MS = 4_000;

/** The pod that writes all shards. */
const WRITER = "bank-1";

let plane: TestControlPlane;
let kube: KubeClient;
let operator: { stop(): Promise<number> } | undefined;
let namespace = "";

beforeAll(async () => {
  plane = await startControlPlane();
  kube = plane.client();
  for (const kind of KINDS) {
    await kube.create(RESOURCES.CustomResourceDefinition, customResourceDefinition(kind) as KubeObject);
  }
  for (const kind of KINDS) await eventually(() => isServed(kind.type as ResourceType));
});

afterAll(async () => {
  await plane.stop();
});

beforeEach(async () => {
  namespace = `test-${randomBytes(4).toString("hex")}`;
  await makeNamespace(kube, namespace);
});

afterEach(async () => {
  await operator?.stop();
  operator = undefined;
});

describe("CreditLedger on a real API server", () => {
  test("gets Ready, rests, survives a restart without a write, and is dropped", async () => {
    startOperator();
    await createLedger({ deletionPolicy: "Delete" });
    await conditionIs("Ready", "False ShardSetNotFound");

    await createShardSet();
    await conditionIs("Ready", "False WaitingForDatabase");
    await carryOutRequest();
    await conditionIs("Ready", "False Migrating");
    await finishJob();
    await conditionIs("Ready", "False PodsUnavailable");
    await startPods();
    await conditionIs("Ready", "False WritersUnavailable");
    for (let shard = 0; shard < SHARDS; shard += 1) await renewLease(shard, "0");
    await conditionIs("Ready", "True Ready");
    const ledger = await readLedger();
    expect(ledger.status).toMatchObject({
      observedGeneration: 1,
      url: `https://bank.${namespace}.svc`,
      shards: SHARDS,
      writersReady: SHARDS,
      replicasReady: 2,
    });
    await expectTrustedCertificate();

    // Positions have their own pace: at most every 10 s.
    await eventually(async () => (await readLedger()).status?.heads?.every(({ position }) => position === 0) === true);
    const before = await versions();
    for (let renewals = 0; renewals < 3; renewals += 1) await renewLease(0, "0");
    await systemClock.sleep(REST_MS);
    expect(await versions()).toEqual(before);
    expect(await operator?.stop()).toBe(0);
    startOperator();
    await systemClock.sleep(REST_MS);
    expect(await versions()).toEqual(before);

    await kube.delete(CREDIT_LEDGER, { namespace, name: "bank" });
    await conditionIs("Ready", "False DroppingDatabase");
    expect(await readRequest()).toMatchObject({ drop: true });
    await carryOutRequest();
    await eventually(async () => (await kube.find(CREDIT_LEDGER, { namespace, name: "bank" })) === undefined);
    expect(await leftovers()).toEqual([]);
  });

  test("goes on telling when a Lease says what no status may hold", async () => {
    startOperator();
    await createShardSet();
    await createLedger({});
    await conditionIs("Ready", "False WaitingForDatabase");
    await carryOutRequest();
    await conditionIs("Ready", "False Migrating");
    await finishJob();
    await conditionIs("Ready", "False PodsUnavailable");
    await startPods();
    await conditionIs("Ready", "False WritersUnavailable");
    await merge(RESOURCES.Lease, "bank-writer-0", { spec: { holderIdentity: "h".repeat(300) } });
    for (let shard = 1; shard < SHARDS; shard += 1) await renewLease(shard, "0");
    await eventually(async () => (await readLedger()).status?.writersReady === SHARDS - 1);
    // As much of the holder as a status may hold, and that it is no pod of the ledger.
    expect((await readLedger()).status?.heads?.[0]?.writer).toBe("h".repeat(253));
    await conditionIs("Available", "False WritersUnavailable");
    await renewLease(0, "0");
    await conditionIs("Ready", "True Ready");
  });

  test("keeps its secrets with Retain, and takes them over again", async () => {
    startOperator();
    await createShardSet();
    await createLedger({});
    await conditionIs("Ready", "False WaitingForDatabase");
    const before = await kube.get(RESOURCES.Secret, { namespace, name: "bank-roles" });
    await kube.delete(CREDIT_LEDGER, { namespace, name: "bank" });
    await eventually(async () => (await kube.find(CREDIT_LEDGER, { namespace, name: "bank" })) === undefined);
    expect((await leftovers()).map((name) => name.replace(/^\w+\//, "")).sort()).toEqual([
      ...["bank-admin-key", "bank-ca", "bank-ca-key", "bank-database", "bank-roles"],
      ...["bank-writer-0", "bank-writer-1", "bank-writer-2"],
    ]);
    await createLedger({});
    await conditionIs("Ready", "False WaitingForDatabase");
    await carryOutRequest();
    await conditionIs("DatabaseReady", "True DatabaseReady");
    expect(await kube.get(RESOURCES.Secret, { namespace, name: "bank-roles" })).toMatchObject({
      data: before["data"],
      metadata: { uid: before.metadata.uid },
    });
  });

  test("leaves an object of somebody else alone and says so", async () => {
    const foreign = { apiVersion: "v1", kind: "Service", metadata: { name: "bank", namespace }, spec: FOREIGN_SPEC };
    await kube.create(RESOURCES.Service, foreign);
    startOperator();
    await createShardSet();
    await createLedger({});
    await conditionIs("Ready", "False NameConflict");
    await conditionIs("Stalled", "True NameConflict");
    expect((await kube.get(RESOURCES.Service, { namespace, name: "bank" }))["spec"]).toMatchObject(FOREIGN_SPEC);
  });

  test("puts back what somebody deletes, and takes back a field that somebody took (trial 7)", async () => {
    startOperator();
    await createShardSet();
    await createLedger({});
    await conditionIs("Ready", "False WaitingForDatabase");
    const { uid } = (await kube.get(RESOURCES.Service, { namespace, name: "bank" })).metadata;
    await kube.delete(RESOURCES.Service, { namespace, name: "bank" });
    await eventually(async () => {
      const service = await kube.find(RESOURCES.Service, { namespace, name: "bank" });
      return service !== undefined && service.metadata.uid !== uid;
    });
    await merge(RESOURCES.Role, "bank-ledger", { rules: [] });
    const rulesOf = async () => (await kube.get(RESOURCES.Role, { namespace, name: "bank-ledger" }))["rules"];
    await eventually(async () => ((await rulesOf()) as unknown[] | null)?.length === 2);
    await conditionIs("Ready", "False WaitingForDatabase");
  });

  test("trial 8: a restart by hand stays, a scale by hand does not, foreign labels and annotations stay", async () => {
    startOperator();
    await createShardSet();
    await createLedger({});
    await conditionIs("Ready", "False WaitingForDatabase");
    await carryOutRequest();
    await conditionIs("Ready", "False Migrating");
    await finishJob();
    await conditionIs("Ready", "False PodsUnavailable");
    // As kubectl rollout restart, scale, label and annotate write.
    const restarted = { "kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z" };
    await merge(RESOURCES.Deployment, "bank", { spec: { template: { metadata: { annotations: restarted } } } });
    await merge(RESOURCES.Service, "bank", { metadata: { annotations: { "example.test/owner": "x" } } });
    await merge(RESOURCES.Secret, "bank-tls", { metadata: { labels: { team: "payments" } } });
    await merge(RESOURCES.Deployment, "bank", { spec: { replicas: 0 } });
    const read = (type: ResourceType, name: string): Promise<KubeObject> => kube.get(type, { namespace, name });
    const specOf = async () =>
      (await read(RESOURCES.Deployment, "bank"))["spec"] as {
        replicas: number;
        template: { metadata: { annotations: Record<string, string> } };
      };
    await eventually(async () => (await specOf()).replicas === 2);
    expect((await specOf()).template.metadata.annotations).toMatchObject(restarted);
    expect((await read(RESOURCES.Service, "bank")).metadata.annotations).toMatchObject({ "example.test/owner": "x" });
    expect((await read(RESOURCES.Secret, "bank-tls")).metadata.labels).toMatchObject({ team: "payments" });
  });
});

const FOREIGN_SPEC = { selector: { app: "other" }, ports: [{ port: 80, protocol: "TCP", targetPort: 80 }] };

/** Kinds of which a ledger owns objects. */
const OWNED_KINDS: readonly ResourceType[] = [
  RESOURCES.Secret,
  RESOURCES.Lease,
  RESOURCES.Job,
  RESOURCES.Deployment,
  RESOURCES.Service,
  RESOURCES.PodDisruptionBudget,
  RESOURCES.ServiceAccount,
  RESOURCES.Role,
  RESOURCES.RoleBinding,
];

function startOperator(): void {
  const controller = createCreditLedgerController({
    images: { shieldx: "shieldx:test" },
    clusterDomain: "cluster.local",
    certificates,
    scramVerifier,
    randomBytes,
  });
  const stop = new AbortController();
  const manager = createManager({
    client: plane.client(namespace),
    controllers: [controller],
    namespace,
    identity: randomBytes(4).toString("hex"),
    watchNamespaces: [namespace],
    port: 0,
    metrics: createMetrics(),
    clock: systemClock,
    random: () => 0.5,
    log: silentLogger,
    // Times that a busy machine keeps; a clean stop hands over at once.
    lease: { durationSeconds: 15, renewSeconds: 10, retrySeconds: 0.5 },
  });
  const running = manager.run(stop.signal);
  operator = {
    stop: () => {
      stop.abort();
      return running;
    },
  };
}

async function createLedger(changes: Record<string, unknown>): Promise<void> {
  await kube.create(CREDIT_LEDGER, {
    apiVersion: API_VERSION,
    kind: "CreditLedger",
    metadata: { name: "bank", namespace },
    spec: { shardSet: "main", assets: [{ code: "CZK", scale: 2 }], ...changes },
  } as unknown as CreditLedger);
}

async function createShardSet(): Promise<void> {
  await kube.create(SHARD_SET, {
    apiVersion: API_VERSION,
    kind: "ShardSet",
    metadata: { name: "main", namespace },
    spec: { shards: SHARDS },
  } as unknown as ShardSet);
  await mergeStatus(SHARD_SET, "main", { observedGeneration: 1, shards: SHARDS, shardsReady: SHARDS });
}

/** The agents: the request as it stands is carried out on every shard. */
async function carryOutRequest(): Promise<void> {
  await eventually(async () => (await kube.find(RESOURCES.Secret, { namespace, name: "bank-database" })) !== undefined);
  const request = await readRequest();
  const databases = [{ name: request.database, requestHash: requestHash(request), shardsReady: SHARDS }];
  await mergeStatus(SHARD_SET, "main", { databases });
}

async function readRequest(): Promise<ReturnType<typeof parseDatabaseRequest>> {
  const secret = await kube.get(RESOURCES.Secret, { namespace, name: "bank-database" });
  return parseDatabaseRequest(secretText(secret, DATABASE_REQUEST_KEY));
}

async function finishJob(): Promise<void> {
  const [job] = (await kube.list(RESOURCES.Job, { namespace })).items;
  const at = "2025-01-01T00:00:00Z";
  // The server accepts the end of a Job only in the steps of the Job controller.
  await mergeStatus(RESOURCES.Job, job?.metadata.name ?? "", {
    startTime: at,
    completionTime: at,
    succeeded: 1,
    uncountedTerminatedPods: {},
    conditions: ["SuccessCriteriaMet", "Complete"].map((type) => ({ type, status: "True", lastTransitionTime: at })),
  });
}

async function startPods(): Promise<void> {
  const { generation } = (await kube.get(RESOURCES.Deployment, { namespace, name: "bank" })).metadata;
  const counts = { replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2 };
  await mergeStatus(RESOURCES.Deployment, "bank", { observedGeneration: generation, ...counts });
  const labels = { [LABELS.kind]: "CreditLedger", [LABELS.name]: "bank", [LABELS.component]: COMPONENTS.ledger };
  await kube.create(RESOURCES.Pod, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: WRITER, namespace, labels },
    spec: { containers: [{ name: "ledger", image: "shieldx" }] },
  });
  await mergeStatus(RESOURCES.Pod, WRITER, { phase: "Running", conditions: [{ type: "Ready", status: "True" }] });
}

async function renewLease(shard: number, position: string): Promise<void> {
  const { uid = "" } = (await kube.get(RESOURCES.Pod, { namespace, name: WRITER })).metadata;
  await merge(RESOURCES.Lease, `bank-writer-${String(shard)}`, {
    metadata: { annotations: { [ANNOTATIONS.headPosition]: position } },
    spec: {
      holderIdentity: `${WRITER}_${uid}`,
      leaseDurationSeconds: 15,
      leaseTransitions: 1,
      renewTime: new Date(systemClock.now()).toISOString().replace("Z", "000Z"),
    },
  });
}

async function readLedger(): Promise<CreditLedger> {
  return kube.get(CREDIT_LEDGER, { namespace, name: "bank" });
}

async function conditionIs(type: string, wanted: string): Promise<void> {
  let seen = "";
  await eventually(
    async () => {
      const ledger = await kube.find(CREDIT_LEDGER, { namespace, name: "bank" });
      const found = ledger?.status?.conditions?.find((condition) => condition.type === type);
      seen = `${found?.status ?? ""} ${found?.reason ?? ""}: ${found?.message ?? ""}`;
      return seen.startsWith(`${wanted}:`);
    },
    () => `${type} is ${seen}, not ${wanted}`,
  );
}

/** The certificate in `l-tls` is signed by the CA that clients are given. */
async function expectTrustedCertificate(): Promise<void> {
  const tls = await kube.get(RESOURCES.Secret, { namespace, name: "bank-tls" });
  const ca = await kube.get(RESOURCES.Secret, { namespace, name: "bank-ca" });
  const pair = { certPem: secretText(tls, "tls.crt"), keyPem: secretText(tls, "tls.key") };
  expect(certificates.isIssuedBy(pair, secretText(ca, "ca.crt"))).toBe(true);
  expect(certificates.readCertificate(pair.certPem).dnsNames).toContain(`bank.${namespace}.svc.cluster.local`);
}

/** Resource versions of everything that the controller may write: they rise with every write. */
async function versions(): Promise<Record<string, string | undefined>> {
  const lists = await Promise.all(
    [CREDIT_LEDGER as ResourceType, ...OWNED_KINDS.filter((type) => type !== RESOURCES.Lease)].map((type) =>
      kube.list(type, { namespace }),
    ),
  );
  return Object.fromEntries(
    lists.flatMap(({ items }) =>
      items.map(({ kind, metadata }) => [`${kind}/${metadata.name}`, metadata.resourceVersion]),
    ),
  );
}

/** What is left of the ledger; the operator's own Lease is not the ledger's. */
async function leftovers(): Promise<string[]> {
  const labelSelector = "shieldx.dev/kind=CreditLedger,shieldx.dev/name=bank";
  const lists = await Promise.all(OWNED_KINDS.map((type) => kube.list(type, { namespace, labelSelector })));
  return lists.flatMap(({ items }, index) =>
    items.map(({ metadata }) => `${OWNED_KINDS[index]?.kind ?? ""}/${metadata.name}`),
  );
}

function secretText(secret: SecretObject, key: string): string {
  return Buffer.from(secret.data?.[key] ?? "", "base64").toString("utf8");
}

async function merge(type: ResourceType, name: string, patch: unknown): Promise<void> {
  await kube.patch(type, { namespace, name }, { format: "merge", patch });
}

async function mergeStatus(type: ResourceType, name: string, status: unknown): Promise<void> {
  await kube.patch(type, { namespace, name }, { format: "merge", patch: { status }, subresource: "status" });
}

async function isServed(type: ResourceType): Promise<boolean> {
  try {
    await kube.list(type);
    return true;
  } catch (error) {
    if (isOperatorError(error, "KUBE_NOT_FOUND")) return false;
    throw error;
  }
}

async function eventually(check: () => Promise<boolean>, what: () => string = () => "not in time"): Promise<void> {
  const endsAt = systemClock.monotonic() + TIMEOUT_MS;
  while (!(await check())) {
    if (systemClock.monotonic() > endsAt) throw new Error(what());
    await systemClock.sleep(POLL_MS);
  }
}
