/** Watches of the Gateway API, none of which has to be installed, and the Rollouts that its objects concern. */
import { LABELS } from "../../../crds/group.ts";
import { ROLLOUT, type Rollout } from "../../../crds/rollout.ts";
import { type KubeObject, RESOURCES, type ResourceType } from "../../../lib/kube/types.ts";
import { labelKeys, ownKey } from "../../../operator/runtime/mapping.ts";
import { factsChanged } from "../../../operator/runtime/predicates.ts";
import type { CacheReader, Key, Watch } from "../../../operator/runtime/types.ts";
import { ON_ROUTE, routeId } from "./adopted-seen.ts";
import { gatewayId } from "./gateways.ts";
import { gatewaysOfRoute, ROUTES_ON_GATEWAY } from "./rivals.ts";

/** Rollouts by the Gateways that they name. */
const ON_GATEWAY = "gateway";
/** Gateways by their class. */
const ON_CLASS = "class";

/** Of Rollouts. */
export const gatewayIndexes = {
  [ON_GATEWAY]: ({ metadata, spec }: Rollout): readonly string[] =>
    (spec.traffic.gatewayAPI.parentRefs ?? []).map((ref) => gatewayId(ref, metadata.namespace ?? "")),
  [ON_ROUTE]: ({ metadata, spec, status }: Rollout): readonly string[] => {
    const { kind, route } = spec.traffic.gatewayAPI;
    const routes = [
      ...(route === undefined ? [] : [{ kind, name: route.name }]),
      ...(status?.route === undefined ? [] : [status.route]),
    ];
    return routes.map((it) => routeId(it.kind, metadata.namespace ?? "", it.name));
  },
};

const isOurs = ({ metadata }: KubeObject): boolean => metadata.labels?.[LABELS.kind] === ROLLOUT.kind;
const byLabel = labelKeys(LABELS.name);

function byGateway(gateway: string, cache: CacheReader): readonly Key[] {
  const routes = [RESOURCES.HTTPRoute, RESOURCES.GRPCRoute].flatMap((type) =>
    cache.byIndex(type, ROUTES_ON_GATEWAY, gateway),
  );
  const naming = cache.byIndex(ROLLOUT, ON_GATEWAY, gateway).flatMap((rollout) => ownKey(rollout, cache));
  return [...naming, ...routes.flatMap((route) => byRoute(route, cache))];
}

/** Rollouts that move weights of a route of the user's. */
function byRoute({ kind, metadata }: KubeObject, cache: CacheReader): readonly Key[] {
  const id = routeId(kind, metadata.namespace ?? "", metadata.name);
  return cache.byIndex(ROLLOUT, ON_ROUTE, id).flatMap((rollout) => ownKey(rollout, cache));
}

const specOf = factsChanged(({ metadata, ...body }: KubeObject) => [metadata.labels, body["spec"]]);

/** Ours, and those of others: one of them may lead the same requests. */
function routes(resource: ResourceType): Watch {
  return {
    resource,
    optional: true,
    indexes: { [ROUTES_ON_GATEWAY]: gatewaysOfRoute },
    keys: (route, cache) =>
      isOurs(route) ? byLabel(route, cache) : gatewaysOfRoute(route).flatMap((gateway) => byGateway(gateway, cache)),
    // What gateways say of routes of others is no business of ours.
    changed: (previous, current) => isOurs(previous) || isOurs(current) || specOf(previous, current),
    writes: ["create", "patch", "delete"],
  };
}

/** Routes of the user's of which weights are moved, and what gateways say of them. */
function adoptedRoutes(resource: ResourceType): Watch {
  return { resource, optional: true, keys: byRoute };
}

const idOf = ({ metadata }: KubeObject): string => gatewayId(metadata, "");

/** How many routes a listener has changes all the time. */
const gatewayFacts = ({ metadata, ...body }: KubeObject): unknown => {
  const status = (body["status"] ?? {}) as { readonly conditions?: unknown; readonly supportedFeatures?: unknown };
  return [metadata.generation, body["spec"], status.conditions, status.supportedFeatures];
};

/** All of the Gateway API that is looked at. */
export const gatewayWatches: readonly Watch[] = [
  routes(RESOURCES.HTTPRoute),
  routes(RESOURCES.GRPCRoute),
  adoptedRoutes(RESOURCES.HTTPRoute),
  adoptedRoutes(RESOURCES.GRPCRoute),
  {
    resource: RESOURCES.Gateway,
    optional: true,
    indexes: {
      [ON_CLASS]: (gateway) => {
        const { gatewayClassName } = (gateway["spec"] ?? {}) as { readonly gatewayClassName?: string };
        return gatewayClassName === undefined ? [] : [gatewayClassName];
      },
    },
    keys: (gateway, cache) => byGateway(idOf(gateway), cache),
    changed: factsChanged(gatewayFacts),
  },
  {
    resource: RESOURCES.GatewayClass,
    optional: true,
    keys: ({ metadata }, cache) =>
      cache.byIndex(RESOURCES.Gateway, ON_CLASS, metadata.name).flatMap((gateway) => byGateway(idOf(gateway), cache)),
    changed: factsChanged(gatewayFacts),
  },
];
