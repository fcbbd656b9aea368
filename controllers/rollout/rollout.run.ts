/** The runs by which a release is judged: one of its copies of requests, where it begins with them, and one of its stages. */
import type { Rollout, RolloutSpec } from "../../crds/rollout.ts";
import { policyOf } from "../../crds/rollout-analysis.ts";
import { PERCENT_BPS } from "../../crds/rollout-ladder.ts";
import type { RolloutPolicy } from "../../crds/rollout-policy.ts";
import type { Progress } from "./rollout.progress.ts";

/** What the name of a run of copies ends with. */
const OF_COPIES = "/shadow";

/** Names the run of the release under way: the same revision that is released again is judged anew, and so are its stages after copies. */
export function runName({ status }: Pick<Rollout, "status">): string | undefined {
  const { canary, releaseStartedAt, phase } = status ?? {};
  if (canary === undefined) return undefined;
  return `${canary.revision}@${releaseStartedAt ?? ""}${phase === "Shadowing" ? OF_COPIES : ""}`;
}

/** Both are runs of one release. */
export function isOfOneRelease(one: string, other: string): boolean {
  return releaseIn(one) === releaseIn(other);
}

function releaseIn(name: string): string {
  return name.endsWith(OF_COPIES) ? name.slice(0, -OF_COPIES.length) : name;
}

/**
 * By what the release is judged now. The rate of false rollbacks is for the release as a whole, so that each of two runs has half of
 * it. What copies show is evidence of no stage: users, and what they ask for, may be others.
 */
export function runPolicy(
  { phase, isShadowed }: Pick<Progress, "phase" | "isShadowed">,
  { analysis, stages, shadow }: Pick<RolloutSpec, "analysis" | "stages" | "shadow">,
): RolloutPolicy {
  if (isShadowed !== true) return policyOf(analysis, stages);
  if (phase !== "Shadowing" || shadow === undefined) return halved(policyOf(analysis, stages));
  const { percent, durationSeconds, minSamples, maxErrorRateBps } = shadow;
  const stage = { weightBps: percent * PERCENT_BPS, holdSeconds: durationSeconds, minSamples, maxErrorRateBps };
  return halved(policyOf(analysis, [stage]));
}

function halved(policy: RolloutPolicy): RolloutPolicy {
  return { ...policy, falseRollbackRate: policy.falseRollbackRate / 2 };
}
