import { z } from "zod";
import {
  type CustomResource,
  type CustomResourceType,
  conditions,
  dnsLabel,
  immutableOptional,
  keepUnknown,
  listAtomic,
  observedGeneration,
  withRules,
} from "./common.ts";
import { ROLLOUT_CONDITIONS, ROLLOUT_REASONS } from "./conditions.ts";
import { API_VERSION, GROUP, VERSION } from "./group.ts";
import { defineKind } from "./kind.ts";
import { rolloutAnalysis } from "./rollout-analysis.ts";
import { VERDICT_REASONS, VERDICTS } from "./rollout-run.ts";
import { rolloutTraffic } from "./rollout-traffic.ts";
import { rolloutChecks, rolloutVerify } from "./rollout-verify.ts";

/** Most stages of a ladder. */
const STAGES_MAX = 32;
/** Whole of the requests, in basis points. */
export const WHOLE_BPS = 10_000;

const port = z.int().min(1).max(65_535);
const seconds = (max: number): z.ZodInt => z.int().min(0).max(max);

const servicePort = z.strictObject({
  name: dnsLabel("Name of the port; needed where there are several.", 15).exactOptional(),
  port: port.meta({ description: "Port of the Services of both colours, to which the route leads." }),
  targetPort: port.meta({ description: "Port of the pods; the same as port unless told." }).exactOptional(),
  appProtocol: z
    .string()
    .min(1)
    .max(63)
    .meta({ description: "Protocol of the application, for example kubernetes.io/h2c, as in a Service." })
    .exactOptional(),
});
export type RolloutPort = z.output<typeof servicePort>;

/** As the API server holds the ports of a Service. */
const servicePorts = withRules(listAtomic(z.array(servicePort).min(1).max(16)), [
  {
    rule: "size(self) < 2 || self.all(p, has(p.name))",
    message: "of several ports each needs a name",
    check: (list) => list.length < 2 || list.every(({ name }) => name !== undefined),
  },
  {
    rule: "self.all(a, !has(a.name) || self.exists_one(b, has(b.name) && b.name == a.name))",
    message: "names of ports must differ",
    check: (list) => areDistinct(list.flatMap(({ name }) => name ?? [])),
  },
  {
    rule: "self.all(a, self.exists_one(b, b.port == a.port))",
    message: "numbers of ports must differ",
    check: (list) => areDistinct(list.map((it) => it.port)),
  },
]);

function areDistinct(values: readonly unknown[]): boolean {
  return new Set(values).size === values.length;
}

const service = withRules(
  z.strictObject({
    name: dnsLabel(
      "Service of this namespace by which the Deployment is reached today. Its ports are those of both colours; it is read and never changed.",
      63,
    ).exactOptional(),
    ports: servicePorts
      .meta({
        ...servicePorts.meta(),
        description: "Ports of both colours, in place of those of a Service. The route leads to the first.",
      })
      .exactOptional(),
  }),
  [
    {
      rule: "has(self.name) || has(self.ports)",
      message: "name a Service, or ports",
      check: ({ name, ports }) => name !== undefined || ports !== undefined,
    },
  ],
);

const targetShape = z.strictObject({
  deployment: dnsLabel(
    "Deployment of this namespace whose pod template is released. It is read and never changed: whoever owns it keeps owning it.",
    63,
  ).exactOptional(),
  template: keepUnknown(z.looseObject({}))
    .meta({ description: "Pod template that is released, as spec.template of a Deployment, in place of a Deployment." })
    .exactOptional(),
});

const target = immutableOptional(
  withRules(targetShape, [
    {
      rule: "has(self.deployment) != has(self.template)",
      message: "name either a deployment or a template",
      check: (value) => (value.deployment === undefined) !== (value.template === undefined),
    },
  ]),
  "deployment",
  "target.deployment is immutable: make another Rollout for another Deployment",
);

