import { type KubeObject, resourceType } from "../../lib/kube/types.ts";
import { APPLICATION_PORTS } from "./application.ts";
import { GATEWAY_OBJECT, type GatewayName } from "./gateways.ts";

/** A condition of a parent, as the gateway wrote it. */
export interface RouteCondition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration?: number;
}

/** HTTPRoute or GRPCRoute, as far as it is read here. */
export interface Route extends KubeObject {
  status?: {
    readonly parents?: readonly {
      readonly controllerName: string;
      readonly parentRef: { readonly name: string };
      readonly conditions?: readonly RouteCondition[];
    }[];
  };
}

export const HTTP_ROUTE = resourceType<Route>("gateway.networking.k8s.io/v1", ["HTTPRoute", "httproutes"]);
export const GRPC_ROUTE = resourceType<Route>("gateway.networking.k8s.io/v1", ["GRPCRoute", "grpcroutes"]);

/** A Service and its weight. */
export type Backend = readonly [service: string, weight: number];

export interface RouteOptions {
  readonly gateway: GatewayName;
  readonly namespace: string;
  readonly name: string;
  /** Hosts that the route answers to. */
  readonly host: string;
  readonly rules: readonly object[];
}

/** A route that belongs to the gateway's Gateway. */
export function routeObject(kind: "HTTPRoute" | "GRPCRoute", options: RouteOptions): KubeObject {
  const { gateway, namespace, name, host, rules } = options;
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind,
    metadata: { name, namespace },
    spec: { parentRefs: [{ name: GATEWAY_OBJECT, namespace: gateway }], hostnames: [host], rules },
  };
}

/**
 * The same, each with a filter of its own that names it in a header. Envoy Gateway makes one cluster of a rule's backends, and
 * one of each only if one of them has a filter: then its metrics tell them apart.
 */
export function namedBackendRefs(backends: readonly Backend[]): object[] {
  return backendRefs(backends).map((ref, at) => ({
    ...ref,
    filters: [
      {
        type: "RequestHeaderModifier",
        requestHeaderModifier: { set: [{ name: "x-backend", value: backends[at]?.[0] }] },
      },
    ],
  }));
}

/** `backendRefs` of a rule. */
export function backendRefs(backends: readonly Backend[], port: keyof typeof APPLICATION_PORTS = "http"): object[] {
  return backends.map(([name, weight]) => ({ name, port: APPLICATION_PORTS[port], weight }));
}
