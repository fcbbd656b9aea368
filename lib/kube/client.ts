import type { Clock } from "../core/clock.ts";
import { createDiscovery, type Discovery } from "./discovery.ts";
import { createFlowControl } from "./flow-control.ts";
import type { ObjectClient } from "./object-client.ts";
import { createObjectClient } from "./objects.ts";
import { collectionPath } from "./paths.ts";
import { createPodClient, type PodClient } from "./pods.ts";
import type { RequestOptions, RequestRecord } from "./request-options.ts";
import { createRequests } from "./requests.ts";
import type { Transport } from "./transport.ts";
import type { KubeObject, ResourceType } from "./types.ts";
import { readWatch, type WatchEvent, type WatchOptions } from "./watch-stream.ts";

/**
 * Kubernetes over raw JSON: fields that this program does not know survive. All methods reject with an OperatorError
 * whose code starts with KUBE_, or ABORTED when the caller's signal fires, or with what the caller's fence throws.
 */
export interface KubeClient extends ObjectClient, PodClient, Discovery {
  /** Namespace of the endpoint. */
  readonly namespace: string;
  /** Events after a resource version; ends when the server ends the read (within 5 min), rejects when it breaks. */
  watch<T extends KubeObject>(type: ResourceType<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>>;
  /** Any other path below the server, answered in JSON; for example `/version`. */
  getPath(path: string, options?: RequestOptions): Promise<unknown>;
  /** Ends all connections. */
  close(): Promise<void>;
}

export interface KubeClientOptions {
  readonly transport: Transport;
  readonly namespace: string;
  /** `shieldx/<version> (<process>)`, so that audit logs tell the processes apart. */
  readonly userAgent: string;
  readonly clock: Clock;
  /** In [0, 1): spreads retries and watch ends. */
  readonly random: () => number;
  readonly onRequest?: ((record: RequestRecord) => void) | undefined;
  /** Client-side limit of ordinary requests; none unless told: the server's priority and fairness is relied on. */
  readonly rateLimit?: { readonly qps: number; readonly burst?: number } | undefined;
}

/** A client of one API server. Close it to end its connections; it does not own the process. */
export function createKubeClient(options: KubeClientOptions): KubeClient {
  const { transport, clock, random, userAgent, onRequest } = options;
  const flow = createFlowControl({ clock, ...options.rateLimit });
  const requests = createRequests({ transport, flow, userAgent, clock, random, onRequest });
  return {
    namespace: options.namespace,
    ...createObjectClient(requests),
    ...createPodClient({ requests, transport, userAgent }),
    ...createDiscovery(requests),
    watch: (type, how) =>
      readWatch(type, how, {
        random,
        open: (query, signal) =>
          requests.openStream(
            { method: "GET", path: collectionPath(type, how.namespace), query, idempotent: true },
            { signal },
          ),
      }),
    getPath: async (path, how) => requests.request({ method: "GET", path, idempotent: true }, how),
    close: () => transport.close(),
  };
}
