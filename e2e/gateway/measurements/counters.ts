import type { GatewayName } from "../gateways.ts";
import { backendRefs, namedBackendRefs } from "../routes.ts";
import { byVersion, CANARY, STABLE, type Stage } from "./stage.ts";

const WEIGHTS = [
  [STABLE, 7500],
  [CANARY, 2500],
] as const;

/** The metric that counts requests by backend and code. */
const METRICS: Readonly<Record<GatewayName, string>> = {
  traefik: "traefik_service_requests_total",
  envoy: "envoy_cluster_upstream_rq",
};

/** What the gateway's own metrics say of each backend, with and without a filter on each. */
export async function counters(stage: Stage): Promise<unknown> {
  const answers: Record<string, unknown> = {};
  for (const [name, refs] of Object.entries({ plain: backendRefs(WEIGHTS), named: namedBackendRefs(WEIGHTS) })) {
    await stage.route([{ backendRefs: refs }]);
    const load = await stage.load({ rate: 200, seconds: 5 });
    const { counts } = await load.ended();
    await load.stop();
    answers[name] = { served: byVersion(counts), lines: await linesOfGateway(stage) };
  }
  return answers;
}

async function linesOfGateway({ gateway, raw, namespace }: Stage): Promise<string[]> {
  const path = gateway === "traefik" ? "services/web:metrics/proxy/metrics" : await pathOfEnvoy(raw);
  const text = await raw(`/api/v1/namespaces/${gateway}/${path}`);
  return text.split("\n").filter((line) => line.startsWith(`${METRICS[gateway]}{`) && line.includes(namespace));
}

/** Envoy's metrics are at its pod alone. */
async function pathOfEnvoy(raw: Stage["raw"]): Promise<string> {
  const pods = JSON.parse(
    await raw("/api/v1/namespaces/envoy/pods?labelSelector=gateway.envoyproxy.io/owning-gateway-name=web"),
  ) as { items: { metadata: { name: string; deletionTimestamp?: string } }[] };
  const pod = pods.items.find(({ metadata }) => metadata.deletionTimestamp === undefined);
  if (pod === undefined) throw new Error("Envoy has no pod");
  return `pods/${pod.metadata.name}:19001/proxy/stats/prometheus`;
}
