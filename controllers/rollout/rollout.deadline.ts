/** By when a step of a release is to be over. */
import type { RolloutSpec } from "../../crds/rollout.ts";
import type { RolloutStatus } from "../../crds/rollout-status.ts";
import { isJudged, type Progress } from "./rollout.progress.ts";
import { stageIndex } from "./rollout.weights.ts";

/** Time in which a gateway takes weight 0, far more than it needs. */
const TAKE_BACK_SECONDS = 60;

/**
 * When the present step ends at the latest, in milliseconds since the epoch: then the release has gone on, gone back, or waits for a
 * person.
 * @returns `undefined` at rest, while it waits for a person, and where the spec sets no limit
 */
export function stepDeadline(status: RolloutStatus, spec: RolloutSpec): number | undefined {
  const { phase, phaseSince } = status;
  if (phase === undefined || phaseSince === undefined || phase === "Idle") return undefined;
  if (phase === "RollingBack") return retreatDeadline(status, spec);
  // Each check has a limit of its own.
  if (phase === "Verifying") return undefined;
  if (phase === "Retiring") return after(phaseSince, spec.drainSeconds);
  if (status.pause !== undefined || status.heldSince !== undefined || spec.paused) return undefined;
  const isObserved = isJudged({ phase }) && status.verifiedAt !== undefined;
  if (!isObserved) return after(status.lostAt ?? phaseSince, spec.progressDeadlineSeconds);
  const holdSeconds = longestSeconds({ ...status, phase }, spec);
  if (holdSeconds === 0) return undefined;
  return after(phaseSince, holdSeconds + (phase === "Baking" ? spec.bakeSeconds : 0));
}

/** Time after which what is observed waits for a person; 0: never. */
function longestSeconds(progress: Progress, spec: RolloutSpec): number {
  if (progress.phase === "Shadowing") return spec.shadow?.maxDurationSeconds ?? 0;
  return spec.stages[stageIndex(progress, spec)]?.maxHoldSeconds ?? 0;
}

function retreatDeadline({ retreat }: RolloutStatus, { drainSeconds }: RolloutSpec): number | undefined {
  if (retreat === undefined) return undefined;
  return retreat.observedAt === undefined
    ? after(retreat.decidedAt, TAKE_BACK_SECONDS)
    : after(retreat.observedAt, drainSeconds);
}

function after(time: string, seconds: number): number {
  return Date.parse(time) + seconds * 1_000;
}
