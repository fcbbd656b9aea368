/**
 * A whole operator with the widget controller in it, as a process of its own, for benchmarks and chaos runs:
 *
 *   node testkit/widget-main.ts --server URL --service-account DIR --identity NAME [FLAG]...
 *
 * DIR holds `token`, `ca.crt` and `namespace`, as the kubelet gives them to a pod. `--kubeconfig FILE` takes the place of
 * both. Ends with 0 after SIGTERM, with 1 when the Lease was lost.
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { systemClock } from "../lib/core/clock.ts";
import { inClusterEndpoint } from "../lib/kube/auth-incluster.ts";
import { createKubeClient, type KubeClient, type KubeClientOptions } from "../lib/kube/client.ts";
import { connectKube } from "../lib/kube/connect.ts";
import { createTransport } from "../lib/kube/transport.ts";
import { createLogger, parseLogLevel } from "../lib/node/logger.ts";
import { createMetrics } from "../lib/node/metrics.ts";
import { createManager } from "../operator/manager.ts";
import { WIDGET } from "./widget.ts";
import { createWidgetOperator } from "./widget-operator.ts";

const RANDOM_RANGE = 2 ** 47;

const { values: flags } = parseArgs({
  options: {
    server: { type: "string" },
    "service-account": { type: "string" },
    kubeconfig: { type: "string" },
    /** Identity in the Lease. */
    identity: { type: "string", default: "widget-operator" },
    /** Namespace of the Lease. */
    namespace: { type: "string", default: "default" },
    /** Namespaces that are watched, separated by commas; all when left out. */
    namespaces: { type: "string", default: "" },
    /** `Widget`, or another kind of the same shape whose plural is its name in small letters and an s. */
    kind: { type: "string", default: WIDGET.kind },
    children: { type: "string", default: "1" },
    /** Holds deletions with a finalizer until the children are gone. */
    "clean-up": { type: "boolean", default: false },
    concurrency: { type: "string", default: "10" },
    /** Port of probes and metrics. */
    listen: { type: "string", default: "0" },
    "log-level": { type: "string", default: "info" },
    "user-agent": { type: "string", default: "shieldx/test (widget)" },
    /** Seconds: Lease, renew deadline, retry. */
    lease: { type: "string", default: "15,10,2" },
  },
});

type Common = Pick<KubeClientOptions, "clock" | "random" | "userAgent" | "onRequest">;

async function connect(common: Common): Promise<KubeClient> {
  if (flags.kubeconfig !== undefined) return connectKube({ ...common, environment: {}, kubeconfig: flags.kubeconfig });
  const url = new URL(flags.server ?? "");
  const endpoint = await inClusterEndpoint({
    environment: { KUBERNETES_SERVICE_HOST: url.hostname, KUBERNETES_SERVICE_PORT: url.port },
    clock: systemClock,
    ...(flags["service-account"] === undefined ? {} : { directory: flags["service-account"] }),
  });
  return createKubeClient({ ...common, transport: createTransport(endpoint), namespace: endpoint.namespace });
}

async function run(): Promise<number> {
  const metrics = createMetrics({ processMetrics: true });
  const requests = metrics.counter("rest_client_requests_total");
  const latencies = metrics.histogram("rest_client_request_duration_seconds");
  const random = (): number => randomInt(RANDOM_RANGE) / RANDOM_RANGE;
  const client = await connect({
    userAgent: flags["user-agent"],
    clock: systemClock,
    random,
    onRequest: ({ code, method, host, seconds }) => {
      requests.inc({ code, method, host });
      latencies.observe({ verb: method, host }, seconds);
    },
  });
  const [durationSeconds, renewSeconds, retrySeconds] = flags.lease.split(",").map(Number) as [number, number, number];
  const manager = createManager({
    client,
    controllers: [
      createWidgetOperator({
        isTerse: true,
        resource: { ...WIDGET, kind: flags.kind, plural: `${flags.kind.toLowerCase()}s` },
        children: flags.children === "3" ? 3 : 1,
        cleansUp: flags["clean-up"],
        concurrency: Number(flags.concurrency),
      }),
    ],
    namespace: flags.namespace,
    identity: flags.identity,
    watchNamespaces: flags.namespaces.split(",").filter((namespace) => namespace !== ""),
    port: Number(flags.listen),
    metrics,
    clock: systemClock,
    random,
    log: createLogger(parseLogLevel(flags["log-level"])),
    lease: { durationSeconds, renewSeconds, retrySeconds },
  });
  // With `node --expose-gc`: what remains after it is what the process really holds.
  process.on("SIGUSR2", () => (globalThis as { gc?: () => void }).gc?.());
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stop.abort());
  try {
    return await manager.run(stop.signal);
  } finally {
    await client.close();
  }
}

process.exit(await run());
