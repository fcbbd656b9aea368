/**
 * The phase machine of a release: from what is remembered and what is so, to what is remembered next. It is asked at every
 * reconcile, and each step is written to the status before anything is done about it, so that a crash anywhere goes on there.
 *
 *   Idle ─► Preparing ─► Canary[0] ─► … ─► Canary[last] ─► Baking ─► Switching ─► Retiring ─► Idle
 *               │            └──────── any of them ────────────┘         │
 *               └──────────────────► RollingBack ◄──────────────────────┘ ─► Idle
 *
 * The first version, and a return to one that was stable a moment ago, go from Preparing to Switching.
 */
import type { Phase } from "../../crds/rollout.ts";
import { otherColour, type Progress, type ReleaseFacts } from "./rollout.progress.ts";
import { answerRequest } from "./rollout.requests.ts";
import { causeOfRetreat, isUnknownTooLong } from "./rollout.retreat.ts";
import { begin, endRetreat, goTo, promoteCanary, retreatFor } from "./rollout.steps.ts";
import { isCapacityReady, isWeightTaken, stageIndex } from "./rollout.weights.ts";

/** The progress of a Rollout of which nothing is known. */
export const BEGINNING: Progress = { phase: "Idle" };

/** What is remembered next. Asked again with its own answer and the same world it says the same. @param now milliseconds since the epoch */
export function advance(progress: Progress, facts: ReleaseFacts, now: number): Progress {
  const asked = answerRequest(held(progress, facts, now), facts, now);
  const cause = causeOfRetreat(asked, facts, now);
  if (cause !== undefined) return retreatFor(asked, cause, now);
  const paused = pauseFor(asked, facts, now);
  if (isHeld(paused, facts)) return verified(paused, facts, now);
  return STEPS[paused.phase](paused, facts, now);
}

/** Time during which somebody holds the release counts for nothing: what began before it begins that much later. */
function held(progress: Progress, { spec }: ReleaseFacts, now: number): Progress {
  const { heldSince, ...rest } = progress;
  const isUnderWay = progress.canary !== undefined && progress.phase !== "RollingBack";
  if (spec.paused && isUnderWay)
    return heldSince === undefined ? { ...rest, heldSince: new Date(now).toISOString() } : progress;
  if (heldSince === undefined) return progress;
  const lost = now - Date.parse(heldSince);
  const { phaseSince } = rest;
  if (phaseSince === undefined) return rest;
  return { ...rest, phaseSince: new Date(Math.min(now, Date.parse(phaseSince) + lost)).toISOString() };
}

/** Steps wait for a person; a release that goes back waits for nobody. */
function isHeld(progress: Progress, { spec }: ReleaseFacts): boolean {
  if (progress.phase === "RollingBack" || progress.phase === "Retiring") return false;
  return progress.pause !== undefined || (spec.paused && progress.canary !== undefined);
}

function pauseFor(progress: Progress, facts: ReleaseFacts, now: number): Progress {
  if (progress.pause !== undefined || facts.spec.paused) return progress;
  const reason = pauseReason(progress, facts, now);
  return reason === undefined ? progress : { ...progress, pause: { reason, since: new Date(now).toISOString() } };
}

function pauseReason(
  progress: Progress,
  facts: ReleaseFacts,
  now: number,
): NonNullable<Progress["pause"]>["reason"] | undefined {
  const { phase, verifiedAt } = progress;
  if ((phase !== "Canary" && phase !== "Baking") || verifiedAt === undefined) return undefined;
  if (isUnknownTooLong(progress, facts, now)) return "Unknown";
  const stage = facts.spec.stages[stageIndex(progress, facts.spec)];
  if (phase === "Canary" && stage?.approval === true && isPassed(facts)) return "Approval";
  const maxMs = (stage?.maxHoldSeconds ?? 0) * 1_000;
  return maxMs > 0 && !isPassed(facts) && now - since(progress) >= maxMs + bakeMs(progress, facts)
    ? "MaxHold"
    : undefined;
}

function bakeMs({ phase }: Progress, { spec }: ReleaseFacts): number {
  return phase === "Baking" ? spec.bakeSeconds * 1_000 : 0;
}

function isPassed({ judged }: ReleaseFacts): boolean {
  return judged.verdict?.verdict === "Pass";
}

