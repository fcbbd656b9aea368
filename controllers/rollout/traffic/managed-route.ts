/** A route of the Gateway API that the controller makes and owns: requests move by its weights. */
import type { RolloutReason } from "../../../crds/conditions.ts";
import type { Colour } from "../../../crds/rollout-status.ts";
import type { GatewayTraffic } from "../../../crds/rollout-traffic.ts";
import { deepFreeze } from "../../../lib/core/objects.ts";
import { type KubeObject, RESOURCES } from "../../../lib/kube/types.ts";
import { apply } from "../../../operator/runtime/actions.ts";
import type { CacheReader } from "../../../operator/runtime/types.ts";
import type { Says } from "../../kit/conditions.ts";
import { ownedObject, ownLabels } from "../../kit/objects.ts";
import { COLOURS, type Target } from "../rollout.names.ts";
import { shareText } from "../rollout.sentences.ts";
import { idleGateway, missingGateway, observeParents, type Parent, unseenText } from "./gateways.ts";
import { memoryAnnotations } from "./memory.ts";
import { rivalsOf, rivalText } from "./rivals.ts";
import { type ObservedRoute, observeRoute } from "./route-facts.ts";
import type { Leading, Traffic } from "./traffic.ts";

/** What there is of it. */
interface Seen {
  readonly target: Target;
  readonly gatewayAPI: GatewayTraffic;
  readonly route: ObservedRoute | undefined;
  /** False: the cluster has no such kind of route. */
  readonly isServed: boolean;
  /** The Gateways of the spec. */
  readonly parents: readonly Parent[];
  /** Routes of others with the same requests. */
  readonly rivals: readonly string[];
}

export function managedRoute(cache: CacheReader, target: Target): Traffic {
  const { gatewayAPI } = target.spec.traffic;
  const { namespace } = target.owner;
  const type = RESOURCES[gatewayAPI.kind];
  const isServed = cache.availability(type, namespace) === "served";
  const object = isServed ? cache.get(type, namespace, target.names.route) : undefined;
  const labels = Object.entries(ownLabels(target.owner));
  const own = labels.every(([key, value]) => object?.metadata.labels?.[key] === value) ? object : undefined;
  const seen: Seen = deepFreeze({
    target,
    gatewayAPI,
    route: own && observeRoute(own, target.names),
    isServed,
    parents: observeParents(cache, gatewayAPI.parentRefs ?? [], namespace),
    rivals: own === undefined ? [] : rivalsOf(cache, type, own),
  });
  return {
    kind: gatewayAPI.kind,
    seen: seen.route,
    lead: (how, note) => {
      const route = isServed ? routeObject(seen, how) : undefined;
      return route === undefined ? [] : [apply(route, note)];
    },
    accepted: (weights, shareBps) => accepted(seen, weights, shareBps),
  };
}

/** The route to both colours; none while nobody knows a port of them. */
function routeObject({ target, gatewayAPI, route: seen }: Seen, how: Leading): KubeObject | undefined {
  const { kind, parentRefs = [], hostnames, matches, filters } = gatewayAPI;
  const portOf = (colour: Colour): number | undefined => how.ports[colour]?.[0]?.port ?? seen?.ports[colour];
  const blue = portOf("Blue") ?? portOf("Green");
  const green = portOf("Green") ?? blue;
  if (blue === undefined || green === undefined) return undefined;
  const ports = { Blue: blue, Green: green };
  const backendRefs = COLOURS.map((colour) => ({
    group: "",
    kind: "Service",
    name: target.names.colour(colour),
    port: ports[colour],
    weight: how.weights[colour],
  }));
  return ownedObject(target.owner, RESOURCES[kind], target.names.route, {
    annotations: memoryAnnotations(how),
    spec: {
      parentRefs: parentRefs.map((parent) => ({ group: "gateway.networking.k8s.io", kind: "Gateway", ...parent })),
      ...(hostnames === undefined ? {} : { hostnames }),
      rules: [
        {
          ...(matches === undefined ? {} : { matches }),
          ...(filters === undefined ? {} : { filters }),
          backendRefs,
        },
      ],
    },
  });
}

function accepted(seen: Seen, weights: Leading["weights"] | undefined, shareBps: number): Says<RolloutReason> {
  const { route, target, gatewayAPI, isServed, parents, rivals } = seen;
  const { kind } = gatewayAPI;
  if (!isServed) {
    const message = `the cluster has no ${kind} of gateway.networking.k8s.io/v1`;
    return { reason: "GatewayAPINotInstalled", message };
  }
  const missing = missingGateway(parents);
  if (missing !== undefined) return missing;
  const name = `${kind} ${target.names.route}`;
  if (route === undefined || weights === undefined)
    return { reason: "RoutePending", message: `${name} is not made yet` };
  if (route.refusal !== undefined) return { reason: "RouteRejected", message: route.refusal };
  const idle = idleGateway(parents, route.isAccepted);
  if (idle !== undefined) return idle;
  if (!route.isAccepted)
    return {
      reason: "RoutePending",
      message: `no gateway has taken ${name} of this generation yet${unseenText(parents, route.isSpokenOf)}`,
    };
  const isWritten = route.weights?.Blue === weights.Blue && route.weights.Green === weights.Green;
  if (!isWritten)
    return { reason: "RoutePending", message: `${name} is being written: ${shareText(shareBps)} to the new version` };
  return {
    reason: "RouteAccepted",
    message: `${name} gives ${shareText(shareBps)} of the requests to the new version${rivalText(kind, rivals)}`,
  };
}
