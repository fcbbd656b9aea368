/** Whether a release may begin, and how. */

import { areFlagsMissing } from "./flags/memory.ts";
import { lackOf } from "./rollout.mirror.ts";
import { isToBegin, type Progress, type ReleaseFacts } from "./rollout.progress.ts";
import { isWeightTaken } from "./rollout.weights.ts";

/** A release that could begin. */
export interface Start {
  readonly revision: string;
  /** It was verified, and served everything, a moment ago. */
  readonly isFastTrack: boolean;
  /** It waits for a window. */
  readonly waits: boolean;
}

/** @param now milliseconds since the epoch */
export function startOf(progress: Progress, facts: ReleaseFacts, now: number): Start | undefined {
  const { wanted, spec, closed } = facts;
  const { stable, canary, phase } = progress;
  if (phase !== "Idle" || canary !== undefined || spec.paused) return undefined;
  if (wanted === undefined || !isToBegin(progress, facts)) return undefined;
  // The colour of the new version has no share of the requests, by the gateway's own word.
  if (stable !== undefined && !isWeightTaken(progress, facts)) return undefined;
  const isFastTrack = isRecent(progress, facts, now);
  // What served a moment ago needs no copies, and no testers; a first version has neither.
  if (stable !== undefined && !isFastTrack && lackOf(facts) !== undefined) return undefined;
  // What it is to be judged with could not be raised. The first version, and a return, raise nothing.
  if (stable !== undefined && !isFastTrack && areFlagsMissing(facts)) return undefined;
  return { revision: wanted, isFastTrack, waits: closed !== undefined && stable !== undefined && !isFastTrack };
}

/** The revision was stable so recently that it need not be judged again. */
function isRecent({ releases = [] }: Progress, { wanted, spec }: ReleaseFacts, now: number): boolean {
  const promoted = releases.filter(({ outcome }) => outcome === "Promoted" || outcome === "FastPromoted");
  const index = promoted.findIndex(({ revision }) => revision === wanted);
  const follower = promoted[index - 1];
  return follower !== undefined && now - Date.parse(follower.endedAt) < spec.rollback.windowSeconds * 1_000;
}
