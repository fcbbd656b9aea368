/**
 * What gateways can do with a route beyond what all of them can. A mirror is never written for one of which that is not known:
 * Traefik answers 500 to every request of such a route, and calls it accepted (e2e/gateway/README.md).
 */
import type { Capability } from "../../../crds/rollout-traffic.ts";

/** What a GatewayClass says of its gateways. */
export interface ClassFacts {
  readonly controllerName: string;
  /** `status.supportedFeatures`; many controllers leave it out, so that an empty list says nothing. */
  readonly features: readonly string[];
}

/** Whose word it is that a gateway can or cannot do something. */
export interface Ability {
  readonly capability: Capability;
  /** `undefined`: nobody knows. */
  readonly isAble: boolean | undefined;
}

const MIRROR = ["HTTPRouteRequestMirror"] as const;
const PERCENTAGE = [...MIRROR, "HTTPRouteRequestPercentageMirror"] as const;
const REGULAR_EXPRESSION = ["HeaderMatchRegularExpression"] as const;

interface Known {
  readonly able: readonly Capability[];
  readonly unable: readonly Capability[];
}

/**
 * By `spec.controllerName`: mirrors of Traefik and Envoy Gateway as measured (e2e/gateway), of others by the conformance reports of the
 * Gateway API; regular expressions by the code of both. Contour mirrors all of the requests whatever the percentage says.
 */
const CONTROLLERS: Readonly<Record<string, Known>> = {
  "traefik.io/gateway-controller": { able: REGULAR_EXPRESSION, unable: PERCENTAGE },
  "gateway.envoyproxy.io/gatewayclass-controller": { able: [...PERCENTAGE, ...REGULAR_EXPRESSION], unable: [] },
  "projectcontour.io/gateway-controller": { able: MIRROR, unable: ["HTTPRouteRequestPercentageMirror"] },
  "istio.io/gateway-controller": { able: PERCENTAGE, unable: [] },
  "io.cilium/gateway-controller": { able: PERCENTAGE, unable: [] },
  "kgateway.dev/kgateway": { able: PERCENTAGE, unable: [] },
  "gateway.nginx.org/nginx-gateway-controller": { able: PERCENTAGE, unable: [] },
};

/** Features of the Gateway API that a GatewayClass lists, when it lists any. */
const LISTED: ReadonlySet<Capability> = new Set(PERCENTAGE);

/**
 * Whether a gateway can do something.
 * @param of its GatewayClass; `undefined` where that is not seen
 * @param declared what the spec says in place of all that is known
 */
export function abilityOf(
  capability: Capability,
  of: ClassFacts | undefined,
  declared: readonly Capability[] | undefined,
): Ability {
  return { capability, isAble: isAble(capability, of, declared) };
}

function isAble(
  capability: Capability,
  of: ClassFacts | undefined,
  declared: readonly Capability[] | undefined,
): boolean | undefined {
  if (declared !== undefined) return declared.includes(capability);
  if (of === undefined) return undefined;
  if (of.features.length > 0 && LISTED.has(capability)) return of.features.includes(capability);
  const known = Object.hasOwn(CONTROLLERS, of.controllerName) ? CONTROLLERS[of.controllerName] : undefined;
  if (known?.able.includes(capability) === true) return true;
  return known?.unable.includes(capability) === true ? false : undefined;
}
