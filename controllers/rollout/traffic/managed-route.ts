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
import { shadowOf } from "../rollout.mirror.ts";
import { COLOURS, type Target } from "../rollout.names.ts";
import type { Lacks } from "../rollout.progress.ts";
import { shareText } from "../rollout.sentences.ts";
import { idleGateway, missingGateway, observeParents, type Parent, unseenText } from "./gateways.ts";
import { lacksOf } from "./lacks.ts";
import { memoryAnnotations } from "./memory.ts";
import { rivalsOf, rivalText } from "./rivals.ts";
import { type ObservedRoute, observeRoute } from "./route-facts.ts";
import { routeRules } from "./route-rules.ts";
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
  /** What the spec asks of them and they cannot do. */
  readonly lacks: Lacks;
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
  const parents = observeParents(cache, gatewayAPI.parentRefs ?? [], namespace);
  const seen: Seen = deepFreeze({
    target,
    gatewayAPI,
    route: own && observeRoute(own, target.names),
    isServed,
    parents,
    lacks: lacksOf({ gatewayAPI, shadow: target.spec.shadow, parents }),
    rivals: own === undefined ? [] : rivalsOf(cache, type, own),
  });
  return {
    kind: gatewayAPI.kind,
    seen: seen.route,
    lacks: seen.lacks,
    lead: (how, note) => {
      const route = isServed ? routeObject(seen, how) : undefined;
      return route === undefined ? [] : [apply(route, note)];
    },
    accepted: (weights, shareBps) => accepted(seen, weights, shareBps),
  };
}

/** The route to both colours; none while nobody knows a port of them. */
function routeObject(all: Seen, how: Leading): KubeObject | undefined {
  const { target, gatewayAPI, route: seen } = all;
  const { kind, parentRefs = [], hostnames } = gatewayAPI;
  const portOf = (colour: Colour): number | undefined => how.ports[colour]?.[0]?.port ?? seen?.ports[colour];
  const blue = portOf("Blue") ?? portOf("Green");
  const green = portOf("Green") ?? blue;
  if (blue === undefined || green === undefined) return undefined;
  const ports = { Blue: blue, Green: green };
  const backendOf = (colour: Colour) => ({
    group: "",
    kind: "Service",
    name: target.names.colour(colour),
    port: ports[colour],
  });
  return ownedObject(target.owner, RESOURCES[kind], target.names.route, {
    annotations: memoryAnnotations(how),
    spec: {
      parentRefs: parentRefs.map((parent) => ({ group: "gateway.networking.k8s.io", kind: "Gateway", ...parent })),
      ...(hostnames === undefined ? {} : { hostnames }),
      rules: rulesOf(all, how, backendOf),
    },
  });
}

/** @param backendOf Service of a colour, without a weight */
function rulesOf(
  { gatewayAPI, target, lacks }: Seen,
  { weights, mirror, tested }: Leading,
  backendOf: (colour: Colour) => object,
): readonly object[] {
  const { matches, filters, testers } = gatewayAPI;
  const { shadow } = target.spec;
  const isTested = testers !== undefined && tested !== undefined && lacks.testers === undefined;
  // A mirror that the gateway cannot do may fail every request.
  const isCopied = shadow !== undefined && mirror !== undefined && lacks.mirror === undefined;
  return routeRules({
    matches,
    filters,
    backendRefs: COLOURS.map((colour) => ({ ...backendOf(colour), weight: weights[colour] })),
    testers: isTested ? { known: testers, backendRef: { ...backendOf(tested), weight: 1 } } : undefined,
    mirror: isCopied
      ? { backendRef: backendOf(mirror.colour), percent: mirror.percent, methods: shadow.methods }
      : undefined,
  });
}

function accepted(seen: Seen, weights: Leading["weights"] | undefined, shareBps: number): Says<RolloutReason> {
  const { route, target, gatewayAPI, isServed, parents } = seen;
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
  return unsupported(seen) ?? { reason: "RouteAccepted", message: `${name} ${givesText(seen, shareBps)}` };
}

/** What the spec asks for and no gateway here does: no release begins before one of the two is changed. */
function unsupported({ lacks, target }: Seen): Says<RolloutReason> | undefined {
  if (lacks.testers !== undefined)
    return { reason: "TestersUnsupported", message: `testers cannot be led to a new version: ${lacks.testers}` };
  if (lacks.mirror === undefined || shadowOf({ spec: target.spec, lacks }) === undefined) return undefined;
  return { reason: "MirrorUnsupported", message: `spec.shadow cannot be done: ${lacks.mirror}` };
}

function givesText(seen: Seen, shareBps: number): string {
  const { route, lacks, gatewayAPI, rivals } = seen;
  const { mirror, isTested = false } = route ?? {};
  const copies = mirror === undefined ? "" : `, and copies of ${String(mirror.percent)} %`;
  const testers = isTested ? ", and all of testers" : "";
  const left = lacks.mirror === undefined ? "" : `; releases go without spec.shadow: ${lacks.mirror}`;
  return `gives ${shareText(shareBps)} of the requests to the new version${copies}${testers}${left}${rivalText(gatewayAPI.kind, rivals)}`;
}
