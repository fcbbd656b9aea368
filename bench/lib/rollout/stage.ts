/** A cluster of the bench's own with both programs, one gateway, and an application for each. */
import { join } from "node:path";
import { type Cluster, ensureCluster, installOperator } from "../../../e2e/cluster.ts";
import { type ApplicationImages, ensureGateway } from "../../../e2e/gateway/gateways.ts";
import { openStage } from "../../../e2e/release.ts";
import { must, ROOT } from "../../../e2e/run.ts";
import { argoSide } from "./argo-rollouts.ts";
import { measureRelease, type Run } from "./measure.ts";
import { ourSide } from "./ours.ts";
import type { Push, Side } from "./side.ts";

const CLUSTER = "shieldx-bench";
const NAMESPACES = { ours: "bench-rollout", argoRollouts: "bench-rollout-argo" } as const;
/** The controller of the rival is built here the first time. */
const BUILD_TIMEOUT_MS = 30 * 60_000;

export interface BenchStage {
  readonly sides: readonly Side[];
  measure(side: Side, push: Push): Promise<Run>;
  /** Removes both applications; the cluster stays. */
  close(): Promise<void>;
}

/** @param throttle for how long Traefik gathers changes, as it writes times; its own 2 s unless told */
export async function openBenchStage(first: Push, throttle: string | undefined): Promise<BenchStage> {
  const cluster = await ensureCluster(CLUSTER, { echo: true });
  await installOperator(cluster);
  const images = await ensureGateway(CLUSTER, "traefik");
  await must(join(ROOT, "bench/peers/argo-rollouts/up.sh"), [CLUSTER], {
    env: { THROTTLE: throttle },
    timeoutMs: BUILD_TIMEOUT_MS,
    echo: true,
  });
  await removeApplications(cluster);
  const ours = await stageIn(cluster, NAMESPACES.ours, images);
  const theirs = await stageIn(cluster, NAMESPACES.argoRollouts, images);
  const sides = [ourSide(ours), argoSide(theirs)];
  for (const side of sides) await side.prepare(first);
  return {
    sides,
    measure: (side, push) => measureRelease(side, { ...push, client: ours.client, image: images.image }),
    close: async () => {
      await removeApplications(cluster);
      await Promise.all([ours, theirs].map(({ client }) => client.close()));
    },
  };
}

/** The Deployment that our Rollout reads has no pods of its own: the rival has none either. */
function stageIn(cluster: Cluster, namespace: string, images: ApplicationImages) {
  return openStage({ cluster, namespace, gateway: "traefik", images, replicas: 0 });
}

/** Resources first: their controllers take away what they made. */
async function removeApplications(cluster: Cluster): Promise<void> {
  for (const [kind, namespace] of [
    ["rollouts.shieldx.dev", NAMESPACES.ours],
    ["rollouts.argoproj.io", NAMESPACES.argoRollouts],
  ] as const) {
    if ((await cluster.get("namespace", namespace)) === undefined) continue;
    await cluster.kubectl(["delete", kind, "--all", "-n", namespace, "--timeout=120s"]);
    await cluster.kubectl(["delete", "namespace", namespace, "--timeout=120s"]);
  }
}
