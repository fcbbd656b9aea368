import { rfc3339Seconds } from "../../lib/core/clock.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import type { Condition, Statement } from "./types.ts";

/** A condition as a decision states it, before it has a time. */
export type ConditionStatement = Omit<Condition, "lastTransitionTime">;

/**
 * Longest message of a condition (meta/v1). A message that lists the troubles of 64 shards and 256 databases is longer, and
 * the server would refuse the whole status for it: conditions would go on saying what was true before.
 */
export const MESSAGE_LENGTH_MAX = 32_768;

/**
 * The previous conditions with `next` in place of the one of its type. `lastTransitionTime` changes only with the
 * status; a reason, a message or a generation may change without it.
 * @param now milliseconds since the epoch
 */
export function setCondition(previous: readonly Condition[], next: ConditionStatement, now: number): Condition[] {
  const before = previous.find((condition) => condition.type === next.type);
  const lastTransitionTime =
    before !== undefined && before.status === next.status ? before.lastTransitionTime : rfc3339Seconds(now);
  const { type, status, observedGeneration, reason } = next;
  const message =
    next.message.length <= MESSAGE_LENGTH_MAX ? next.message : `${next.message.slice(0, MESSAGE_LENGTH_MAX - 1)}…`;
  const set: Condition = { type, status, observedGeneration, lastTransitionTime, reason, message };
  return before === undefined
    ? [...previous, set]
    : previous.map((condition) => (condition.type === next.type ? set : condition));
}

/**
 * The conditions of a new status: exactly `next`, in its order, each with the time of its last change of status.
 * Types that are no longer stated go away.
 * @param now milliseconds since the epoch
 */
export function mergeConditions(
  previous: readonly Condition[] | undefined,
  next: readonly ConditionStatement[],
  now: number,
): Condition[] {
  return next.map((statement) => {
    const same = (previous ?? []).filter((condition) => condition.type === statement.type);
    return setCondition(same, statement, now)[0] as Condition;
  });
}

/** The condition of a type, or `undefined`. */
export function findCondition(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

/** An object whose status has conditions. */
export interface WithConditions extends KubeObject {
  readonly status?: { readonly conditions?: readonly Condition[] | undefined } | undefined;
}

/**
 * The conditions of an object's new status, in the order of the record, each for the generation that was looked at.
 * @param stated what each type says @param now milliseconds since the epoch
 */
export function conditionsOf(
  object: WithConditions,
  stated: Readonly<Record<string, Statement>>,
  now: number,
): Condition[] {
  const observedGeneration = object.metadata.generation ?? 0;
  const statements = Object.entries(stated).map(([type, says]) => ({ type, ...says, observedGeneration }));
  return mergeConditions(object.status?.conditions, statements, now);
}
