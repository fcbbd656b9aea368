import { expect, test } from "@jest/globals";
import type { Capability } from "../../../crds/rollout-traffic.ts";
import { abilityOf, type ClassFacts } from "./capabilities.ts";

const MIRROR = "HTTPRouteRequestMirror";
const PERCENTAGE = "HTTPRouteRequestPercentageMirror";
const EXPRESSION = "HeaderMatchRegularExpression";

const of = (controllerName: string, ...features: string[]): ClassFacts => ({ controllerName, features });
const ENVOY = of("gateway.envoyproxy.io/gatewayclass-controller");
const TRAEFIK = of("traefik.io/gateway-controller");
const CONTOUR = of("projectcontour.io/gateway-controller");

type Row = readonly [
  what: string,
  capability: Capability,
  from: ClassFacts | undefined,
  isAble: boolean | undefined,
  declared?: readonly Capability[],
];

const ROWS: readonly Row[] = [
  ["Envoy Gateway copies a percentage", PERCENTAGE, ENVOY, true],
  ["Envoy Gateway knows regular expressions", EXPRESSION, ENVOY, true],
  ["Traefik copies nothing", MIRROR, TRAEFIK, false],
  ["Contour copies", MIRROR, CONTOUR, true],
  ["Contour copies no percentage", PERCENTAGE, CONTOUR, false],
  ["Istio copies a percentage", PERCENTAGE, of("istio.io/gateway-controller"), true],
  ["Cilium copies a percentage", PERCENTAGE, of("io.cilium/gateway-controller"), true],
  ["kgateway copies a percentage", PERCENTAGE, of("kgateway.dev/kgateway"), true],
  ["NGINX Gateway Fabric copies a percentage", PERCENTAGE, of("gateway.nginx.org/nginx-gateway-controller"), true],
  ["of others nobody knows", MIRROR, of("example.com/gateway"), undefined],
  ["a name that every object has is nobody's", MIRROR, of("constructor"), undefined],
  ["without a class nobody knows", MIRROR, undefined, undefined],
  ["a list goes before what is known", MIRROR, of(TRAEFIK.controllerName, "HTTPRouteMethodMatching", MIRROR), true],
  ["what a list lacks cannot be done", PERCENTAGE, of(ENVOY.controllerName, "HTTPRouteMethodMatching"), false],
  ["an empty list says nothing", PERCENTAGE, ENVOY, true],
  ["no list has regular expressions", EXPRESSION, of(ENVOY.controllerName, MIRROR), true],
  ["the spec goes before all", MIRROR, TRAEFIK, true, [MIRROR]],
  ["what the spec leaves out cannot be done", PERCENTAGE, ENVOY, false, [MIRROR]],
  ["the spec goes before a class that is not seen", EXPRESSION, undefined, true, [EXPRESSION]],
];

test.each(ROWS.map((row) => [row[0], row] as const))("%s", (_, [, capability, from, isAble, declared]) => {
  expect(abilityOf(capability, from, declared)).toEqual({ capability, isAble });
});
