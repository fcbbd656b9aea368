import { z } from "zod";
import { type CustomResource, type CustomResourceType, withRules } from "./common.ts";
import { ROLLOUT_CONDITIONS, ROLLOUT_REASONS } from "./conditions.ts";
import { API_VERSION, GROUP, VERSION } from "./group.ts";
import { defineKind } from "./kind.ts";
import { rolloutAnalysis } from "./rollout-analysis.ts";
import { rolloutAutoscaling } from "./rollout-autoscaling.ts";
import { rolloutDisruption } from "./rollout-disruption.ts";
import { rolloutFlags } from "./rollout-flags.ts";
import { rolloutStages } from "./rollout-ladder.ts";
import { rolloutNotifications } from "./rollout-notifications.ts";
import { rolloutRequest } from "./rollout-request.ts";
import { rolloutShadow } from "./rollout-shadow.ts";
import { type RolloutStatus, rolloutStatus } from "./rollout-status.ts";
import { rolloutService, rolloutTarget } from "./rollout-target.ts";
import { ENTRIES_MAX, MATCHES_MAX, rolloutTraffic } from "./rollout-traffic.ts";
import { rolloutVerify } from "./rollout-verify.ts";
import { rolloutWindows } from "./rollout-windows.ts";

const seconds = (max: number): z.ZodInt => z.int().min(0).max(max);

const rollback = z.strictObject({
  onUnknown: z
    .enum(["Pause", "Rollback"])
    .meta({
      description:
        "What happens when nothing could be judged for unknownTimeoutSeconds: the release pauses where it is, or goes back. No data never promotes.",
    })
    .default("Pause"),
  unknownTimeoutSeconds: seconds(86_400)
    .min(30)
    .meta({
      description: "Time without any verdict, or with a source that does not tell all, after which onUnknown acts.",
    })
    .default(600),
  windowSeconds: seconds(2_592_000)
    .meta({
      description:
        "A return to a revision that was stable this recently is not judged: it gets all requests as soon as its pods are ready.",
    })
    .default(3_600),
});

const specShape = z.strictObject({
  target: rolloutTarget.meta({ ...rolloutTarget.meta(), description: "What is released." }),
  replicas: z
    .int()
    .min(1)
    .max(1_000)
    .meta({
      description:
        "Pods of the version that serves; those of the Deployment unless told. Set it when the Deployment itself is to have no pods.",
    })
    .exactOptional(),
  autoscaling: rolloutAutoscaling
    .meta({
      ...rolloutAutoscaling.meta(),
      description: "An autoscaler for the pods of each version, in place of a number of replicas.",
    })
    .exactOptional(),
  disruption: rolloutDisruption
    .meta({
      ...rolloutDisruption.meta(),
      description:
        "Pods that may be missing when nodes are drained, of each version by itself, as in a PodDisruptionBudget; without it there is no budget.",
    })
    .exactOptional(),
  service: rolloutService.meta({
    ...rolloutService.meta(),
    description: "Ports to which requests go. Other ports are another version, which is released.",
  }),
  configuration: z
    .enum(["Copy", "Shared"])
    .meta({
      description:
        "What the pods of a version read of ConfigMaps and Secrets. Copy: copies that never change, made when it is released, so that a change of configuration is a release of its own and goes back with it. Shared: the objects themselves, as in a Deployment.",
    })
    .default("Copy"),
  traffic: rolloutTraffic.meta({ description: "How requests are divided among the versions." }),
  analysis: rolloutAnalysis
    .meta({ ...rolloutAnalysis.meta(), description: "By what, and how surely, a release is judged." })
    .default(rolloutAnalysis.parse({})),
  verify: rolloutVerify
    .meta({
      description:
        "What the new version must pass before it gets its first request; also the first version. A return within rollback.windowSeconds and request PromoteFull go without it.",
    })
    .default({ smoke: [] }),
  shadow: rolloutShadow
    .meta({
      ...rolloutShadow.meta(),
      description:
        "Copies of requests go to the new version before it answers its first one, and are judged: users see no answer to a copy. Copies have the side effects of requests. Not for the first version, nor for a return within rollback.windowSeconds.",
    })
    .exactOptional(),
  stages: rolloutStages,
  flags: rolloutFlags
    .meta({
      description:
        "Feature flags that rise with the stages, and are off again when a release goes back: object FeatureFlag <name>-flags, which flagd reads. List it last in its FeatureFlagSource.",
    })
    .exactOptional(),
  bakeSeconds: seconds(604_800)
    .meta({
      description:
        "Time that the new version is watched after the last stage has passed, with the former one at full size beside it.",
    })
    .default(300),
  holdbackBps: z
    .int()
    .min(50)
    .max(5_000)
    .meta({
      description:
        "Share of the requests that the former version keeps during the last stage and the bake, in hundredths of a percent: without it there is nothing to compare with. The release ends with all requests at the new version.",
    })
    .default(500),
  drainSeconds: seconds(3_600)
    .meta({ description: "Time that pods keep running after their last share of the requests was taken from them." })
    .default(30),
  progressDeadlineSeconds: z
    .int()
    .min(10)
    .max(86_400)
    .meta({
      description:
        "Time in which pods of the new version must become ready, and a gateway take a weight; else the release goes back.",
    })
    .default(600),
  rollback: rollback.meta({ description: "When a release is taken back." }).default({
    onUnknown: "Pause",
    unknownTimeoutSeconds: 600,
    windowSeconds: 3_600,
  }),
  windows: rolloutWindows
    .meta({
      ...rolloutWindows.meta(),
      description:
        "When releases may begin and go on; any time without it. Outside of all windows a release is held where it is, and still watched: harm takes it back. A first version, and a return within rollback.windowSeconds, wait for none. Request Promote lets one go on at once.",
    })
    .exactOptional(),
  paused: z
    .boolean()
    .meta({
      description: "True holds a release, and its weights, where they are. It is still watched: harm takes it back.",
    })
    .default(false),
  notifications: rolloutNotifications
    .meta({
      ...rolloutNotifications.meta(),
      description: "Who is told what happens in a release: signed CloudEvents over HTTP.",
    })
    .exactOptional(),
  request: rolloutRequest
    .meta({
      ...rolloutRequest.meta(),
      description: "What a person asks for, once for each id; `shieldx rollout` writes it, Git may.",
    })
    .exactOptional(),
});

