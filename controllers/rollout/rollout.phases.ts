/**
 * The phase machine of a release: from what is remembered and what is so, to what is remembered next. It is asked at every
 * reconcile, and each step is written to the status before anything is done about it, so that a crash anywhere goes on there.
 *
 *   Idle ─► Preparing ─► Verifying ─► Shadowing ─► Canary[0] ─► … ─► Canary[last] ─► Baking ─► Switching ─► Retiring ─► Idle
 *               │            │            │            └──────── any of them ────────────┘         │
 *               └────────────┴────────────┴──────────────► RollingBack ◄──────────────────────────┘ ─► Idle
 *
 * The first version goes from Verifying to Switching; a return to one that was stable a moment ago goes there from Preparing.
 * Where the spec asks for no check, nothing is verified; where it asks for no copies, there is no Shadowing.
 */
import type { Phase } from "../../crds/rollout-status.ts";
import { areFlagsWritten, rememberFlags } from "./flags/memory.ts";
import { isOnHold, withHeldReplicas } from "./rollout.hold.ts";
import { onLadder, withStageBps } from "./rollout.ladder.ts";
import { shadowOf } from "./rollout.mirror.ts";
import { isJudged, otherColour, type Progress, type ReleaseFacts } from "./rollout.progress.ts";
import { answerRequest } from "./rollout.requests.ts";
import { causeOfRetreat, failureOfChecks, isToBeForced, isUnknownTooLong } from "./rollout.retreat.ts";
import { startOf } from "./rollout.start.ts";
import { begin, endRetreat, goTo, promoteCanary, retreatFor } from "./rollout.steps.ts";
import { isCapacityReady, isWeightTaken, stageIndex } from "./rollout.weights.ts";
import { isVerified, rememberChecks } from "./verification/memory.ts";

/** The progress of a Rollout of which nothing is known. */
export const BEGINNING: Progress = { phase: "Idle" };

/** What is remembered next. Asked again with its own answer and the same world it says the same. @param now milliseconds since the epoch */
export function advance(progress: Progress, facts: ReleaseFacts, now: number): Progress {
  const placed = alone(onLadder(held(progress, facts, now), facts, now), facts, now);
  const asked = answerRequest(placed, facts, now);
  const cause = causeOfRetreat(asked, facts, now);
  if (cause !== undefined)
    return withHeldReplicas(rememberFlags(progress, retreatFor(asked, cause, now), facts), facts);
  const paused = pauseFor(checked(asked, facts, now), facts, now);
  const isStill = isHeld(paused, facts);
  const next = isStill ? verified(paused, facts, now) : STEPS[paused.phase](paused, facts, now);
  return withHeldReplicas(withStageBps(rememberFlags(progress, next, facts), facts), facts);
}

/** What is remembered of a Rollout that is left alone: nothing but since when. @param now milliseconds since the epoch */
export function leftAlone(progress: Progress, now: number): Progress {
  const isUnderWay = progress.canary !== undefined && progress.phase !== "RollingBack";
  if (!isUnderWay || progress.heldSince !== undefined) return progress;
  return { ...progress, heldSince: new Date(now).toISOString() };
}

/** Time during which somebody holds the release counts for nothing: what began before it begins that much later. */
function held(progress: Progress, facts: ReleaseFacts, now: number): Progress {
  const { heldSince, ...rest } = progress;
  const isUnderWay = progress.canary !== undefined && progress.phase !== "RollingBack";
  if (isOnHold(progress, facts) && isUnderWay) return leftAlone(progress, now);
  if (heldSince === undefined) return progress;
  return { ...rest, ...laterBy(rest, Date.parse(heldSince), now) };
}

const TIMERS = ["phaseSince", "verifiedAt", "lostAt"] as const satisfies readonly (keyof Progress)[];

function laterBy(progress: Progress, heldSince: number, now: number): Pick<Progress, (typeof TIMERS)[number]> {
  const later = (time: number): string => new Date(time + now - Math.max(heldSince, time)).toISOString();
  const timers = TIMERS.flatMap((name) => {
    const time = progress[name];
    return time === undefined ? [] : [[name, later(Date.parse(time))] as const];
  });
  return Object.fromEntries(timers);
}

