// Promise: at rest the operator writes nothing but Lease renewals, and a restart of it writes nothing either.
import { expect } from "@jest/globals";
import { createBank } from "./bank.ts";
import { type Cluster, SYSTEM_NAMESPACE } from "./cluster.ts";
import { waitFor } from "./run.ts";
import { suite } from "./suite.ts";

const NAMESPACE = "idle";

/** How long rest is watched. */
const REST_MS = 60_000;

/** Kinds whose every write would show as a new resource version. Leases are left out: renewing them is the one write at rest. */
const KINDS =
  "shardsets,creditledgers,pods,pvc,services,secrets,configmaps,serviceaccounts,roles,rolebindings,deployments,jobs,pdb,events";

async function resourceVersions(cluster: Cluster): Promise<Map<string, string>> {
  const objects = await cluster.list(KINDS, NAMESPACE);
  return new Map(objects.map(({ kind, metadata }) => [`${kind}/${metadata.name}`, metadata.resourceVersion ?? ""]));
}

/** What differs between two pictures of the namespace. */
function changes(before: Map<string, string>, after: Map<string, string>): string[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((name) => before.get(name) !== after.get(name))
    .sort();
}

/** Waits until nothing has changed for ten seconds: start-up is over. */
async function settle(cluster: Cluster): Promise<Map<string, string>> {
  let last = await resourceVersions(cluster);
  let quietSince = performance.now();
  await waitFor("the namespace to come to rest", 120_000, async () => {
    const now = await resourceVersions(cluster);
    if (changes(last, now).length > 0) {
      last = now;
      quietSince = performance.now();
    }
    return performance.now() - quietSince > 10_000;
  });
  return last;
}

async function watchRest(cluster: Cluster, before: Map<string, string>): Promise<void> {
  const until = performance.now() + REST_MS;
  await waitFor("the minute of rest to pass", REST_MS + 30_000, async () => {
    expect(changes(before, await resourceVersions(cluster))).toEqual([]);
    return performance.now() >= until;
  });
}

suite("idle", [NAMESPACE], ({ cluster, prepare, promise }) => {
  prepare(() => createBank(cluster(), { namespace: NAMESPACE, shards: 2, deletionPolicy: "Delete" }));

  promise("writes nothing for a minute at rest", async () => {
    await watchRest(cluster(), await settle(cluster()));
  });

  promise("writes nothing after a restart", async () => {
    const before = await settle(cluster());
    await cluster().kubectl([
      "rollout",
      "restart",
      "deployment",
      "-n",
      SYSTEM_NAMESPACE,
      "-l",
      "app.kubernetes.io/component=controller",
    ]);
    await cluster().kubectl([
      "rollout",
      "status",
      "deployment",
      "-n",
      SYSTEM_NAMESPACE,
      "-l",
      "app.kubernetes.io/component=controller",
      "--timeout=120s",
    ]);
    await waitFor("a new leader", 60_000, async () => {
      const pods = await cluster().list("pods", SYSTEM_NAMESPACE, "app.kubernetes.io/component=controller");
      const holder = (await cluster().get("lease", "shieldx-controller", SYSTEM_NAMESPACE))?.["spec"] as {
        holderIdentity?: string;
      };
      return pods.some(
        (pod) => holder.holderIdentity?.includes(pod.metadata.name) || holder.holderIdentity === pod.metadata.uid,
      );
    });
    await watchRest(cluster(), before);
  });
});