/** `spec` of a Rollout, after defaulting. */
export const rolloutSpec = withRules(specShape, [
  {
    rule: "!has(self.replicas) || !has(self.autoscaling)",
    message: "name either replicas or autoscaling: an autoscaler and a number would undo each other",
    check: ({ replicas, autoscaling }) => replicas === undefined || autoscaling === undefined,
  },
  {
    rule: "!has(self.analysis.dryRun) || !has(self.analysis.dryRun.stages) || size(self.analysis.dryRun.stages) == size(self.stages)",
    message: "analysis.dryRun.stages must have one entry for each of stages",
    check: ({ analysis, stages }) =>
      analysis.dryRun?.stages === undefined || analysis.dryRun.stages.length === stages.length,
  },
  {
    rule: "!has(self.analysis.source.gateway) || self.analysis.source.gateway.flavour != 'Envoy' || self.traffic.gatewayAPI.kind != 'GRPCRoute'",
    message: "Envoy counts gRPC by its HTTP codes, which know no failures: take analysis.source.pods for a GRPCRoute",
    check: ({ analysis, traffic }) =>
      analysis.source.gateway?.flavour !== "Envoy" || traffic.gatewayAPI.kind !== "GRPCRoute",
  },
  {
    rule: "!has(self.traffic.gatewayAPI.route) || has(self.traffic.gatewayAPI.route.backend) || has(self.service.name)",
    message: "traffic.gatewayAPI.route.backend is needed where service.name is not set",
    check: ({ service, traffic: { gatewayAPI } }) =>
      gatewayAPI.route === undefined || gatewayAPI.route.backend !== undefined || service.name !== undefined,
  },
  {
    rule: "!has(self.shadow) || self.traffic.gatewayAPI.kind == 'HTTPRoute'",
    message: "only an HTTPRoute copies requests: leave shadow out, or take kind HTTPRoute",
    check: ({ shadow, traffic }) => shadow === undefined || traffic.gatewayAPI.kind === "HTTPRoute",
  },
  {
    rule: "!has(self.shadow) || !has(self.analysis.source.gateway)",
    message: "no gateway counts copies: with shadow, take analysis.source.pods or prometheus",
    check: ({ shadow, analysis }) => shadow === undefined || analysis.source.gateway === undefined,
  },
  {
    rule: "!has(self.traffic.gatewayAPI.testers) || !has(self.traffic.gatewayAPI.testers.cookie) || self.traffic.gatewayAPI.kind == 'HTTPRoute'",
    message: "clients of gRPC keep no cookies: know testers by a header",
    check: ({ traffic: { gatewayAPI } }) => gatewayAPI.testers?.cookie === undefined || gatewayAPI.kind === "HTTPRoute",
  },
  {
    rule: `!has(self.shadow) || (1 + size(self.shadow.methods)) * (has(self.traffic.gatewayAPI.matches) ? size(self.traffic.gatewayAPI.matches) : 1) <= ${String(MATCHES_MAX)}`,
    message: `a rule of a route has at most ${String(MATCHES_MAX)} matches, and shadow needs one of each for every method: give fewer matches or methods`,
    check: ({ shadow, traffic }) =>
      shadow === undefined || (1 + shadow.methods.length) * (traffic.gatewayAPI.matches?.length ?? 1) <= MATCHES_MAX,
  },
  {
    rule: `!has(self.shadow) || !has(self.traffic.gatewayAPI.filters) || size(self.traffic.gatewayAPI.filters) < ${String(ENTRIES_MAX)}`,
    message: `a rule of a route has at most ${String(ENTRIES_MAX)} filters, and shadow is one of them`,
    check: ({ shadow, traffic }) => shadow === undefined || (traffic.gatewayAPI.filters?.length ?? 0) < ENTRIES_MAX,
  },
  {
    rule: "!has(self.shadow) || !has(self.traffic.gatewayAPI.route)",
    message: "shadow is for a route that the controller makes: leave it out where a route is named",
    check: ({ shadow, traffic }) => shadow === undefined || traffic.gatewayAPI.route === undefined,
  },
  {
    rule: "has(self.flags) || self.stages.all(s, !has(s.flagBps))",
    message: "flagBps of a stage needs flags to raise: name them in flags.items",
    check: ({ flags, stages }) => flags !== undefined || stages.every(({ flagBps }) => flagBps === undefined),
  },
  {
    rule: "!has(self.flags) || self.stages.exists(s, has(s.flagBps) && s.flagBps > 0)",
    message: "no stage raises the flags: set flagBps of at least one of stages",
    check: ({ flags, stages }) => flags === undefined || stages.some(({ flagBps = 0 }) => flagBps > 0),
  },
]);

