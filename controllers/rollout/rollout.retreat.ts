/** When a release goes back, and what is said of it. A retreat is decided once; it cannot be taken back, only tried again later. */
import type { Policy } from "../kit/conditions.ts";
import { areFlagsWritten } from "./flags/memory.ts";
import { firstOf } from "./rollout.first.ts";
import {
  type Cause,
  isJudged,
  type KeptRetreat,
  type Progress,
  type ReleaseFacts,
  releaseOf,
} from "./rollout.progress.ts";
import { isWeightTaken } from "./rollout.weights.ts";
import { failedCheck } from "./verification/memory.ts";

interface Input {
  readonly progress: Progress;
  readonly facts: ReleaseFacts;
  readonly now: number;
}

/** The first check that finds something counts; harm before all. */
const CAUSES: readonly Policy<Input, Cause>[] = [
  ["the judge has found harm", harm],
  ["a check has failed", unverified],
  ["another replica has taken the share away", guarded],
  ["the spec asks for another version", superseded],
  ["pods or gateway are not ready in time", deadline],
  ["its pods come and go", unstable],
  ["nothing could be judged for too long", unknown],
];

/** Why the release under way is to go back, if it is. @param now milliseconds since the epoch */
export function causeOfRetreat(progress: Progress, facts: ReleaseFacts, now: number): Cause | undefined {
  if (releaseOf(progress) === undefined || progress.phase === "RollingBack") return undefined;
  return firstOf(CAUSES, { progress, facts, now });
}

function harm({ progress, facts }: Input): Cause | undefined {
  const { failure } = facts.judged;
  const isAnswering = isJudged(progress) || progress.phase === "Switching";
  if (failure === undefined || !isAnswering) return undefined;
  return { outcome: "RolledBack", reason: failure.reason, message: failure.message };
}

function unverified({ progress, facts }: Input): Cause | undefined {
  return failureOfChecks(progress, facts);
}

/** A check that is remembered to have failed. */
export function failureOfChecks(progress: Progress, { checks }: ReleaseFacts): Cause | undefined {
  if (progress.phase !== "Verifying") return undefined;
  const failed = failedCheck(progress.verify, checks);
  if (failed === undefined) return undefined;
  const [reason, what] = failed.isHealth
    ? ["HealthCheckFailed", "the health check failed"]
    : ["SmokeTestFailed", `smoke test ${failed.name} failed`];
  return { outcome: "RolledBack", reason, message: `${what}: ${failed.message}` };
}

function guarded({ progress, facts }: Input): Cause | undefined {
  const { retreat } = facts.route;
  if (retreat === undefined || !isOfRelease(progress, retreat)) return undefined;
  return { outcome: retreat.outcome, reason: retreat.reason, message: retreat.message };
}

/** The retreat that a route remembers is of the release under way, not of an earlier one of the same revision. */
export function isOfRelease({ canary, releaseStartedAt }: Progress, retreat: KeptRetreat): boolean {
  return retreat.revision === canary?.revision && retreat.startedAt === releaseStartedAt;
}

function superseded({ progress, facts }: Input): Cause | undefined {
  const { wanted } = facts;
  if (wanted === undefined || wanted === progress.canary?.revision) return undefined;
  const isReturn = wanted === progress.stable?.revision;
  const message = isReturn
    ? `the spec asks for revision ${wanted} again, which serves`
    : `the spec asks for revision ${wanted} now`;
  return { outcome: "Superseded", reason: isReturn ? "Reverted" : "Superseded", message };
}

/** What a release waits for in vain, but for a share. */
const WAITED_FOR: Readonly<Partial<Record<Progress["phase"], string>>> = {
  Preparing: "the pods of the new version are not ready",
  Shadowing: "the pods of the new version, or the gateway, are not ready for copies of requests",
};

/** A release that somebody holds has all the time of the world. */
function deadline({ progress, facts, now }: Input): Cause | undefined {
  const { phase, phaseSince, verifiedAt, lostAt = phaseSince, pause, heldSince } = progress;
  const waits = phase === "Preparing" || phase === "Switching" || (isJudged(progress) && verifiedAt === undefined);
  if (!waits || lostAt === undefined || pause !== undefined || heldSince !== undefined || facts.spec.paused) {
    return undefined;
  }
  const seconds = facts.spec.progressDeadlineSeconds;
  if (now - Date.parse(lostAt) < seconds * 1_000) return undefined;
  const what = lateText(progress, facts);
  return { outcome: "RolledBack", reason: "ProgressDeadlineExceeded", message: `${what} after ${String(seconds)} s` };
}

function lateText(progress: Progress, facts: ReleaseFacts): string {
  const { phase } = progress;
  const isAllButFlags = (phase === "Canary" || phase === "Baking") && isWeightTaken(progress, facts);
  if (isAllButFlags && !areFlagsWritten(progress, facts)) return "the flags of the new version are not raised";
  return WAITED_FOR[phase] ?? "the pods of the new version, or the gateway, are not ready for its share";
}

/** A node may be lost once, and a pod evicted; a version whose pods all die again and again under requests is ill. */
const LOSSES_MAX = 3;

function unstable({ progress: { losses = 0 } }: Input): Cause | undefined {
  if (losses < LOSSES_MAX) return undefined;
  const message = `${String(losses)} times none of its pods was ready any more while it had requests, at one stage`;
  return { outcome: "RolledBack", reason: "PodsUnstable", message };
}

function unknown({ progress, facts, now }: Input): Cause | undefined {
  if (facts.spec.rollback.onUnknown !== "Rollback" || !isUnknownTooLong(progress, facts, now)) return undefined;
  const seconds = String(facts.spec.rollback.unknownTimeoutSeconds);
  return { outcome: "RolledBack", reason: "NoData", message: `nothing could be judged for ${seconds} s` };
}

/** Time after which the pods of a version that was shown to do harm are stopped, though no gateway has taken weight 0. */
const FORCE_AFTER_MS = 30_000;

/**
 * The version was shown to do harm, and the gateway does not take its share away: no pods do no harm. A version of which nothing
 * bad is known keeps them, for without pods its share of the requests fails.
 */
export function isToBeForced({ retreat }: Progress, now: number): boolean {
  if (retreat === undefined || retreat.observedAt !== undefined || retreat.forcedAt !== undefined) return false;
  const isHarm = retreat.reason === "Harm" || retreat.reason === "SloBreach";
  return isHarm && now - Date.parse(retreat.decidedAt) >= FORCE_AFTER_MS;
}

/** Nothing could be judged for longer than the spec allows. */
export function isUnknownTooLong(progress: Progress, { judged, spec }: ReleaseFacts, now: number): boolean {
  if (!isJudged(progress)) return false;
  if (progress.verifiedAt === undefined || judged.unknownSince === undefined) return false;
  const since = Math.max(judged.unknownSince, Date.parse(progress.verifiedAt));
  return now - since >= spec.rollback.unknownTimeoutSeconds * 1_000;
}
