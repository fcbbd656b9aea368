/**
 * Measures what a real gateway does with routes, in a kind cluster that runs (e2e/cluster/up.sh makes one):
 *
 *   node e2e/gateway/measure.ts CLUSTER [traefik|envoy] [NAME...]
 *
 * Without names all of them run: weights rollback changes status unready headers grpc mirror counters drain
 * settings. Each prints one line of JSON.
 */
import { systemClock } from "../../lib/core/clock.ts";
import { prng } from "../../lib/core/prng.ts";
import { connectKube } from "../../lib/kube/connect.ts";
import { resourceType } from "../../lib/kube/types.ts";
import { cluster as clusterOf } from "../cluster.ts";
import { ensureGateway, GATEWAYS } from "./gateways.ts";
import { changes } from "./measurements/changes.ts";
import { counters } from "./measurements/counters.ts";
import { drain } from "./measurements/drain.ts";
import { grpc } from "./measurements/grpc.ts";
import { headers } from "./measurements/headers.ts";
import { mirror } from "./measurements/mirror.ts";
import { rollback } from "./measurements/rollback.ts";
import { settings } from "./measurements/settings.ts";
import { openStage } from "./measurements/stage.ts";
import { status } from "./measurements/status.ts";
import { unready } from "./measurements/unready.ts";
import { weights } from "./measurements/weights.ts";

const MEASUREMENTS = { weights, rollback, changes, status, unready, headers, grpc, mirror, counters, drain, settings };
type Name = keyof typeof MEASUREMENTS;

const NAMESPACE = resourceType("v1", ["Namespace", "namespaces"], false);

async function main([cluster, gatewayName = "traefik", ...asked]: readonly string[]): Promise<void> {
  const gateway = GATEWAYS.find((one) => one === gatewayName);
  const names = (asked.length > 0 ? asked : Object.keys(MEASUREMENTS)) as Name[];
  const unknown = names.filter((name) => !(name in MEASUREMENTS));
  if (cluster === undefined || gateway === undefined || unknown.length > 0) {
    throw new Error(`usage: measure.ts CLUSTER [${GATEWAYS.join("|")}] [${Object.keys(MEASUREMENTS).join("|")}...]`);
  }
  const images = await ensureGateway(cluster, gateway);
  const { kubeconfig, kubectl } = clusterOf(cluster);
  const client = await connectKube({
    environment: {},
    kubeconfig,
    userAgent: "shieldx/measure",
    clock: systemClock,
    random: prng(1),
  });
  try {
    const namespace = `measure-${gateway}`;
    await client.apply(
      NAMESPACE,
      {
        apiVersion: "v1",
        kind: "Namespace",
        metadata: { name: namespace, labels: { "pod-security.kubernetes.io/enforce": "restricted" } },
      },
      { fieldManager: "measure" },
    );
    const stage = await openStage({
      client,
      gateway,
      namespace,
      images,
      raw: (path) => kubectl(["get", "--raw", path]),
    });
    for (const name of names) {
      const start = performance.now();
      const found = await MEASUREMENTS[name](stage);
      const seconds = Math.round((performance.now() - start) / 1000);
      process.stdout.write(`${JSON.stringify({ gateway, measurement: name, seconds, found })}\n`);
    }
  } finally {
    await client.close();
  }
}

await main(process.argv.slice(2));
