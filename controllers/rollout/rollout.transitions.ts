/** What has happened between two statuses of a Rollout: what is counted, and told to others. */
import type { Outcome, RolloutStatus } from "../../crds/rollout-status.ts";

/** One thing that happens once in a release. */
export type Transition =
  /** It was decided to take the release back. */
  | { readonly type: "retreat"; readonly outcome: Outcome; readonly reason: string }
  /** The gateway was seen to have taken weight 0. @property seconds since the decision */
  | { readonly type: "taken-back"; readonly outcome: Outcome; readonly seconds: number }
  /** @property seconds since the release began */
  | { readonly type: "ended"; readonly outcome: Outcome; readonly seconds: number };

/**
 * Both statuses are ones that the server has taken. Each step of a release is a status of its own, so nothing happens twice between
 * two of them, and the same two statuses say the same.
 */
export function transitionsOf(before: RolloutStatus | undefined, after: RolloutStatus | undefined): Transition[] {
  return [...retreatsOf(before, after), ...endsOf(before, after)];
}

function retreatsOf(before: RolloutStatus | undefined, after: RolloutStatus | undefined): Transition[] {
  const { retreat: was } = before ?? {};
  const { retreat } = after ?? {};
  if (retreat === undefined) return [];
  const { outcome, reason, decidedAt, observedAt } = retreat;
  return [
    ...(was?.decidedAt === decidedAt ? [] : [{ type: "retreat", outcome, reason } as const]),
    ...(observedAt === undefined || was?.observedAt === observedAt
      ? []
      : [{ type: "taken-back", outcome, seconds: secondsBetween(decidedAt, observedAt) } as const]),
  ];
}

function endsOf(before: RolloutStatus | undefined, after: RolloutStatus | undefined): Transition[] {
  const known = new Set((before?.releases ?? []).map(({ startedAt, endedAt }) => `${startedAt} ${endedAt}`));
  return (after?.releases ?? [])
    .filter(({ startedAt, endedAt }) => !known.has(`${startedAt} ${endedAt}`))
    .map(({ outcome, startedAt, endedAt }) => ({
      type: "ended",
      outcome,
      seconds: secondsBetween(startedAt, endedAt),
    }));
}

/** Two replicas may have written the two times: their clocks differ. */
function secondsBetween(from: string, to: string): number {
  return Math.max(0, Date.parse(to) - Date.parse(from)) / 1_000;
}
