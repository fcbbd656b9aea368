/** Where a Rollout stands, and what it remembers. */
import { z } from "zod";
import { conditions, listAtomic, observedGeneration } from "./common.ts";
import { rolloutDryRunStatus } from "./rollout-dry-run.ts";
import { raisedFlags } from "./rollout-flags.ts";
import { STAGES_MAX, WHOLE_BPS } from "./rollout-ladder.ts";
import { rolloutDeliveries, rolloutOutbox } from "./rollout-notifications.ts";
import { VERDICT_REASONS, VERDICTS } from "./rollout-run.ts";
import { rolloutChecks } from "./rollout-verify.ts";

const colour = z.enum(["Blue", "Green"]);
export type Colour = z.output<typeof colour>;

const revision = z.string().max(63);
const time = z.iso.datetime();

/** Where a release stands. */
export const PHASES = [
  "Idle",
  "Preparing",
  "Verifying",
  "Shadowing",
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

const adoptedRoute = z.strictObject({
  kind: z.enum(["HTTPRoute", "GRPCRoute"]).meta({ description: "Kind of the route." }),
  name: z.string().max(253).meta({ description: "Name of the route." }),
  adoption: z
    .string()
    .max(65_536)
    .meta({
      description: "What was changed of it, and how it was before, as JSON; the route has the same in an annotation.",
    })
    .exactOptional(),
  takes: z
    .int()
    .min(0)
    .meta({ description: "How often its backends were taken back from whoever wrote them, one time after the other." })
    .exactOptional(),
  takenAt: time.meta({ description: "When they were last taken back." }).exactOptional(),
  returnedAt: time
    .meta({ description: "Of a Rollout that is being deleted: when its routes were seen to lead to it no more." })
    .exactOptional(),
});
export type RouteMemory = z.output<typeof adoptedRoute>;

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
    .meta({
      description: "Stage and number of stages as people count them: 2/5; or the share that is copied: mirror 25 %.",
    })
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
  flags: raisedFlags
    .meta({
      ...raisedFlags.meta(),
      description:
        "Flags of spec.flags that take part in the release under way, or stay as an earlier one left them; all others are off.",
    })
    .exactOptional(),
  heldSince: time.meta({ description: "Since when spec.paused holds the release." }).exactOptional(),
  isFastTrack: z
    .boolean()
    .meta({ description: "True for a return to a revision that was stable recently: it is not judged." })
    .exactOptional(),
  heldReplicas: z
    .int()
    .min(1)
    .meta({ description: "Pods that the stable version had when the release began: no autoscaler takes it below." })
    .exactOptional(),
  ignoresWindows: z
    .boolean()
    .meta({ description: "True for a release that a request lets go on outside of spec.windows." })
    .exactOptional(),
  isShadowed: z
    .boolean()
    .meta({
      description:
        "True once the release has been judged by copies of requests: the rate of false rollbacks is divided between that and its stages.",
    })
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
      mirrorPercent: z
        .int()
        .min(1)
        .max(100)
        .meta({ description: "Share of the requests of which the new version is to get copies, in percent." })
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
  dryRun: rolloutDryRunStatus
    .meta({ description: "What the policy of analysis.dryRun would have done." })
    .exactOptional(),
  route: adoptedRoute
    .meta({ description: "What is remembered of the route of traffic.gatewayAPI.route." })
    .exactOptional(),
  releaseStartedAt: time.meta({ description: "When the release under way began." }).exactOptional(),
  outbox: rolloutOutbox
    .meta({
      ...rolloutOutbox.meta(),
      description: "Events that some receiver of spec.notifications does not have yet, the oldest first.",
    })
    .exactOptional(),
  notifications: rolloutDeliveries
    .meta({
      ...rolloutDeliveries.meta(),
      description: "What became of the last event for each receiver of spec.notifications.",
    })
    .exactOptional(),
});
export type RolloutStatus = z.output<typeof rolloutStatus>;
