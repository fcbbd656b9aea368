import { randomInt } from "node:crypto";
import { systemClock } from "../../lib/core/clock.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { connectKube } from "../../lib/kube/connect.ts";
import { environment } from "../../lib/node/env.ts";
import { programVersion } from "../../lib/node/version.ts";

/** Where the cluster is, as the command line says it. */
export interface ClusterFlags {
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** Does work with a client of the cluster at hand, and ends its connections. @throws OperatorError KUBE_CONFIG_INVALID, and those of the work */
export async function withCluster<T>(flags: ClusterFlags, work: (client: KubeClient) => Promise<T>): Promise<T> {
  const client = await connectKube({
    environment: environment(),
    kubeconfig: flags.kubeconfig,
    context: flags.context,
    userAgent: `shieldx/${programVersion()} (command line)`,
    clock: systemClock,
    random: () => randomInt(2 ** 32) / 2 ** 32,
  });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}
