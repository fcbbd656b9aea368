import type { Clock } from "../core/clock.ts";
import { inClusterEndpoint, isInCluster } from "./auth-incluster.ts";
import { createKubeClient, type KubeClient, type KubeClientOptions } from "./client.ts";
import { createTransport, type KubeEndpoint } from "./transport.ts";

export interface ConnectOptions {
  /** Decides between a pod's credentials and a kubeconfig. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** A kubeconfig to use even inside a pod. */
  readonly kubeconfig?: string | undefined;
  /** A context of that kubeconfig. */
  readonly context?: string | undefined;
  /** `shieldx/<version> (<process>)`. */
  readonly userAgent: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onRequest?: KubeClientOptions["onRequest"];
  /** See `KubeClientOptions`. */
  readonly rateLimit?: KubeClientOptions["rateLimit"];
}

/**
 * A client for the API server at hand: the named kubeconfig, else the pod's own, else what kubectl would use.
 * Nothing is sent yet. @throws OperatorError KUBE_CONFIG_INVALID
 */
export async function connectKube(options: ConnectOptions): Promise<KubeClient> {
  const { environment, kubeconfig, clock, random, userAgent, onRequest, rateLimit } = options;
  const endpoint =
    kubeconfig === undefined && isInCluster(environment)
      ? await inClusterEndpoint({ environment, clock })
      : await outOfClusterEndpoint(options);
  return createKubeClient({
    transport: createTransport(endpoint),
    namespace: endpoint.namespace,
    userAgent,
    clock,
    random,
    onRequest,
    rateLimit,
  });
}

/** The readers of kubeconfigs are loaded by who has one: a pod never pays for them. */
async function outOfClusterEndpoint(options: ConnectOptions): Promise<KubeEndpoint> {
  const { environment, kubeconfig, context, clock } = options;
  const { kubeconfigEndpoint } = await import("./auth-kubeconfig.ts");
  return kubeconfigEndpoint({
    clock,
    environment,
    ...(kubeconfig === undefined ? {} : { path: kubeconfig }),
    ...(context === undefined ? {} : { context }),
  });
}
