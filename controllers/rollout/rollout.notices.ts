/** What is told of a release: each transition as an event with its sentence. */

import { WHOLE_BPS } from "../../crds/rollout-ladder.ts";
import type { RolloutEntry, RolloutEvent } from "../../crds/rollout-notifications.ts";
import type { Outcome, RolloutStatus } from "../../crds/rollout-status.ts";
import { contentHash } from "../../lib/core/canonical.ts";
import { omitUndefined } from "../../lib/core/objects.ts";
import { shareText } from "./rollout.sentences.ts";
import { type PauseReason, type Transition, transitionsOf } from "./rollout.transitions.ts";

/** Two statuses, one step apart. */
export interface StatusStep {
  readonly before: RolloutStatus | undefined;
  readonly after: RolloutStatus;
  readonly uid: string;
  /** Stages of the ladder. */
  readonly stages: number;
}

/** An event without its receivers. */
export type Notice = Omit<RolloutEntry, "to">;

/**
 * What happened between two statuses, in the order in which it is told. Made before the second one is written, with it: a status that
 * the server did not take is told to nobody, and the next try may tell other times. @param now milliseconds since the epoch
 */
export function noticesOf(step: StatusStep, now: number): readonly Notice[] {
  return transitionsOf(step.before, step.after).map((transition) => noticeOf(transition, step, now));
}

function noticeOf(transition: Transition, step: StatusStep, now: number): Notice {
  const { before, after, uid } = step;
  const told = toldOf(transition, step);
  const isResumed = transition.type === "resumed";
  const ended = transition.type === "ended" ? transition.release : undefined;
  const startedAt = ended?.startedAt ?? after.releaseStartedAt;
  const moment = isResumed ? transition.since : transition.at;
  return omitUndefined({
    // Each happens once at that moment, so that the same event has the same name, whoever tells it.
    id: contentHash([uid, told.event, startedAt, moment], ID_LENGTH),
    at: isResumed ? new Date(now).toISOString() : moment,
    revision: ended?.revision ?? after.canary?.revision ?? "",
    stable: before?.stable?.revision,
    startedAt,
    stage: ended === undefined ? after.stage : before?.stage,
    verdict: after.verdict?.verdict ?? before?.verdict?.verdict,
    ...told,
    message: told.message.slice(0, MESSAGE_MAX),
  });
}

/** Hex digits of an event's name. */
const ID_LENGTH = 32;
const MESSAGE_MAX = 1_024;

type Told = Pick<Notice, "event" | "reason" | "message" | "weightBps"> & Partial<Pick<Notice, "stage">>;

function toldOf(transition: Transition, step: StatusStep): Told {
  const { before, after } = step;
  switch (transition.type) {
    case "started":
      return startOf(after);
    case "paused": {
      const { reason } = transition;
      const said = after.verdict === undefined ? "" : `; ${after.verdict.message}`;
      return { event: "Paused", reason, message: `${PAUSES[reason]}${said}`, weightBps: shareOf(after) };
    }
    case "resumed":
      return { event: "Resumed", reason: "Resumed", message: "the release goes on", weightBps: shareOf(after) };
    case "stage-passed":
      return passedStageOf(transition, step);
    case "retreat": {
      const message = after.retreat?.message ?? "";
      const place = before?.stage === undefined ? {} : { stage: before.stage };
      return { event: "RetreatStarted", reason: transition.reason, message, weightBps: shareOf(before), ...place };
    }
    case "taken-back": {
      const { seconds } = transition;
      const stable = after.stable?.revision ?? "";
      const message = `all requests go to revision ${stable} again, ${String(seconds)} s after the decision`;
      return { event: "TrafficRestored", reason: after.retreat?.reason ?? "TakenBack", message, weightBps: 0 };
    }
    case "ended": {
      const { reason, message } = transition.release;
      const event = ENDS[transition.outcome];
      return { event, reason, message, weightBps: event === "Promoted" ? WHOLE_BPS : 0 };
    }
  }
}

function startOf({ canary, stable, isFastTrack }: RolloutStatus): Told {
  const place = stable === undefined ? "the first version" : `in the place of revision ${stable.revision}`;
  return {
    event: "ReleaseStarted",
    reason: isFastTrack === true ? "RecentRevision" : "NewRevision",
    message: `revision ${canary?.revision ?? ""} is released, ${place}`,
    weightBps: 0,
  };
}

function passedStageOf(
  { stage, isAsked }: Extract<Transition, { type: "stage-passed" }>,
  { before, after, stages }: StatusStep,
): Told {
  const weightBps = before?.stageBps ?? 0;
  const { lastRequest, verdict } = after;
  const [reason, why] = isAsked ? [lastRequest?.action, lastRequest?.message] : [verdict?.reason, verdict?.message];
  const place = `stage ${String(stage + 1)} of ${String(stages)} at ${shareText(weightBps)} is over`;
  const message = why === undefined ? place : `${place}: ${why}`;
  return { event: "StagePassed", reason: reason ?? "Passed", message, weightBps, stage };
}

const PAUSES: Readonly<Record<PauseReason, string>> = {
  Approval: "the stage has passed and waits for approval",
  MaxHold: "the stage has not passed in the time that it may take, and waits for a person",
  Unknown: "the release cannot be judged, and waits for a person",
  Held: "somebody holds the release",
};

const ENDS: Readonly<Record<Outcome, RolloutEvent>> = {
  Promoted: "Promoted",
  FastPromoted: "Promoted",
  RolledBack: "RolledBack",
  Aborted: "Aborted",
  Superseded: "Superseded",
};

/** Share that the new version is to get. */
function shareOf(status: RolloutStatus | undefined): number {
  return status?.weight?.desiredBps ?? 0;
}
