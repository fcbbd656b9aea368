// Promise: one Helm install gives a working operator; upgrade keeps it; uninstall leaves resources and data running, and
// installing again takes them over.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "@jest/globals";
import { createBank, LEDGER, openLedgerApi, SHARD_SET, waitReady } from "./bank.ts";
import { condition, installOperator, RELEASE, SYSTEM_NAMESPACE } from "./cluster.ts";
import { ROOT, waitFor } from "./run.ts";
import { suite } from "./suite.ts";

const NAMESPACE = "install";

suite("install", [NAMESPACE, "samples"], ({ cluster: present, prepare, promise }) => {
  prepare(() => createBank(present(), { namespace: NAMESPACE, shards: 1, replicas: 1, deletionPolicy: "Delete" }));

  promise("runs two controllers of which one leads", async () => {
    const cluster = present();
    // A leader that was just stopped by its kubelet has given the Lease back, and the other one looks every two seconds.
    await waitFor("one of two controllers to lead", 60_000, async () => {
      const pods = await cluster.list("pods", SYSTEM_NAMESPACE, "app.kubernetes.io/component=controller");
      const lease = await cluster.get("lease", "shieldx-controller", SYSTEM_NAMESPACE);
      const holder = (lease?.["spec"] as { holderIdentity?: string }).holderIdentity ?? "";
      const names = pods.map(({ metadata }) => `${metadata.name}_${metadata.uid ?? ""}`);
      expect(names).toHaveLength(2);
      expect(names).toContain(holder);
      return true;
    });
  });

  promise("shows useful columns and explains every kind", async () => {
    const cluster = present();
    const table = await cluster.kubectl(["get", "shieldx", "-n", NAMESPACE]);
    expect(table).toContain(`shardset.shieldx.dev/${SHARD_SET}`);
    expect(table).toContain(`creditledger.shieldx.dev/${LEDGER}`);
    expect(table).toMatch(/READY\s+REASON/);
    expect(await cluster.kubectl(["explain", "shardset.spec.shards"])).toContain("Number of shards");
    const described = await cluster.kubectl(["describe", "creditledger", LEDGER, "-n", NAMESPACE]);
    expect(described).toMatch(/Ready/);
    expect(described).not.toMatch(/sxk_/);
  });

  promise("accepts every sample", async () => {
    const cluster = present();
    await cluster.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "samples" } });
    const folder = join(ROOT, "crds", "samples");
    for (const file of readdirSync(folder)) {
      await cluster.kubectl(["apply", "--dry-run=server", "-n", "samples", "-f", "-"], {
        input: readFileSync(join(folder, file), "utf8"),
      });
    }
  });

  promise("refuses a resource with a typo or a bad value, and changes nothing", async () => {
    const cluster = present();
    const bad = async (spec: object): Promise<string> => {
      const object = {
        apiVersion: "shieldx.dev/v1alpha1",
        kind: "ShardSet",
        metadata: { name: "bad", namespace: NAMESPACE },
        spec,
      };
      const answer = await cluster.tryKubectl(["apply", "-f", "-"], { input: JSON.stringify(object) });
      expect(answer.code).not.toBe(0);
      return answer.stderr;
    };
    expect(await bad({ shards: 1, shardz: 2 })).toContain('unknown field "spec.shardz"');
    expect(await bad({ shards: 0 })).toContain("spec.shards");
    expect(await bad({ shards: 1, instancesPerShard: 2 })).toContain("replicas and failover are not available yet");
    expect(await cluster.get("shardset", "bad", NAMESPACE)).toBeUndefined();
    const shrink = await cluster.tryKubectl([
      "patch",
      "shardset",
      SHARD_SET,
      "-n",
      NAMESPACE,
      "--type=merge",
      "-p",
      JSON.stringify({ spec: { storage: { size: "512Mi" } } }),
    ]);
    expect(shrink.stderr).toContain("must not shrink");
    const moved = await cluster.tryKubectl([
      "patch",
      "creditledger",
      LEDGER,
      "-n",
      NAMESPACE,
      "--type=merge",
      "-p",
      JSON.stringify({ spec: { shardSet: "other" } }),
    ]);
    expect(moved.stderr).toContain("immutable");
  });

  promise("shows a missing ShardSet as a condition that heals", async () => {
    const cluster = present();
    const ledger = {
      apiVersion: "shieldx.dev/v1alpha1",
      kind: "CreditLedger",
      metadata: { name: "orphan", namespace: NAMESPACE },
      spec: { shardSet: "nowhere", assets: [{ code: "CZK", scale: 2 }], deletionPolicy: "Delete" },
    };
    await cluster.apply(ledger);
    await waitFor("the condition ShardSetNotFound", 60_000, async () => {
      return condition(await cluster.get("creditledger", "orphan", NAMESPACE), "Ready")?.reason === "ShardSetNotFound";
    });
    await cluster.kubectl(["delete", "creditledger", "orphan", "-n", NAMESPACE, "--timeout=60s"]);
  });

  promise("refuses chart values with a typo", async () => {
    const cluster = present();
    const answer = await cluster.tryHelm([
      "template",
      RELEASE,
      join(ROOT, "charts", "operator"),
      "--set",
      "replicaz=3",
    ]);
    expect(answer.code).not.toBe(0);
    expect(answer.stderr).toContain("replicaz");
  });

  promise("keeps resources and data on uninstall, and takes them over when it is installed again", async () => {
    const cluster = present();
    const podsBefore = (await cluster.list("pods", NAMESPACE)).map((pod) => pod.metadata.uid).sort();
    await cluster.helm(["uninstall", RELEASE, "-n", SYSTEM_NAMESPACE, "--wait"]);
    expect(await cluster.get("crd", "shardsets.shieldx.dev")).toBeDefined();
    expect((await cluster.list("pods", NAMESPACE)).map((pod) => pod.metadata.uid).sort()).toEqual(podsBefore);
    const api = await openLedgerApi(cluster, NAMESPACE);
    try {
      expect((await api.call("GET", "/v1/shards")).status).toBe(200);
    } finally {
      api.close();
    }
    await installOperator(cluster);
    await waitReady(cluster, "shardset", SHARD_SET, NAMESPACE);
    await waitReady(cluster, "creditledger", LEDGER, NAMESPACE);
    expect((await cluster.list("pods", NAMESPACE)).map((pod) => pod.metadata.uid).sort()).toEqual(podsBefore);
  });
});