/** When the phase or stage began. */
function since({ phaseSince }: Progress): number {
  return phaseSince === undefined ? 0 : Date.parse(phaseSince);
}

type Step = (progress: Progress, facts: ReleaseFacts, now: number) => Progress;

const STEPS: Readonly<Record<Phase, Step>> = {
  Idle: (progress, facts, now) => {
    const { wanted } = facts;
    const { stable, failedRevision } = progress;
    if (wanted === undefined) return progress;
    if (wanted === stable?.revision) {
      const { failedRevision: _, ...rest } = progress;
      return failedRevision === undefined ? progress : rest;
    }
    if (wanted === failedRevision) return progress;
    return begin(progress, wanted, { isFastTrack: isRecent(progress, facts, now), now });
  },
  Preparing: (progress, facts, now) => {
    const { canary, stable, isFastTrack } = progress;
    const { wanted } = facts;
    // The first version has nothing to go back to: another one takes its place.
    if (stable === undefined && canary !== undefined && wanted !== undefined && wanted !== canary.revision) {
      return begin(progress, wanted, { isFastTrack: false, now });
    }
    if (!isCapacityReady(progress, facts)) return progress;
    const isUnjudged = stable === undefined || isFastTrack === true;
    return isUnjudged ? goTo(progress, "Switching", now) : goTo(progress, "Canary", now, 0);
  },
  Canary: (progress, facts, now) => {
    const seen = verified(progress, facts, now);
    if (seen.verifiedAt === undefined || !isPassed(facts) || seen !== progress) return seen;
    const next = stageIndex(seen, facts.spec) + 1;
    return next < facts.spec.stages.length ? goTo(seen, "Canary", now, next) : goTo(seen, "Baking", now);
  },
  Baking: (progress, facts, now) => {
    const seen = verified(progress, facts, now);
    const isOver = now - since(seen) >= facts.spec.bakeSeconds * 1_000;
    return seen.verifiedAt !== undefined && isOver && isPassed(facts) ? goTo(seen, "Switching", now) : seen;
  },
  Switching: (progress, facts, now) =>
    isCapacityReady(progress, facts) && isWeightTaken(progress, facts) ? promoteCanary(progress, now) : progress,
  Retiring: (progress, facts, now) => (isDrained(progress, facts, now) ? goTo(progress, "Idle", now) : progress),
  RollingBack: (progress, facts, now) => {
    const { retreat } = progress;
    if (retreat === undefined) return endRetreat(progress, now);
    if (retreat.observedAt === undefined) {
      if (!isWeightTaken(progress, facts)) return progress;
      return { ...progress, retreat: { ...retreat, observedAt: new Date(now).toISOString() } };
    }
    const drained = now - Date.parse(retreat.observedAt) >= facts.spec.drainSeconds * 1_000;
    return drained ? endRetreat(progress, now) : progress;
  },
};

/** Notes when the gateway was first seen with the weight of the step; where it has lost it, the step begins anew. */
function verified(progress: Progress, facts: ReleaseFacts, now: number): Progress {
  if (progress.phase !== "Canary" && progress.phase !== "Baking") return progress;
  const { verifiedAt, ...rest } = progress;
  if (!isWeightTaken(progress, facts))
    return verifiedAt === undefined ? progress : { ...rest, phaseSince: new Date(now).toISOString() };
  return verifiedAt === undefined ? { ...progress, verifiedAt: new Date(now).toISOString() } : progress;
}

function isDrained(progress: Progress, { spec, colours }: ReleaseFacts, now: number): boolean {
  const { stable } = progress;
  const isEmpty = stable !== undefined && colours[otherColour(stable.colour)].replicas === 0;
  return isEmpty || now - since(progress) >= spec.drainSeconds * 1_000;
}

/** The revision was stable so recently that it need not be judged again. */
function isRecent({ releases = [] }: Progress, { wanted, spec }: ReleaseFacts, now: number): boolean {
  const promoted = releases.filter(({ outcome }) => outcome === "Promoted" || outcome === "FastPromoted");
  const index = promoted.findIndex(({ revision }) => revision === wanted);
  const follower = promoted[index - 1];
  return follower !== undefined && now - Date.parse(follower.endedAt) < spec.rollback.windowSeconds * 1_000;
}
