import { resourceType } from "../../../lib/kube/types.ts";
import { GATEWAY_OBJECT } from "../gateways.ts";
import { backendRefs } from "../routes.ts";
import { CANARY, STABLE, type Stage } from "./stage.ts";

const GATEWAY_CLASS = resourceType("gateway.networking.k8s.io/v1", ["GatewayClass", "gatewayclasses"], false);
const GATEWAY = resourceType("gateway.networking.k8s.io/v1", ["Gateway", "gateways"]);
const TIMES = 10;

/** What the gateway writes into statuses: of its class, of the Gateway, of a good route and of a bad one. */
export async function status(stage: Stage): Promise<unknown> {
  const { client, gateway } = stage;
  await stage.route([{ backendRefs: backendRefs([[STABLE, 1]]) }]);
  const seconds: number[] = [];
  for (let i = 1; i <= TIMES; i += 1) {
    const { sent } = await stage.setWeights([[STABLE, 100 + i]]);
    seconds.push(Math.round(((await stage.observed()) - sent) * 1000) / 1000);
  }
  const good = await stage.readRoute();
  await stage.setWeights([
    [STABLE, 1],
    ["missing", 1],
  ]);
  await stage.observed();
  const bad = await stage.readRoute();
  await stage.setWeights([
    [STABLE, 1],
    [CANARY, 1],
  ]);
  return {
    gatewayClass: (await client.get(GATEWAY_CLASS, { name: gateway }))["status"],
    gateway: (await client.get(GATEWAY, { namespace: gateway, name: GATEWAY_OBJECT }))["status"],
    route: { generation: good.metadata.generation, status: good.status },
    routeWithMissingService: bad.status,
    secondsUntilObserved: seconds.sort((a, b) => a - b),
  };
}
