/** Single steps of a release: what the progress is after each of them. */
import { type EndedRelease, HISTORY_MAX, type Outcome, type Phase, type Version } from "../../crds/rollout-status.ts";
import { type Cause, otherColour, type Progress } from "./rollout.progress.ts";

const iso = (now: number): string => new Date(now).toISOString();

/** What belongs to a phase or stage, and ends with it. */
function withoutPhase(progress: Progress): Progress {
  const { stage: _, stageBps: __, verifiedAt: ___, lostAt: ____, losses: _____, pause: ______, ...rest } = progress;
  return rest;
}

/** Another phase, or another stage. @param now milliseconds since the epoch, here and below */
export function goTo(progress: Progress, phase: Phase, now: number, stage?: number): Progress {
  const since = { phase, phaseSince: iso(now) };
  return { ...withoutPhase(progress), ...since, ...(stage === undefined ? {} : { stage }) };
}

/** A new release begins: the pods of its version are made first. */
export function begin(
  progress: Progress,
  revision: string,
  how: { readonly isFastTrack: boolean; readonly now: number },
): Progress {
  const colour = progress.stable === undefined ? "Blue" : otherColour(progress.stable.colour);
  const {
    failedRevision: _,
    isFastTrack: __,
    verify: ___,
    ignoresWindows: ____,
    isShadowed: _____,
    ...rest
  } = progress;
  const canary: Version = { colour, revision, since: iso(how.now) };
  return {
    ...goTo(rest, "Preparing", how.now),
    canary,
    releaseStartedAt: iso(how.now),
    ...(how.isFastTrack ? { isFastTrack: true } : {}),
  };
}

/** The release goes back. */
export function retreatFor(progress: Progress, { outcome, reason, message }: Cause, now: number): Progress {
  return {
    ...goTo(progress, "RollingBack", now),
    retreat: { outcome, reason, message: message.slice(0, MESSAGE_MAX), decidedAt: iso(now) },
  };
}

/** Longest message in the status. */
const MESSAGE_MAX = 1_024;

/** The canary serves everything: it is the stable version now, and the former one is drained. */
export function promoteCanary(progress: Progress, now: number): Progress {
  const { canary, stable, isFastTrack } = progress;
  if (canary === undefined) return progress;
  const outcome: Outcome = isFastTrack === true ? "FastPromoted" : "Promoted";
  const message = stable === undefined ? "the first version" : `in the place of revision ${stable.revision}`;
  const told = remember(progress, { outcome, reason: outcome, message }, now);
  const next = { ...endRelease(told), stable: { ...canary, since: iso(now) } };
  return goTo(next, stable === undefined ? "Idle" : "Retiring", now);
}

/** The canary has no share, and its pods may go. */
export function endRetreat(progress: Progress, now: number): Progress {
  const { retreat, canary } = progress;
  if (retreat === undefined || canary === undefined) return goTo(endRelease(progress), "Idle", now);
  const told = goTo(endRelease(remember(progress, retreat, now)), "Idle", now);
  // Nothing was wrong with a version that another one took the place of.
  return retreat.outcome === "Superseded" ? told : { ...told, failedRevision: canary.revision };
}

function endRelease(progress: Progress): Progress {
  const { canary: _, retreat: __, isFastTrack: ___, isShadowed: ____, ...kept } = progress;
  const { releaseStartedAt: _____, verify: ______, ignoresWindows: _______, heldReplicas: ________, ...rest } = kept;
  return rest;
}

function remember(progress: Progress, { outcome, reason, message }: Cause, now: number): Progress {
  const { canary, releases = [], releaseStartedAt = iso(now) } = progress;
  if (canary === undefined) return progress;
  const { revision } = canary;
  const ended: EndedRelease = { revision, outcome, reason, message, startedAt: releaseStartedAt, endedAt: iso(now) };
  return { ...progress, releases: [ended, ...releases].slice(0, HISTORY_MAX) };
}