/**
 * Nothing is left of the stable version: there is nothing to compare with, and nothing to go back to. On the ladder most requests would
 * have no answer, so that the new version is a first one.
 */
function alone(progress: Progress, facts: ReleaseFacts, now: number): Progress {
  const { stable: _, ...rest } = progress;
  if (facts.isStableGone !== true || facts.spec.paused || progress.phase === "RollingBack") return progress;
  const isOnLadder = progress.phase === "Canary" || progress.phase === "Baking";
  return isOnLadder ? goTo(rest, "Switching", now) : rest;
}

/** Notes what came of the checks; it counts once it is written. */
function checked(progress: Progress, facts: ReleaseFacts, now: number): Progress {
  if (progress.phase !== "Verifying") return progress;
  const { verify = [] } = progress;
  const next = rememberChecks(verify, { checks: facts.checks ?? [], isHeld: isOnHold(progress, facts) }, now);
  return { ...progress, verify: [...next] };
}

/** Steps wait for a person; a release that goes back waits for nobody. */
function isHeld(progress: Progress, facts: ReleaseFacts): boolean {
  if (progress.phase === "RollingBack" || progress.phase === "Retiring") return false;
  return progress.pause !== undefined || (isOnHold(progress, facts) && progress.canary !== undefined);
}

function pauseFor(progress: Progress, facts: ReleaseFacts, now: number): Progress {
  if (progress.pause !== undefined || isOnHold(progress, facts)) return progress;
  const reason = pauseReason(progress, facts, now);
  return reason === undefined ? progress : { ...progress, pause: { reason, since: new Date(now).toISOString() } };
}

