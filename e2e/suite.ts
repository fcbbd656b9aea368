import { afterAll, beforeAll, describe, it } from "@jest/globals";
import { type Cluster, collectEvidence, ensureCluster, installOperator } from "./cluster.ts";

/** Name of the cluster that the end-to-end tests share. */
const TEST_CLUSTER = process.env["E2E_CLUSTER"] ?? "shieldx-test";

/** What the body of a suite gets. */
export interface Suite {
  /** The cluster with the operator of this checkout; only inside hooks and promises. */
  readonly cluster: () => Cluster;
  /** Work before the promises; a failure keeps evidence too. */
  prepare(work: () => Promise<void>): void;
  /** A test. When it fails, logs, events and objects are kept in `.build/failures/<suite>`. */
  promise(title: string, work: () => Promise<void>, timeoutMs?: number): void;
}

/**
 * A suite on the shared test cluster. The namespaces are the suite's own: they are watched for evidence and removed, with
 * everything in them, at the end (before the start too, should a killed run have left them).
 */
export function suite(name: string, namespaces: readonly string[], body: (suite: Suite) => void): void {
  describe(name, () => {
    let cluster: Cluster | undefined;
    const present = (): Cluster => {
      if (cluster === undefined) throw new Error("the cluster is there only inside hooks and promises");
      return cluster;
    };
    const withEvidence = async (work: () => Promise<void>): Promise<void> => {
      try {
        await work();
      } catch (error) {
        if (cluster !== undefined) {
          process.stderr.write(`evidence is in ${await collectEvidence(cluster, name, namespaces)}\n`);
        }
        throw error;
      }
    };

    beforeAll(async () => {
      cluster = await ensureCluster(TEST_CLUSTER);
      await installOperator(cluster);
      await removeNamespaces(cluster, namespaces);
    }, 1_500_000);
    afterAll(async () => {
      if (cluster !== undefined) await removeNamespaces(cluster, namespaces);
    }, 300_000);

    body({
      cluster: present,
      prepare: (work) => beforeAll(() => withEvidence(work), 600_000),
      promise: (title, work, timeoutMs) => it(title, () => withEvidence(work), timeoutMs),
    });
  });
}

/** Removes namespaces with the resources in them, resources first, as the README tells users to. */
async function removeNamespaces(cluster: Cluster, namespaces: readonly string[]): Promise<void> {
  for (const namespace of namespaces) {
    if ((await cluster.get("namespace", namespace)) === undefined) continue;
    await cluster.kubectl(["delete", "rollouts", "--all", "-n", namespace, "--timeout=120s"]);
    await cluster.kubectl(["delete", "creditledgers", "--all", "-n", namespace, "--timeout=120s"]);
    await cluster.kubectl(["delete", "shardsets", "--all", "-n", namespace, "--timeout=120s"]);
    await cluster.kubectl(["delete", "namespace", namespace, "--timeout=120s"]);
  }
}
