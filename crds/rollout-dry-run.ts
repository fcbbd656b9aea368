/** Another policy than the one that decides: judged beside it, on the same counts, so that it is known before it decides. */
import { z } from "zod";
import { listAtomic } from "./common.ts";
import { STAGES_MAX } from "./rollout-ladder.ts";
import { promoteRatioPercent, rateBps, ratioPercent } from "./rollout-rates.ts";

const ratios = {
  ratioPercent: ratioPercent(
    "Up to this many times the stable version's share is a good release (θ0).",
  ).exactOptional(),
  promoteRatioPercent: promoteRatioPercent.exactOptional(),
};

const gates = z.strictObject({
  holdSeconds: z.int().min(0).max(86_400).meta({ description: "As holdSeconds of the stage." }).exactOptional(),
  minSamples: z.int().min(1).max(1_000_000_000).meta({ description: "As minSamples of the stage." }).exactOptional(),
  maxErrorRateBps: z.int().min(1).max(9_000).meta({ description: "As maxErrorRateBps of the stage." }).exactOptional(),
});

/** `spec.analysis.dryRun` of a Rollout. What it does not name is as in the policy that decides. */
export const rolloutDryRun = z.strictObject({
  falseRollbackRateBps: rateBps.meta({ description: "As analysis.falseRollbackRateBps." }).exactOptional(),
  falsePromotionRateBps: rateBps.meta({ description: "As analysis.falsePromotionRateBps." }).exactOptional(),
  errors: z.strictObject(ratios).meta({ description: "As analysis.errors." }).exactOptional(),
  latency: z
    .strictObject({
      quantileBps: z.int().min(1).max(9_999).meta({ description: "As analysis.latency.quantileBps." }).exactOptional(),
      ...ratios,
      required: z.boolean().meta({ description: "As analysis.latency.required." }).exactOptional(),
    })
    .meta({ description: "As analysis.latency, which must be there for latency to be counted." })
    .exactOptional(),
  stages: listAtomic(z.array(gates).min(1).max(STAGES_MAX))
    .meta({ description: "Gates of each stage of the ladder, in its order. The weights are those of the ladder." })
    .exactOptional(),
});
export type RolloutDryRun = z.output<typeof rolloutDryRun>;

/** What another policy would have done with a release, the gravest first. */
export const DRY_RUN_DECISIONS = ["WouldRollBack", "WouldGoOn", "WouldWait", "WouldPassEarlier", "Same"] as const;
export type DryRunDecision = (typeof DRY_RUN_DECISIONS)[number];

/** Releases of which it is told what another policy would have done. */
export const DRY_RUNS_MAX = 10;

const release = z.strictObject({
  release: z.string().max(128).meta({ description: "Revision, and when its release began." }),
  decision: z.enum(DRY_RUN_DECISIONS).meta({
    description:
      "What the other policy would have done with the same counts; Same where it decides as the present one.",
  }),
  message: z.string().max(700).meta({ description: "Where they part, as a sentence with the numbers in it." }),
});

/** `status.dryRun` of a Rollout. */
export const rolloutDryRunStatus = z.strictObject({
  policy: z.string().max(64).meta({ description: "Hash of the policy that was judged; another one begins anew." }),
  releases: listAtomic(z.array(release).max(DRY_RUNS_MAX)).meta({
    description: "What it would have done with the last releases, the newest first; the one under way among them.",
  }),
});
export type DryRunStatus = z.output<typeof rolloutDryRunStatus>;