function pauseReason(
  progress: Progress,
  facts: ReleaseFacts,
  now: number,
): NonNullable<Progress["pause"]>["reason"] | undefined {
  const { phase, verifiedAt } = progress;
  if (!isJudged(progress) || verifiedAt === undefined) return undefined;
  if (isUnknownTooLong(progress, facts, now)) return "Unknown";
  const stage = facts.spec.stages[stageIndex(progress, facts.spec)];
  if (phase === "Canary" && stage?.approval === true && isPassed(facts)) return "Approval";
  const maxMs =
    (phase === "Shadowing" ? (shadowOf(facts)?.maxDurationSeconds ?? 0) : (stage?.maxHoldSeconds ?? 0)) * 1_000;
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

/** The canary is fit for requests: the first version for all of them, any other one for copies of them where the spec asks for that. */
function firstRequests(progress: Progress, facts: ReleaseFacts, now: number): Progress {
  if (progress.stable === undefined) return goTo(progress, "Switching", now);
  return shadowOf(facts) === undefined
    ? goTo(progress, "Canary", now, 0)
    : { ...goTo(progress, "Shadowing", now), isShadowed: true };
}

type Step = (progress: Progress, facts: ReleaseFacts, now: number) => Progress;

const STEPS: Readonly<Record<Phase, Step>> = {
  Idle: (progress, facts, now) => {
    const { wanted } = facts;
    const { stable, failedRevision } = progress;
    if (wanted !== undefined && wanted === stable?.revision) {
      const { failedRevision: _, ...rest } = progress;
      return failedRevision === undefined ? progress : rest;
    }
    const start = startOf(progress, facts, now);
    return start === undefined || start.waits ? progress : begin(progress, start.revision, { ...start, now });
  },
  Preparing: (progress, facts, now) => {
    const replaced = replaceFirst(progress, facts, now);
    if (replaced !== undefined || !isCapacityReady(progress, facts)) return replaced ?? progress;
    // It was verified, and served everything, a moment ago.
    if (progress.isFastTrack === true) return goTo(progress, "Switching", now);
    return (facts.checks ?? []).length > 0 ? goTo(progress, "Verifying", now) : firstRequests(progress, facts, now);
  },
  Verifying: (progress, facts, now) => {
    const { stable, verify } = progress;
    const replaced = replaceFirst(progress, facts, now);
    if (replaced !== undefined) return replaced;
    const failure = failureOfChecks(progress, facts);
    // A first version has no share that could be taken, and there is none to go back to.
    if (failure !== undefined && stable === undefined) return endRetreat(retreatFor(progress, failure, now), now);
    return isVerified(verify, facts.checks) ? firstRequests(progress, facts, now) : progress;
  },
  Shadowing: (progress, facts, now) => {
    // Nobody asks for copies any more.
    if (shadowOf(facts) === undefined) return goTo(progress, "Canary", now, 0);
    const seen = verified(progress, facts, now);
    const isOver = seen.verifiedAt !== undefined && isPassed(facts) && seen === progress;
    return isOver ? goTo(seen, "Canary", now, 0) : seen;
  },
  Canary: (progress, facts, now) => {
    const seen = verified(progress, facts, now);
    if (seen.verifiedAt === undefined || !isPassed(facts) || seen !== progress) return seen;
    const next = stageIndex(seen, facts.spec) + 1;
    return next < facts.spec.stages.length ? goTo(seen, "Canary", now, next) : goTo(seen, "Baking", now);
  },
  Baking: (progress, facts, now) => {
    const seen = verified(progress, facts, now);
    if (seen.verifiedAt === undefined || !isPassed(facts)) return seen;
    const isOver = now - Date.parse(seen.verifiedAt) >= facts.spec.bakeSeconds * 1_000;
    return isOver ? goTo(seen, "Switching", now) : seen;
  },
  Switching: (progress, facts, now) => {
    const isThere = isCapacityReady(progress, facts) && isWeightTaken(progress, facts);
    return replaceFirst(progress, facts, now) ?? (isThere ? promoteCanary(progress, now) : progress);
  },
  Retiring: (progress, facts, now) => (isDrained(progress, facts, now) ? goTo(progress, "Idle", now) : progress),
  RollingBack: (progress, facts, now) => {
    const { retreat } = progress;
    if (retreat === undefined) return endRetreat(progress, now);
    const at = new Date(now).toISOString();
    if (retreat.observedAt === undefined) {
      if (isWeightTaken(progress, facts)) return { ...progress, retreat: { ...retreat, observedAt: at } };
      return isToBeForced(progress, now) ? { ...progress, retreat: { ...retreat, forcedAt: at } } : progress;
    }
    const drained = now - Date.parse(retreat.observedAt) >= facts.spec.drainSeconds * 1_000;
    return drained ? endRetreat(progress, now) : progress;
  },
};

/** The first version has nothing to go back to: another one takes its place. */
function replaceFirst(progress: Progress, { wanted }: ReleaseFacts, now: number): Progress | undefined {
  const isOther = wanted !== undefined && wanted !== progress.canary?.revision;
  return progress.stable === undefined && isOther ? begin(progress, wanted, { isFastTrack: false, now }) : undefined;
}

/**
 * Notes when the gateway was seen with the weight of the step, and the cluster with its flags. Where that is lost, hold and bake begin anew; the stage's own time
 * runs on, so that pods that come and go cannot keep it for ever.
 */
function verified(progress: Progress, facts: ReleaseFacts, now: number): Progress {
  if (!isJudged(progress)) return progress;
  const { verifiedAt, lostAt: _, ...rest } = progress;
  const at = new Date(now).toISOString();
  if (!isWeightTaken(progress, facts) || !areFlagsWritten(progress, facts)) {
    return verifiedAt === undefined ? progress : { ...rest, ...lossOfPods(progress, facts), lostAt: at };
  }
  return verifiedAt === undefined ? { ...rest, verifiedAt: at } : progress;
}

/** One more time that no pod of the canary was ready any more, while it had a share. */
function lossOfPods({ canary, losses = 0 }: Progress, { colours }: ReleaseFacts): Pick<Progress, "losses"> {
  return canary !== undefined && colours[canary.colour].ready === 0 ? { losses: losses + 1 } : {};
}

function isDrained(progress: Progress, { spec, colours }: ReleaseFacts, now: number): boolean {
  const { stable } = progress;
  const isEmpty = stable !== undefined && colours[otherColour(stable.colour)].replicas === 0;
  return isEmpty || now - since(progress) >= spec.drainSeconds * 1_000;
}
