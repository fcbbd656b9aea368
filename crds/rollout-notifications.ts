/** Who is told of a Rollout's releases, and what of. */
import { z } from "zod";
import { deliveriesOf, notificationsOf, outboxOf } from "./notifications.ts";
import { WHOLE_BPS } from "./rollout-ladder.ts";
import { VERDICTS } from "./rollout-run.ts";

/** What happens in a release. */
export const ROLLOUT_EVENTS = [
  "ReleaseStarted",
  "StagePassed",
  "Paused",
  "Resumed",
  "RetreatStarted",
  "TrafficRestored",
  "RolledBack",
  "Promoted",
  "Aborted",
  "Superseded",
] as const;
export type RolloutEvent = (typeof ROLLOUT_EVENTS)[number];

/** `spec.notifications` of a Rollout. */
export const rolloutNotifications = notificationsOf(ROLLOUT_EVENTS);

/** `status.outbox` of a Rollout. */
export const rolloutOutbox = outboxOf(ROLLOUT_EVENTS, {
  revision: z.string().max(63).meta({ description: "Revision of the release." }),
  stable: z.string().max(63).meta({ description: "Revision that served." }).exactOptional(),
  startedAt: z.iso.datetime().meta({ description: "When the release began." }).exactOptional(),
  stage: z.int().min(0).max(99).meta({ description: "Index of the stage, from 0." }).exactOptional(),
  weightBps: z
    .int()
    .min(0)
    .max(WHOLE_BPS)
    .meta({ description: "Share of the requests that the new version has, in hundredths of a percent." }),
  verdict: z.enum(VERDICTS).meta({ description: "What the judge said last." }).exactOptional(),
  reason: z.string().max(64).meta({ description: "Why, as one CamelCase word." }),
  message: z.string().max(1_024).meta({ description: "Why, as a sentence with the numbers in it." }),
});
export type RolloutEntry = z.output<typeof rolloutOutbox>[number];

/** `status.notifications` of a Rollout. */
export const rolloutDeliveries = deliveriesOf(ROLLOUT_EVENTS);
export type RolloutDelivery = z.output<typeof rolloutDeliveries>[number];
