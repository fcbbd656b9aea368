/** Fields of Flagger that are not translated, and what to do in their place. */
import { COMMON_RULES } from "./frame.ts";
import type { Rule } from "./reading.ts";

const FILTERS = { instead: "write it as a filter of the Gateway API in spec.traffic.gatewayAPI.filters" };
const ISTIO = { why: "requests are divided by the Gateway API alone" };
const EVIDENCE = "a release fails by evidence over all requests, not by a number of checks";

function analysisRules(path: string): readonly Rule[] {
  return [
    { pattern: `${path}.interval`, why: "both versions are looked at every spec.analysis.intervalSeconds (5 s)" },
    { pattern: `${path}.threshold`, why: EVIDENCE },
    { pattern: `${path}.iterations`, why: "it has weights, by which Flagger goes" },
    { pattern: `${path}.maxWeight`, why: "without stepWeight it says nothing" },
    { pattern: `${path}.stepWeight`, why: "it is no weight above 0" },
    {
      pattern: `${path}.stepWeightPromotion`,
      why: "the new version is the one that serves: nothing is moved back to another one",
    },
    { pattern: `${path}.primaryReadyThreshold`, why: "a share is given when all pods for it are ready" },
    { pattern: `${path}.canaryReadyThreshold`, why: "a share is given when all pods for it are ready" },
    {
      pattern: `${path}.match`,
      why: "requests are divided by weights alone, not by headers",
      instead: "make a route of your own to Service <name>-blue or <name>-green",
    },
    { pattern: `${path}.mirror`, why: "requests are not mirrored", instead: "begin with a small weight: 10 is 0.1 %" },
    { pattern: `${path}.mirrorWeight`, why: "requests are not mirrored" },
    {
      pattern: `${path}.sessionAffinity`,
      why: "who was sent to the new version may be sent back: a retreat takes everybody at once",
    },
    {
      pattern: `${path}.alerts`,
      why: "there are no alerts of its own",
      instead: "alert on events and metrics (docs/reference/metrics.md)",
    },
    {
      pattern: `${path}.webhooks`,
      why: "webhooks are not translated yet",
      instead:
        "a stage with approval waits for a person or a program that types 'shieldx rollout promote'; run tests and load from your pipeline",
    },
    // The name of a template, and of a built-in check, is read beside it.
    { pattern: `${path}.metrics[].name`, why: undefined },
    { pattern: `${path}.metrics[].interval`, why: "counts are taken at every look, over no window" },
    { pattern: `${path}.metrics[].thresholdRange`, why: "the other bound is the limit" },
    { pattern: `${path}.metrics[].threshold`, why: "thresholdRange counts" },
    { pattern: `${path}.metrics[].query`, why: "counts come from the pods themselves, or from the gateway" },
    { pattern: `${path}.metrics[].templateVariables`, why: "no query is made, so nothing is filled into one" },
  ];
}

export const FLAGGER_RULES: readonly Rule[] = [
  ...COMMON_RULES,
  ...analysisRules("spec.analysis"),
  ...analysisRules("spec.canaryAnalysis"),
  { pattern: "spec.provider", ...ISTIO },
  { pattern: "spec.metricsServer", why: "counts come from the pods themselves, or from the gateway" },
  {
    pattern: "spec.autoscalerRef",
    why: "pods of each version follow from spec.replicas and its share; no autoscaler is copied",
    instead: "set spec.replicas to what the load needs",
  },
  { pattern: "spec.ingressRef", ...ISTIO, instead: "let a Gateway serve the host" },
  { pattern: "spec.upstreamRef", ...ISTIO },
  { pattern: "spec.routeRef", ...ISTIO },
  // The kind says it all.
  { pattern: "spec.targetRef.apiVersion", why: undefined },
  { pattern: "spec.targetRef", why: "of a reference its kind and name are read" },
  {
    pattern: "spec.skipAnalysis",
    why: "a release is always judged",
    instead: "'shieldx rollout promote NAME --full' ends the ladder of one",
  },
  { pattern: "spec.revertOnDeletion", why: "the Deployment is never changed, so there is nothing to revert" },
  { pattern: "spec.service.gateways", ...ISTIO },
  { pattern: "spec.service.trafficPolicy", ...ISTIO },
  { pattern: "spec.service.delegation", ...ISTIO },
  { pattern: "spec.service.meshName", ...ISTIO },
  { pattern: "spec.service.backends", ...ISTIO },
  { pattern: "spec.service.headless", why: "the Services of both versions have an address of their own" },
  {
    pattern: "spec.service.portDiscovery",
    why: "ports are those of spec.service.ports",
    instead: "add the others there",
  },
  {
    pattern: "spec.service.timeout",
    why: "the route has no time limit",
    instead: "set one in the gateway, or in the program",
  },
  { pattern: "spec.service.retries", why: "the route does not retry" },
  { pattern: "spec.service.headers", why: "headers are not changed", ...FILTERS },
  { pattern: "spec.service.rewrite", why: "paths are not rewritten", ...FILTERS },
  { pattern: "spec.service.corsPolicy", why: "there is no CORS policy", ...FILTERS },
  { pattern: "spec.service.mirror", why: "requests are not mirrored" },
  ...["apex", "primary", "canary", "unmanagedMetadata"].map((name) => ({
    pattern: `spec.service.${name}`,
    why: "the Services of both versions have labels and annotations of their own",
  })),
];
