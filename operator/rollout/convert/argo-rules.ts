/** Fields of Argo Rollouts that are not translated, and what to do in their place. */
import { COMMON_RULES } from "./frame.ts";
import type { Rule } from "./reading.ts";

const CANARY = "spec.strategy.canary";
const BLUE_GREEN = "spec.strategy.blueGreen";
const ROUTER = `${CANARY}.trafficRouting`;

const BY_WEIGHT = "pods of each version follow from its share of the requests, and are ready before the share is given";
const SAME_PODS = "labels and annotations of a version are those of its template, in every role";
const GATEWAY = {
  why: "requests are divided by the Gateway API alone",
  instead: "let a Gateway serve the host, and take the weights out of the other router",
};

function strategyRules(strategy: string): readonly Rule[] {
  return [
    {
      pattern: `${strategy}.abortScaleDownDelaySeconds`,
      why: "pods of a version that was taken back go after drainSeconds",
    },
    { pattern: `${strategy}.scaleDownDelayRevisionLimit`, why: "at most two versions have pods" },
    { pattern: `${strategy}.maxUnavailable`, why: BY_WEIGHT },
    { pattern: `${strategy}.antiAffinity`, why: "it is not set on the pods", instead: "put it into the pod template" },
  ];
}

function analysisRules(path: string, why: string): readonly Rule[] {
  return [
    { pattern: `${path}.args`, why: "no query is made, so nothing is filled into one" },
    {
      pattern: `${path}.analysisRunMetadata`,
      why: "there is no object of a run; the record is in ConfigMap <name>-run",
    },
    { pattern: `${path}.dryRun`, why: "a metric that decides nothing is not judged" },
    { pattern: `${path}.measurementRetention`, why: undefined },
    { pattern: path, why },
  ];
}

export const ARGO_RULES: readonly Rule[] = [
  ...COMMON_RULES,
  ...strategyRules(CANARY),
  ...strategyRules(BLUE_GREEN),
  ...analysisRules(`${CANARY}.analysis`, "it names no template that is known here"),
  ...analysisRules(`${CANARY}.steps[].analysis`, "it names no template that is known here"),
  ...analysisRules(`${BLUE_GREEN}.postPromotionAnalysis`, "it names no template that is known here"),
  {
    pattern: `${BLUE_GREEN}.prePromotionAnalysis`,
    why: "nothing is judged before the new version gets requests",
    instead:
      "begin with a stage of 1 %, or hold the release by spec.paused: true while you test Service <name>-blue or <name>-green",
  },
  // The pods of both versions have selectors of their own.
  { pattern: "spec.selector", why: undefined },
  { pattern: "spec.replicas", why: "it is not within 1 and 1000" },
  {
    pattern: "spec.workloadRef.scaleDown",
    why: "the Deployment is read and never changed",
    instead: "scale it to 0 yourself once the Rollout serves, and keep spec.replicas of the Rollout",
  },
  // The kind says it all.
  { pattern: "spec.workloadRef.apiVersion", why: undefined },
  {
    pattern: "spec.workloadRef",
    why: "of a reference its kind and name are read",
  },
  {
    pattern: "spec.minReadySeconds",
    why: "a pod counts as soon as it is ready",
    instead: "make the readiness probe say so later",
  },
  { pattern: "spec.revisionHistoryLimit", why: "the template of a version is kept as long as it has a role" },
  { pattern: "spec.progressDeadlineAbort", why: "pods that do not become ready in time always take the release back" },
  {
    pattern: "spec.restartAt",
    why: "it restarts pods of the old object",
    instead: "change the pod template, and release it",
  },
  {
    pattern: "spec.rollbackWindow",
    why: "it counts revisions; here it is a time",
    instead: "set rollback.windowSeconds (an hour): a return to a version that was stable so recently is not judged",
  },
  { pattern: "spec.analysis", why: "the last 10 releases are kept in the status" },
  { pattern: `${CANARY}.canaryService`, why: "Services of the versions are made: <name>-blue and <name>-green" },
  { pattern: `${CANARY}.pingPong`, why: undefined },
  { pattern: `${CANARY}.maxSurge`, why: BY_WEIGHT },
  { pattern: `${CANARY}.minPodsPerReplicaSet`, why: BY_WEIGHT },
  {
    pattern: `${CANARY}.dynamicStableScale`,
    why: "the version that serves keeps all its pods until the release has ended, so that going back needs no start",
  },
  { pattern: `${CANARY}.canaryMetadata`, why: SAME_PODS },
  { pattern: `${CANARY}.stableMetadata`, why: SAME_PODS },
  { pattern: `${CANARY}.steps[].setCanaryScale`, why: BY_WEIGHT },
  {
    pattern: `${CANARY}.steps[].setHeaderRoute`,
    why: "requests are divided by weights alone, not by headers",
    instead: "make a route of your own to Service <name>-blue or <name>-green",
  },
  {
    pattern: `${CANARY}.steps[].setMirrorRoute`,
    why: "requests are not mirrored",
    instead: "begin with a small weight: 10 is 0.1 %",
  },
  {
    pattern: `${CANARY}.steps[].experiment`,
    why: "there are no experiments: the new version is judged beside the one that serves",
  },
  { pattern: `${CANARY}.steps[].plugin`, why: "there are no plugins for steps", instead: "run it before the release" },
  { pattern: `${CANARY}.steps[].replicaProgressThreshold`, why: BY_WEIGHT },
  { pattern: `${ROUTER}.managedRoutes`, why: "requests are divided by weights alone" },
  { pattern: `${ROUTER}.plugins`, ...GATEWAY },
  // It tells the plugin where its own objects are.
  {
    pattern: `${ROUTER}.plugins.argoproj-labs/gatewayAPI.namespace`,
    why: "the route is in the namespace of the Rollout",
  },
  ...["httpRoutes[]", "grpcRoutes[]"].map((name) => ({
    pattern: `${ROUTER}.plugins.argoproj-labs/gatewayAPI.${name}.useHeaderRoutes`,
    why: "requests are divided by weights alone, not by headers",
  })),
  ...["httpRoutes[]", "grpcRoutes[]"].map((name) => ({
    pattern: `${ROUTER}.plugins.argoproj-labs/gatewayAPI.${name}`,
    why: "a Rollout has one route",
    instead: "add its host names and matches to spec.traffic.gatewayAPI, if they lead to the same program",
  })),
  {
    pattern: `${ROUTER}.plugins.argoproj-labs/gatewayAPI`,
    why: "the route is HTTPRoute or GRPCRoute <name>, made by the Rollout; other kinds are not",
  },
  ...["istio", "nginx", "alb", "smi", "ambassador", "appMesh", "traefik", "apisix"].map((name) => ({
    pattern: `${ROUTER}.${name}`,
    ...GATEWAY,
  })),
  {
    pattern: `${BLUE_GREEN}.previewService`,
    why: "each version has a Service of its own: <name>-blue and <name>-green",
    instead: "look at the new version by the one that 'shieldx rollout status' names as canary",
  },
  { pattern: `${BLUE_GREEN}.previewReplicaCount`, why: "the new version has all its pods before it gets a request" },
  {
    pattern: `${BLUE_GREEN}.autoPromotionSeconds`,
    why: "there is no time between readiness and the first request",
    instead: "spec.paused: true holds a release before its first request",
  },
  { pattern: `${BLUE_GREEN}.previewMetadata`, why: SAME_PODS },
  { pattern: `${BLUE_GREEN}.activeMetadata`, why: SAME_PODS },
];