const stageShape = z.strictObject({
  weightBps: z.int().min(1).max(WHOLE_BPS).meta({
    description: "Share of the requests that the new version gets, in hundredths of a percent: 100 is 1 %.",
  }),
  holdSeconds: seconds(86_400)
    .meta({
      description:
        "Time after which the stage passes when nothing speaks against it. It passes earlier when the new version is shown to be good enough.",
    })
    .default(300),
  maxHoldSeconds: seconds(604_800)
    .meta({
      description:
        "Time after which the release pauses for a person when the stage has not passed, for example for want of requests; 0 waits for ever.",
    })
    .default(3_600),
  minSamples: z
    .int()
    .min(1)
    .max(1_000_000_000)
    .meta({ description: "Requests that the new version must have answered at this weight before the stage passes." }),
  maxErrorRateBps: z.int().min(1).max(9_000).meta({
    description: "Largest share of failed requests, in hundredths of a percent. Above it the stage does not pass.",
  }),
  approval: z
    .boolean()
    .meta({ description: "True: the stage waits for request promote once it has passed." })
    .default(false),
});
export type RolloutStage = z.output<typeof stageShape>;

const stage = withRules(stageShape, [
  {
    rule: "self.maxHoldSeconds == 0 || self.holdSeconds <= self.maxHoldSeconds",
    message: "holdSeconds must not exceed maxHoldSeconds: the stage would wait for a person before its hold is over",
    check: ({ holdSeconds, maxHoldSeconds }) => maxHoldSeconds === 0 || holdSeconds <= maxHoldSeconds,
  },
]);

/** The ladder that a Rollout has when it names none. */
const LADDER: RolloutStage[] = [
  { weightBps: 100, holdSeconds: 120, maxHoldSeconds: 3_600, minSamples: 100, maxErrorRateBps: 500, approval: false },
  { weightBps: 500, holdSeconds: 180, maxHoldSeconds: 3_600, minSamples: 500, maxErrorRateBps: 300, approval: false },
  {
    weightBps: 2_500,
    holdSeconds: 300,
    maxHoldSeconds: 3_600,
    minSamples: 2_000,
    maxErrorRateBps: 200,
    approval: false,
  },
  {
    weightBps: 5_000,
    holdSeconds: 300,
    maxHoldSeconds: 3_600,
    minSamples: 5_000,
    maxErrorRateBps: 100,
    approval: false,
  },
  {
    weightBps: 10_000,
    holdSeconds: 300,
    maxHoldSeconds: 3_600,
    minSamples: 10_000,
    maxErrorRateBps: 100,
    approval: false,
  },
];

const stages = withRules(listAtomic(z.array(stage).min(1).max(STAGES_MAX)), [
  {
    rule: "self.map(s, s.weightBps).isSorted() && self.all(a, self.exists_one(b, b.weightBps == a.weightBps))",
    message: "weights must ascend",
    check: (list) => list.every(({ weightBps }, index) => weightBps > (list[index - 1]?.weightBps ?? 0)),
  },
  {
    rule: `self[size(self) - 1].weightBps == ${String(WHOLE_BPS)}`,
    message: "the last stage must have weightBps 10000",
    check: (list) => list.at(-1)?.weightBps === WHOLE_BPS,
  },
]);

const stagesField = stages.meta({
  ...stages.meta(),
  description:
    "Ladder of the release, judged at every step. One stage of 10000 is a blue-green release: the new version is at full size before it gets a request.",
});

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

const requestShape = z.strictObject({
  id: z
    .string()
    .min(1)
    .max(63)
    .regex(/^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/)
    .meta({ description: "Names the request: each id is carried out once, whatever is applied again." }),
  action: z.enum(["Promote", "PromoteFull", "Abort", "Retry", "Skip", "Jump"]).meta({
    description:
      "Promote leaves a pause or a stage that waits for approval. PromoteFull ends the ladder: full size first, then all requests. Abort takes the release back. Retry begins a release that was taken back again. Skip goes to the next stage without a verdict. Jump goes to a stage.",
  }),
  stage: z
    .int()
    .min(0)
    .max(STAGES_MAX - 1)
    .meta({ description: "Index of the stage, from 0; only for Jump." })
    .exactOptional(),
});
export type RolloutRequest = z.output<typeof requestShape>;

const request = withRules(requestShape, [
  {
    rule: "self.action != 'Jump' || has(self.stage)",
    message: "action Jump needs a stage",
    check: ({ action, stage: to }) => action !== "Jump" || to !== undefined,
  },
  {
    rule: "self.action == 'Jump' || !has(self.stage)",
    message: "stage is only for action Jump",
    check: ({ action, stage: to }) => action === "Jump" || to === undefined,
  },
]);

