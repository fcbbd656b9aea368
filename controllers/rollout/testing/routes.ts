import type { KubeObject } from "../../../lib/kube/types.ts";
import type { MemoryWorld } from "../../../testkit/memory-world.ts";
import type { BackendRef, RouteRule } from "../traffic/adopted-rule.ts";
import { NAMESPACE } from "./builders.ts";

/** Backends as the server holds them. */
export function backend(name: string, weight = 1, more: Partial<BackendRef> = {}): BackendRef {
  return { group: "", kind: "Service", name, port: 80, weight, ...more };
}

/** HTTPRoute `shop` of the user's: one rule leads to Service web. */
export function shopRoute(rules: readonly RouteRule[] = [{ backendRefs: [backend("web")] }]): KubeObject {
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { name: "shop", namespace: NAMESPACE, annotations: { team: "shop" } },
    spec: { parentRefs: [{ name: "public", namespace: "gateway" }], hostnames: ["shop.example.com"], rules },
  };
}

/** What somebody else, as Git does, writes over all rules of the route. */
export function writeRules(world: MemoryWorld, rules: readonly RouteRule[]): void {
  world.edit("HTTPRoute", "shop", (route) => ({ ...route, spec: { ...Object(route["spec"]), rules } }));
}

/** Backends of a rule with their weights, in words. */
export function backendsText(world: MemoryWorld, index = 0): string {
  const { rules } = (world.find("HTTPRoute", "shop")?.["spec"] ?? {}) as { readonly rules?: readonly RouteRule[] };
  return (rules?.[index]?.backendRefs ?? []).map(({ name, weight }) => `${name} ${String(weight)}`).join(", ");
}

/** Service web has an endpoint, or none, which is no pod of the Rollout. */
export function endpoints(isReady: boolean): KubeObject {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "web-1", namespace: NAMESPACE, labels: { "kubernetes.io/service-name": "web" } },
    addressType: "IPv4",
    endpoints: [
      { addresses: ["10.1.0.1"], conditions: { ready: isReady }, targetRef: { kind: "Pod", name: "web-of-user" } },
    ],
  };
}