export type RolloutSpec = z.output<typeof rolloutSpec>;

/** A Rollout as the server sends it. */
export type Rollout = CustomResource<RolloutSpec, RolloutStatus>;

/** Where Rollouts live in the API. */
export const ROLLOUT: CustomResourceType<Rollout> = {
  group: GROUP,
  version: VERSION,
  apiVersion: API_VERSION,
  plural: "rollouts",
  kind: "Rollout",
  namespaced: true,
};

/** What the API server and the reference pages say about Rollouts. */
export const ROLLOUT_KIND = defineKind({
  type: ROLLOUT,
  shortName: "sro",
  description:
    "Rollout releases new versions of a Deployment step by step: requests move by route weights alone, each step is judged against the version that serves, and harm takes all of them back within seconds.",
  spec: rolloutSpec,
  status: rolloutStatus,
  columns: [
    { name: "Phase", type: "string", jsonPath: ".status.phase", description: "Where the release stands." },
    { name: "Step", type: "string", jsonPath: ".status.step", description: "Stage of the ladder." },
    { name: "Weight", type: "string", jsonPath: ".status.share", description: "Share of the new version." },
    { name: "Verdict", type: "string", jsonPath: ".status.verdict.verdict", description: "What the judge says." },
    {
      name: "Stable",
      type: "string",
      jsonPath: ".status.stable.revision",
      description: "Revision that serves.",
      priority: 1,
    },
    {
      name: "Canary",
      type: "string",
      jsonPath: ".status.canary.revision",
      description: "Revision that is being released.",
      priority: 1,
    },
  ],
  selectableFields: [".spec.target.deployment"],
  conditions: ROLLOUT_CONDITIONS,
  reasons: ROLLOUT_REASONS,
});
