// Promise: when a node loses power and comes back, databases and ledger are back with their data, without a hand.
import { expect } from "@jest/globals";
import { createBank, LEDGER, type LedgerApi, openLedgerApi, SHARD_SET, waitReady } from "./bank.ts";
import { restartNode } from "./cluster.ts";
import { waitFor } from "./run.ts";
import { suite } from "./suite.ts";

const NAMESPACE = "node";

suite("node", [NAMESPACE], ({ cluster, prepare, promise }) => {
  prepare(() => createBank(cluster(), { namespace: NAMESPACE, shards: 1, replicas: 1, deletionPolicy: "Delete" }));

  const withApi = async (work: (api: LedgerApi) => Promise<void>): Promise<void> => {
    const api = await openLedgerApi(cluster(), NAMESPACE);
    try {
      await work(api);
    } finally {
      api.close();
    }
  };
  const deposit = (id: string) => ({
    createAccounts: true,
    items: [{ id, debitAccount: "system:external:CZK", creditAccount: "alice", amount: 100 }],
  });

  promise("keeps every volume over the loss of its node", async () => {
    await withApi(async (api) => {
      const answer = await api.call("POST", "/v1/transfers:bulk", { body: deposit("before") });
      expect(answer.json).toMatchObject({ items: [{ status: 201 }] });
    });
    const claims = (await cluster().list("pvc", NAMESPACE)).map((claim) => claim.metadata.uid);
    const pod = await cluster().get("pod", `${SHARD_SET}-0-0`, NAMESPACE);
    await restartNode(String((pod?.["spec"] as { nodeName?: string }).nodeName));

    await waitFor(
      "the API server to answer",
      120_000,
      async () => (await cluster().tryKubectl(["get", "--raw", "/readyz"])).code === 0,
    );
    await waitFor("a transfer to be posted again", 240_000, async () => {
      let posted = false;
      await withApi(async (api) => {
        const answer = await api.call("POST", "/v1/transfers:bulk", { body: deposit("after") });
        const [item] = (answer.json?.["items"] ?? []) as { status: number }[];
        posted = item?.status === 201 || item?.status === 200;
      });
      return posted;
    });
    await waitReady(cluster(), "shardset", SHARD_SET, NAMESPACE);
    await waitReady(cluster(), "creditledger", LEDGER, NAMESPACE);
    await withApi(async (api) => {
      expect((await api.call("GET", "/v1/accounts/alice/balance")).json).toMatchObject({
        posted: 200,
        lastPosition: 2,
      });
    });
    expect((await cluster().list("pvc", NAMESPACE)).map((claim) => claim.metadata.uid)).toEqual(claims);
  });
});
