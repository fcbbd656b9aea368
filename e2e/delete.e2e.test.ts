// Promise: deleting keeps data by default, a resource of the same name takes it over, a ShardSet waits for its ledgers,
// and deletionPolicy Delete removes everything.
import { expect } from "@jest/globals";
import { bankManifests, createBank, LEDGER, openLedgerApi, SHARD_SET, waitReady } from "./bank.ts";
import { type Cluster, condition } from "./cluster.ts";
import { waitFor } from "./run.ts";
import { suite } from "./suite.ts";

const NAMESPACE = "deleting";

async function names(cluster: Cluster, kind: string): Promise<string[]> {
  return (await cluster.list(kind, NAMESPACE))
    .map((object) => object.metadata.name)
    .filter((name) => !name.startsWith("kube-root"));
}

async function balance(cluster: Cluster, account: string): Promise<unknown> {
  const api = await openLedgerApi(cluster, NAMESPACE);
  try {
    return (await api.call("GET", `/v1/accounts/${account}/balance`)).json?.["posted"];
  } finally {
    api.close();
  }
}

suite("delete", [NAMESPACE], ({ cluster, prepare, promise }) => {
  prepare(async () => {
    await createBank(cluster(), { namespace: NAMESPACE, shards: 1, replicas: 1 });
    const api = await openLedgerApi(cluster(), NAMESPACE);
    try {
      const opened = await api.call("POST", "/v1/accounts", { body: { id: "alice", asset: "CZK" } });
      expect(opened.status).toBe(201);
      const deposit = { id: "deposit-1", debitAccount: "system:external:CZK", creditAccount: "alice", amount: 12_345 };
      const posted = await api.call("POST", "/v1/transfers", { body: deposit });
      expect(posted.status).toBe(201);
    } finally {
      api.close();
    }
  });

  promise("goes from Retain over adoption to Delete without losing or leaving anything", async () => {
    // The ShardSet is asked to go first: it waits, and says for whom.
    await cluster().kubectl(["delete", "shardset", SHARD_SET, "-n", NAMESPACE, "--wait=false"]);
    await waitFor("the ShardSet to say that it waits for its ledger", 60_000, async () => {
      const ready = condition(await cluster().get("shardset", SHARD_SET, NAMESPACE), "Ready");
      return ready?.reason === "DeletionBlocked" && ready.message.includes(LEDGER);
    });
    expect(await balance(cluster(), "alice")).toBe(12_345);

    // Retain: workloads go, data and keys stay.
    await cluster().kubectl(["delete", "creditledger", LEDGER, "-n", NAMESPACE, "--timeout=120s"]);
    await cluster().kubectl(["wait", "--for=delete", `shardset/${SHARD_SET}`, "-n", NAMESPACE, "--timeout=120s"]);
    await waitFor("the pods to go", 90_000, async () => (await names(cluster(), "pods")).length === 0);
    expect(await names(cluster(), "pvc")).toEqual([`${SHARD_SET}-0-0`]);
    expect(await names(cluster(), "secrets")).toEqual(
      expect.arrayContaining([
        `${SHARD_SET}-ca`,
        `${SHARD_SET}-ca-key`,
        `${LEDGER}-ca`,
        `${LEDGER}-ca-key`,
        `${LEDGER}-admin-key`,
        `${LEDGER}-roles`,
      ]),
    );
    expect(await names(cluster(), "configmaps")).toEqual([`${SHARD_SET}-map`]);

    // Resources of the same names take the data over.
    await createBank(cluster(), { namespace: NAMESPACE, shards: 1, replicas: 1 });
    expect(await balance(cluster(), "alice")).toBe(12_345);

    // Delete: nothing stays.
    const manifests = bankManifests({ namespace: NAMESPACE, shards: 1, replicas: 1, deletionPolicy: "Delete" });
    await cluster().apply({ apiVersion: "v1", kind: "List", items: [manifests.shardSet, manifests.ledger] });
    await waitReady(cluster(), "creditledger", LEDGER, NAMESPACE);
    await cluster().kubectl(["delete", "creditledger", LEDGER, "-n", NAMESPACE, "--timeout=120s"]);
    await cluster().kubectl(["delete", "shardset", SHARD_SET, "-n", NAMESPACE, "--timeout=120s"]);
    await waitFor("everything to go", 120_000, async () => {
      const left = (
        await Promise.all(
          ["pods", "pvc", "secrets", "configmaps", "leases", "services", "roles", "jobs"].map((kind) =>
            names(cluster(), kind),
          ),
        )
      ).flat();
      if (left.length > 0) throw new Error(`left: ${left.join(", ")}`);
      return true;
    });

    // And a new one of the same name starts empty.
    await createBank(cluster(), { namespace: NAMESPACE, shards: 1, replicas: 1, deletionPolicy: "Delete" });
    const api = await openLedgerApi(cluster(), NAMESPACE);
    try {
      expect((await api.call("GET", "/v1/accounts/alice")).status).toBe(404);
    } finally {
      api.close();
    }
  });
});
