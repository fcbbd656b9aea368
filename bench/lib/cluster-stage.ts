/**
 * The stage of a benchmark in its final form: a ShardSet of one shard and a CreditLedger in a namespace of their own on
 * the cluster that `make demo` brings up, pgbench in the pod of that shard's PostgreSQL. The client runs on the host and
 * reaches the writer's pod through a NodePort: a port-forward would measure kubectl.
 */
import { createLedgerClient } from "../../dataplane/ledger/ledger-client.ts";
import { createBank, LEDGER, SHARD_SET } from "../../e2e/bank.ts";
import { type Cluster, cluster, ensureCluster, installOperator } from "../../e2e/cluster.ts";
import { waitFor } from "../../e2e/run.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { findInPod, type StageMicros, stageMicros } from "./processor-time.ts";
import {
  type PgbenchFigures,
  parsePgbench,
  parseTiming,
  type Stage,
  timedPgbench,
  timedPsql,
  type Verified,
} from "./stage.ts";

const CLUSTER = "shieldx-demo";
const NAMESPACE = "shieldx-bench";
const SERVICE = "bench-writer";
const TARGET_LABEL = "shieldx.dev/bench-target";
const POSTGRES_POD = `${SHARD_SET}-0-0`;
const API_PORT = 8443;

/** Brings up what is missing and makes a fresh ledger. */
export async function openClusterStage(): Promise<Stage> {
  await ensureCluster(CLUSTER, { echo: true });
  const kube = cluster(CLUSTER);
  await installOperator(kube);
  await removeNamespace(kube);
  await createBank(kube, { namespace: NAMESPACE, shards: 1, replicas: 1, deletionPolicy: "Delete" });

  const [caPem, key] = [await secret(kube, `${LEDGER}-ca`, "ca.crt"), await secret(kube, `${LEDGER}-admin-key`, "key")];
  const url = await exposeWriter(kube);
  const client = createLedgerClient({ url, caPem, key, servername: `${LEDGER}.${NAMESPACE}.svc` });
  // The node's rules for a new NodePort follow a moment later.
  await waitFor("the NodePort", 60_000, async () => (await client.send("GET", "/openapi.json")).status === 200);
  return {
    name: `cluster ${CLUSTER}: one shard and one ledger pod; the client on the host`,
    client,
    shard: 0,
    shardOf: () => 0,
    asset: "CZK",
    verify: (what, checkout) => {
      if (checkout !== undefined) throw new Error("another version's verify is compared with --local only");
      return verifyInPod(kube, what);
    },
    timeSql: (statement) => timeSql(kube, statement),
    fillPgbench: (scale) => fillPgbench(kube, scale),
    pgbench: (args) => pgbench(kube, args),
    processorTime: () => processorTime(kube),
    close: async () => {
      client.close();
      await removeNamespace(kube);
    },
  };
}

async function removeNamespace(kube: Cluster): Promise<void> {
  for (const kind of ["creditledger", "shardset"]) {
    await kube.tryKubectl(["delete", kind, "--all", "-n", NAMESPACE, "--timeout=120s"]);
  }
  await kube.kubectl(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s"]);
}

async function secret(kube: Cluster, name: string, key: string): Promise<string> {
  const found = (await kube.get("secret", name, NAMESPACE)) as
    | (KubeObject & { data?: Record<string, string> })
    | undefined;
  const text = found?.data?.[key];
  if (text === undefined) throw new Error(`Secret ${NAMESPACE}/${name} has no ${key}`);
  return Buffer.from(text, "base64").toString("utf8").trim();
}

interface PodObject extends KubeObject {
  status?: { podIP?: string };
}

/** A NodePort that leads to the pod that holds the writer Lease. @returns the API's URL */
async function exposeWriter(kube: Cluster): Promise<string> {
  const pod = await waitFor("the writer's pod", 60_000, async () => {
    const lease = await kube.get("lease", `${LEDGER}-writer-0`, NAMESPACE);
    const holder = lease?.metadata.annotations?.["shieldx.dev/holder-url"];
    const pods = (await kube.list("pods", NAMESPACE)) as PodObject[];
    return pods.find(({ status }) => status?.podIP !== undefined && holder?.includes(`//${status.podIP}:`) === true);
  });
  await kube.kubectl(["label", "pod", pod.metadata.name, "-n", NAMESPACE, `${TARGET_LABEL}=true`, "--overwrite"]);
  await kube.apply({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: SERVICE, namespace: NAMESPACE },
    spec: {
      type: "NodePort",
      selector: { [TARGET_LABEL]: "true" },
      ports: [{ port: API_PORT, targetPort: API_PORT }],
    },
  });
  const service = (await kube.get("service", SERVICE, NAMESPACE)) as KubeObject & {
    spec: { ports: { nodePort: number }[] };
  };
  const nodes = JSON.parse(await kube.kubectl(["get", "nodes", "-o", "json"])) as {
    items: { status: { addresses: { type: string; address: string }[] } }[];
  };
  const address = nodes.items[0]?.status.addresses.find(({ type }) => type === "InternalIP")?.address;
  return `https://${address}:${service.spec.ports[0]?.nodePort}`;
}

