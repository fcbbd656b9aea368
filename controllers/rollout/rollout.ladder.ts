/** Keeps the place of a release on its ladder, also where the ladder is edited meanwhile. */
import { isOnHold } from "./rollout.hold.ts";
import type { Progress, ReleaseFacts } from "./rollout.progress.ts";
import { goTo } from "./rollout.steps.ts";
import { stageIndex } from "./rollout.weights.ts";

/**
 * What a release has earned is a weight, not the number of a stage. On a ladder that was edited it stands at the highest stage
 * that is not above that weight, or at the first one, which any release gets; the stage begins anew. While
 * the weights are held, nothing moves.
 */
export function onLadder(progress: Progress, facts: ReleaseFacts, now: number): Progress {
  const { phase, stage, stageBps } = progress;
  const { spec } = facts;
  if (phase !== "Canary" || stageBps === undefined || isOnHold(progress, facts)) return progress;
  if (stage !== undefined && spec.stages[stage]?.weightBps === stageBps) return progress;
  const earned = spec.stages.filter(({ weightBps }) => weightBps <= stageBps).length;
  return goTo(progress, "Canary", now, Math.max(0, earned - 1));
}

/** A stage remembers its weight from its first moment on. */
export function withStageBps(progress: Progress, { spec }: ReleaseFacts): Progress {
  if (progress.phase !== "Canary" || progress.stageBps !== undefined) return progress;
  const weightBps = spec.stages[stageIndex(progress, spec)]?.weightBps;
  return weightBps === undefined ? progress : { ...progress, stageBps: weightBps };
}
