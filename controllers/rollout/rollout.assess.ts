/** What is so: computed once a reconcile, read by plan and report. */
import { type RolloutConditions, rolloutConditions } from "./rollout.conditions.ts";
import { type Decision, decide } from "./rollout.decide.ts";
import type { World } from "./rollout.observe.ts";

export interface Assessment extends Decision {
  readonly conditions: RolloutConditions;
  /** The key for names of copies, where it is to be made. */
  readonly madeKey: string | undefined;
}

/** @param now milliseconds since the epoch */
export function assessRollout(world: World, madeKey: string | undefined, now: number): Assessment {
  const decision = decide(world, now);
  return { ...decision, conditions: rolloutConditions(decision), madeKey };
}