const EXEC = ["exec", "-n", NAMESPACE, POSTGRES_POD, "-c", "postgres", "--"];
const LOCAL = ["-h", "/run/postgresql", "-U", "postgres"];
/** Initialising scale 50 on two busy cores. */
const PGBENCH_TIMEOUT_MS = 900_000;

async function fillPgbench(kube: Cluster, scale: number): Promise<void> {
  await kube.kubectl([...EXEC, "createdb", ...LOCAL, "pgbench"]);
  const fill = ["pgbench", ...LOCAL, "-i", "-s", String(scale), "-q", "pgbench"];
  await kube.kubectl([...EXEC, ...fill], { timeoutMs: PGBENCH_TIMEOUT_MS });
}

async function pgbench(kube: Cluster, args: readonly string[]): Promise<PgbenchFigures> {
  const program = timedPgbench([...LOCAL, ...args, "pgbench"]);
  return parsePgbench(await kube.kubectl([...EXEC, ...program], { timeoutMs: PGBENCH_TIMEOUT_MS }));
}

/** The node is a container of this machine, so its processes are seen here. */
async function processorTime(kube: Cluster): Promise<StageMicros | undefined> {
  const pods = await kube.list("pods", NAMESPACE);
  const find = async (podName: RegExp, command: RegExp): Promise<number | undefined> => {
    for (const { metadata } of pods.filter((pod) => podName.test(pod.metadata.name))) {
      const pid = await findInPod(metadata.uid as string, (text) => command.test(text));
      if (pid !== undefined) return pid;
    }
    return undefined;
  };
  const postgres = await find(new RegExp(`^${POSTGRES_POD}$`), /^\S*postgres -/);
  const ledger = await find(new RegExp(`^${LEDGER}-`), / ledger serve /);
  if (postgres === undefined || ledger === undefined) return undefined;
  return stageMicros({ postgres: [postgres], ledger });
}

interface DatabaseRequest {
  readonly database: string;
  readonly reader: { readonly name: string };
}

async function databaseRequest(kube: Cluster): Promise<DatabaseRequest> {
  return JSON.parse(await secret(kube, `${LEDGER}-database`, "request.json")) as DatabaseRequest;
}

async function timeSql(kube: Cluster, statement: string): Promise<number> {
  const { database } = await databaseRequest(kube);
  const [program, ...args] = timedPsql(statement) as [string, ...string[]];
  return parseTiming(await kube.kubectl([...EXEC, program, ...LOCAL, "-d", database, ...args]));
}

/** Runs `shieldx ledger verify` beside the data: in the ledger's pod, which has the reader's credentials. */
async function verifyInPod(kube: Cluster, what: "everything" | "journal"): Promise<Verified> {
  const request = await databaseRequest(kube);
  const output = await kube.kubectl([
    ...["exec", "-n", NAMESPACE, `deployment/${LEDGER}`, "--", "shieldx", "ledger", "verify", "--json"],
    ...["--postgres", `${SHARD_SET}-0.${NAMESPACE}.svc:5432`, "--database", request.database],
    ...["--user", request.reader.name, "--password-file", "/etc/shieldx/roles/reader-password"],
    ...["--ca-file", "/etc/shieldx/postgres-ca/ca.crt"],
    ...(what === "journal" ? ["--journal-only"] : []),
  ]);
  const { intact, shards } = JSON.parse(output) as { intact: boolean; shards: { events: number; seconds: number }[] };
  const shard = shards[0] as { events: number; seconds: number };
  return { intact, ...shard };
}