const specShape = z.strictObject({
  target: target.meta({ ...target.meta(), description: "What is released." }),
  replicas: z
    .int()
    .min(1)
    .max(1_000)
    .meta({
      description:
        "Pods of the version that serves; those of the Deployment unless told. Set it when the Deployment itself is to have no pods.",
    })
    .exactOptional(),
  service: service.meta({
    ...service.meta(),
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
  stages: stagesField.default(LADDER),
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
  paused: z
    .boolean()
    .meta({
      description: "True holds a release, and its weights, where they are. It is still watched: harm takes it back.",
    })
    .default(false),
  request: request
    .meta({
      ...request.meta(),
      description: "What a person asks for, once for each id; `shieldx rollout` writes it, Git may.",
    })
    .exactOptional(),
});

/** `spec` of a Rollout, after defaulting. */
export const rolloutSpec = withRules(specShape, [
  {
    rule: "!has(self.analysis.source.gateway) || self.analysis.source.gateway.flavour != 'Envoy' || self.traffic.gatewayAPI.kind != 'GRPCRoute'",
    message: "Envoy counts gRPC by its HTTP codes, which know no failures: take analysis.source.pods for a GRPCRoute",
    check: ({ analysis, traffic }) =>
      analysis.source.gateway?.flavour !== "Envoy" || traffic.gatewayAPI.kind !== "GRPCRoute",
  },
]);

const colour = z.enum(["Blue", "Green"]);
export type Colour = z.output<typeof colour>;

const revision = z.string().max(63);
const time = z.iso.datetime();

/** Where a release stands. */
export const PHASES = [
  "Idle",
  "Preparing",
  "Verifying",
  "Canary",
  "Baking",
  "Switching",
  "Retiring",
  "RollingBack",
] as const;
const phase = z.enum(PHASES);
export type Phase = z.output<typeof phase>;

/** How a release ended. */
export const OUTCOMES = ["Promoted", "FastPromoted", "RolledBack", "Aborted", "Superseded"] as const;
const outcome = z.enum(OUTCOMES);
export type Outcome = z.output<typeof outcome>;

const version = z.strictObject({
  colour: colour.meta({ description: "Its Deployment and Service are <name>-<colour>." }),
  revision: revision.meta({ description: "Hash of its pod template, its ports and the configuration that it reads." }),
  since: time.meta({ description: "When it got this role." }),
});
export type Version = z.output<typeof version>;

const ended = z.strictObject({
  revision: revision.meta({ description: "Revision that was released." }),
  outcome: outcome.meta({ description: "How the release ended." }),
  reason: z.string().max(64).meta({ description: "Why, as one CamelCase word." }),
  message: z.string().max(1_024).meta({ description: "Why, as a sentence with the numbers in it." }),
  startedAt: time.meta({ description: "When the release began." }),
  endedAt: time.meta({ description: "When all requests went to one version again." }),
});
export type EndedRelease = z.output<typeof ended>;

/** Releases that are remembered. */
export const HISTORY_MAX = 10;

/** Ids of requests that are remembered. */
export const REQUESTS_MAX = 10;

const bps = z.int().min(0).max(WHOLE_BPS);

/** `status` of a Rollout. */
export const rolloutStatus = z.strictObject({
  observedGeneration,
  conditions: conditions.exactOptional(),
  phase: phase.meta({ description: "Where the release stands." }).exactOptional(),
  stable: version.meta({ description: "Version that serves: the one to which a release goes back." }).exactOptional(),
  canary: version.meta({ description: "Version that is being released." }).exactOptional(),
  stage: z
    .int()
    .min(0)
    .max(STAGES_MAX - 1)
    .meta({ description: "Index of the stage, from 0." })
    .exactOptional(),
  step: z
    .string()
    .max(32)
    .meta({ description: "Stage and number of stages as people count them: 2/5." })
    .exactOptional(),
  phaseSince: time.meta({ description: "When the phase, or the stage, began." }).exactOptional(),
  verifiedAt: time
    .meta({ description: "When the gateway was seen to have taken the weight of the stage." })
    .exactOptional(),
  losses: z
    .int()
    .min(0)
    .meta({ description: "How often none of its pods was ready any more at this stage, while it had requests." })
    .exactOptional(),
  lostAt: time
    .meta({
      description: "Since when the weight of the stage is lost again: pods are not ready, or the gateway waits.",
    })
    .exactOptional(),
  stageBps: bps
    .meta({
      description:
        "Weight of the stage when it began, in hundredths of a percent. It holds its place where the ladder is edited meanwhile.",
    })
    .exactOptional(),
  heldSince: time.meta({ description: "Since when spec.paused holds the release." }).exactOptional(),
  isFastTrack: z
    .boolean()
    .meta({ description: "True for a return to a revision that was stable recently: it is not judged." })
    .exactOptional(),
  weight: z
    .strictObject({
      desiredBps: bps.meta({ description: "Share that the new version is to get." }),
      observedBps: bps.meta({ description: "Share in the route that the gateway has accepted." }).exactOptional(),
      measuredBps: bps
        .meta({
          description:
            "Share of the requests that it was seen to answer at this stage; refreshed at most every 10 seconds.",
        })
        .exactOptional(),
    })
    .meta({ description: "Share of the requests, in hundredths of a percent." })
    .exactOptional(),
  share: z
    .string()
    .max(16)
    .meta({ description: "Share that the new version is to get, as people read it: 5 %." })
    .exactOptional(),
  verify: rolloutChecks
    .meta({
      ...rolloutChecks.meta(),
      description: "What came of the checks of spec.verify, for the release under way.",
    })
    .exactOptional(),
  verdict: z
    .strictObject({
      verdict: z.enum(VERDICTS).meta({ description: "What the judge says of the stage." }),
      reason: z.enum(VERDICT_REASONS).meta({ description: "Why, as one word." }),
      message: z.string().max(500).meta({ description: "Why, as a sentence; refreshed at most every 10 seconds." }),
    })
    .meta({ description: "What the judge last said." })
    .exactOptional(),
  pause: z
    .strictObject({
      reason: z.enum(["Approval", "MaxHold", "Unknown"]).meta({ description: "For what the release waits." }),
      since: time.meta({ description: "Since when." }),
    })
    .meta({ description: "The release waits for a person: request Promote goes on, Abort goes back." })
    .exactOptional(),
  retreat: z
    .strictObject({
      reason: z.string().max(64).meta({ description: "Why the release goes back, as one word." }),
      message: z.string().max(1_024).meta({ description: "Why, as a sentence." }),
      outcome: outcome.meta({ description: "How it will have ended." }),
      decidedAt: time.meta({ description: "When it was decided." }),
      observedAt: time.meta({ description: "When the gateway was seen to have taken weight 0." }).exactOptional(),
      forcedAt: time
        .meta({ description: "When its pods were stopped, for the gateway had not taken weight 0 in 30 seconds." })
        .exactOptional(),
    })
    .meta({ description: "Why the release goes back, and when its last share was taken." })
    .exactOptional(),
  failedRevision: revision
    .meta({ description: "Revision that was taken back: it is not released again without request Retry." })
    .exactOptional(),
  lastRequest: z
    .strictObject({
      id: z.string().max(63).meta({ description: "The request." }),
      action: z.string().max(32).meta({ description: "What was asked for." }),
      result: z.enum(["Done", "Refused"]).meta({ description: "What became of it." }),
      message: z.string().max(512).meta({ description: "As a sentence." }),
      at: time.meta({ description: "When." }),
    })
    .meta({ description: "The request that was carried out, or refused, last." })
    .exactOptional(),
  requestIds: listAtomic(z.array(z.string().max(63)).max(REQUESTS_MAX))
    .meta({ description: "The last requests that were carried out or refused, the newest first." })
    .exactOptional(),
  releases: listAtomic(z.array(ended).max(HISTORY_MAX))
    .meta({ description: "The last releases, the newest first." })
    .exactOptional(),
  releaseStartedAt: time.meta({ description: "When the release under way began." }).exactOptional(),
});

export type RolloutSpec = z.output<typeof rolloutSpec>;
export type RolloutStatus = z.output<typeof rolloutStatus>;
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
