/** What has happened between two statuses of a Rollout: what is counted, and told to others. */
import type { EndedRelease, Outcome, RolloutStatus } from "../../crds/rollout-status.ts";

/** One thing that happens once in a release. @property at when, as RFC 3339 */
export type Transition =
  | { readonly type: "started"; readonly at: string }
  /** It waits for a person, or is held by one. */
  | { readonly type: "paused"; readonly at: string; readonly reason: PauseReason }
  /** @property since when it had waited; the statuses do not tell when it went on */
  | { readonly type: "resumed"; readonly since: string }
  /** @property stage that it passed, or left because somebody asked for it */
  | { readonly type: "stage-passed"; readonly at: string; readonly stage: number; readonly isAsked: boolean }
  /** It was decided to take the release back. */
  | { readonly type: "retreat"; readonly at: string; readonly outcome: Outcome; readonly reason: string }
  /** The gateway was seen to have taken weight 0. @property seconds since the decision */
  | { readonly type: "taken-back"; readonly at: string; readonly outcome: Outcome; readonly seconds: number }
  /** @property seconds since the release began */
  | {
      readonly type: "ended";
      readonly at: string;
      readonly outcome: Outcome;
      readonly seconds: number;
      readonly release: EndedRelease;
    };

export type PauseReason = NonNullable<RolloutStatus["pause"]>["reason"] | "Held";

type Status = RolloutStatus | undefined;

/**
 * Both statuses are ones that the server has taken. Each step of a release is a status of its own, so nothing happens twice between
 * two of them, and the same two statuses say the same.
 */
export function transitionsOf(before: Status, after: Status): Transition[] {
  return [
    ...startOf(before, after),
    ...pauseOf(before, after),
    ...passedStageOf(before, after),
    ...retreatsOf(before, after),
    ...endsOf(before, after),
  ];
}

function startOf(before: Status, after: Status): Transition[] {
  const at = after?.releaseStartedAt;
  return at === undefined || at === before?.releaseStartedAt ? [] : [{ type: "started", at }];
}

/** The same release in both. */
function isSameRelease(before: Status, after: Status): boolean {
  return after?.releaseStartedAt !== undefined && before?.releaseStartedAt === after.releaseStartedAt;
}

function passedStageOf(before: Status, after: Status): Transition[] {
  if (before?.phase !== "Canary" || after?.phaseSince === undefined || !isSameRelease(before, after)) return [];
  const { stage = 0, stageBps = 0, lastRequest: was } = before;
  // A release that finds its place on a ladder that was edited goes to no higher weight.
  const isFurther = after.phase === "Canary" ? (after.stageBps ?? 0) > stageBps : AFTER_LADDER.includes(after.phase);
  if (!isFurther) return [];
  const { lastRequest: asked } = after;
  const isAsked = asked?.result === "Done" && asked.id !== was?.id;
  return [{ type: "stage-passed", at: after.phaseSince, stage, isAsked }];
}

/** Phases that follow the last stage. */
const AFTER_LADDER: readonly RolloutStatus["phase"][] = ["Baking", "Switching"];

function pauseOf(before: Status, after: Status): Transition[] {
  const isOngoing = isSameRelease(before, after) && after?.phase !== "RollingBack";
  if (!isOngoing) return [];
  const [was, is] = [pausedSince(before), pausedSince(after)];
  if (is !== undefined && is.at !== was?.at) return [{ type: "paused", ...is }];
  return is === undefined && was !== undefined ? [{ type: "resumed", since: was.at }] : [];
}

function pausedSince(status: Status): { readonly at: string; readonly reason: PauseReason } | undefined {
  const { pause, heldSince } = status ?? {};
  if (pause !== undefined) return { at: pause.since, reason: pause.reason };
  return heldSince === undefined ? undefined : { at: heldSince, reason: "Held" };
}

function retreatsOf(before: Status, after: Status): Transition[] {
  const { retreat: was } = before ?? {};
  const { retreat } = after ?? {};
  if (retreat === undefined) return [];
  const { outcome, reason, decidedAt, observedAt } = retreat;
  return [
    ...(was?.decidedAt === decidedAt ? [] : [{ type: "retreat", at: decidedAt, outcome, reason } as const]),
    ...(observedAt === undefined || was?.observedAt === observedAt
      ? []
      : [{ type: "taken-back", at: observedAt, outcome, seconds: secondsBetween(decidedAt, observedAt) } as const]),
  ];
}

function endsOf(before: Status, after: Status): Transition[] {
  const known = new Set((before?.releases ?? []).map(({ startedAt, endedAt }) => `${startedAt} ${endedAt}`));
  return (after?.releases ?? [])
    .filter(({ startedAt, endedAt }) => !known.has(`${startedAt} ${endedAt}`))
    .map((release) => {
      const { outcome, startedAt, endedAt } = release;
      return { type: "ended", at: endedAt, outcome, seconds: secondsBetween(startedAt, endedAt), release };
    });
}

/** Two replicas may have written the two times: their clocks differ. */
function secondsBetween(from: string, to: string): number {
  return Math.max(0, Date.parse(to) - Date.parse(from)) / 1_000;
}
