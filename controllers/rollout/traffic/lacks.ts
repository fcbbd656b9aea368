/** What the spec asks of its gateways and they cannot do, or nobody knows whether they can. */

import type { RolloutShadow } from "../../../crds/rollout-shadow.ts";
import type { Capability, GatewayTraffic } from "../../../crds/rollout-traffic.ts";
import type { Lacks } from "../rollout.progress.ts";
import { abilityOf } from "./capabilities.ts";
import type { Parent } from "./gateways.ts";
import { mirrorTrouble, testersTrouble } from "./route-rules.ts";

/** The spec, and its Gateways. */
interface Asked {
  readonly gatewayAPI: GatewayTraffic;
  readonly shadow: RolloutShadow | undefined;
  readonly parents: readonly Parent[];
}

export function lacksOf(asked: Asked): Lacks {
  return { mirror: mirrorLack(asked), testers: testersLack(asked) };
}

function mirrorLack(asked: Asked): string | undefined {
  const { gatewayAPI, shadow } = asked;
  if (shadow === undefined) return undefined;
  const { matches, filters } = gatewayAPI;
  const isWhole = shadow.percent === 100;
  return (
    mirrorTrouble({ matches, filters }, shadow.methods) ??
    firstLack(asked, "HTTPRouteRequestMirror", { can: "copies requests", cannot: "copies no requests" }) ??
    (isWhole ? undefined : firstLack(asked, "HTTPRouteRequestPercentageMirror", PERCENTAGE_WORDS))
  );
}

const PERCENTAGE_WORDS = {
  can: "copies a percentage of the requests",
  cannot: "copies all requests or none, whatever the percentage: set spec.shadow.percent to 100",
};

function testersLack(asked: Asked): string | undefined {
  const { matches, testers } = asked.gatewayAPI;
  if (testers === undefined) return undefined;
  const words = {
    can: "matches headers by regular expressions, which a cookie takes",
    cannot: "matches no header by a regular expression, which a cookie takes: know testers by a header",
  };
  const byCookie = testers.cookie === undefined ? undefined : firstLack(asked, "HeaderMatchRegularExpression", words);
  return testersTrouble(matches, testers) ?? byCookie;
}

function firstLack(
  { gatewayAPI: { capabilities }, parents }: Asked,
  capability: Capability,
  { can, cannot }: { readonly can: string; readonly cannot: string },
): string | undefined {
  for (const { id, ofClass } of parents) {
    const { isAble } = abilityOf(capability, ofClass, capabilities);
    if (isAble === true) continue;
    const who = `Gateway ${id}${ofClass === undefined ? "" : ` (${ofClass.controllerName})`}`;
    if (capabilities !== undefined) return `spec.traffic.gatewayAPI.capabilities does not list ${capability}`;
    if (isAble === false) return `${who} ${cannot}`;
    return `nobody knows whether ${who} ${can}: once you do, list ${capability} in spec.traffic.gatewayAPI.capabilities`;
  }
  return undefined;
}
