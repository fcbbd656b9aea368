import { rolloutSpec } from "../../../crds/rollout.ts";
import { type RolloutStage, WHOLE_BPS } from "../../../crds/rollout-ladder.ts";

/** A stage, as far as another project has it. */
export interface StageDraft {
  readonly weightBps: number;
  holdSeconds: number;
  approval: boolean;
  /** Strictest limit that an analysis names for it. */
  maxErrorRateBps: number | undefined;
}

/** Bounds of the fields of a stage, and of a ladder. */
const HOLD_MAX_SECONDS = 86_400;
const MAX_HOLD_SECONDS = 3_600;
const STAGES_MAX = 32;
const ERROR_RATE_MAX_BPS = 9_000;

/** A ladder, and what is to be said of it. */
export interface Ladder {
  readonly stages: readonly object[];
  readonly notes: readonly string[];
}

/** The stages that the other project has, made whole: it ends at all requests, and each stage asks for samples. */
export function ladderOf(drafts: readonly StageDraft[], limitBps: number | undefined): Ladder {
  const notes: string[] = [];
  const kept = thinned(drafts, notes);
  const isWhole = kept.at(-1)?.weightBps === WHOLE_BPS;
  if (!isWhole) notes.push("a last stage of 100 % was added: the whole of the requests is judged too");
  const whole: StageDraft = { weightBps: WHOLE_BPS, holdSeconds: 0, approval: false, maxErrorRateBps: limitBps };
  notes.push(
    "after the last stage the new version is watched for 5 minutes more (bakeSeconds) before the release has ended",
  );
  notes.push("minSamples is from the ladder that a Rollout has by default: set what a stage must have seen");
  return { stages: (isWhole ? kept : [...kept, whole]).map((draft) => stageOf(draft, notes)), notes };
}

/** A limit as a spec takes it; nothing for one that can never or always hold. @param share of 1 */
export function limitOf(share: number): number | undefined {
  const bps = Math.round(share * WHOLE_BPS);
  return Number.isFinite(share) && bps >= 1 && bps <= ERROR_RATE_MAX_BPS ? bps : undefined;
}

/** The stricter one of two limits. */
export function stricter(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.min(one, other);
}

function stageOf({ weightBps, holdSeconds, approval, maxErrorRateBps }: StageDraft, notes: string[]): object {
  const usual = defaultStage(weightBps);
  const hold = Math.min(holdSeconds, HOLD_MAX_SECONDS);
  if (hold < holdSeconds)
    notes.push(`a hold of ${String(holdSeconds)} s became ${String(hold)} s, the longest there is`);
  return {
    weightBps,
    holdSeconds: hold,
    ...(hold < MAX_HOLD_SECONDS ? {} : { maxHoldSeconds: hold + MAX_HOLD_SECONDS }),
    minSamples: usual.minSamples,
    maxErrorRateBps: maxErrorRateBps ?? usual.maxErrorRateBps,
    ...(approval ? { approval } : {}),
  };
}

/** The stage of the usual ladder that gives a version this much, or the next more. */
function defaultStage(weightBps: number): RolloutStage {
  const usual = rolloutSpec.shape.stages.parse(undefined);
  return usual.find((stage) => stage.weightBps >= weightBps) ?? (usual.at(-1) as RolloutStage);
}

/** A ladder of more stages than a spec takes becomes one of fewer and longer stages. */
function thinned(drafts: readonly StageDraft[], notes: string[]): readonly StageDraft[] {
  // One place is kept for the stage of all requests.
  const every = Math.ceil(drafts.length / (STAGES_MAX - 1));
  if (every <= 1) return drafts;
  notes.push(
    `of ${String(drafts.length)} stages one in ${String(every)} is left, held as long as those that it stands for`,
  );
  const groups = Array.from({ length: Math.ceil(drafts.length / every) }, (_, index) =>
    drafts.slice(index * every, (index + 1) * every),
  );
  return groups.flatMap((group) => {
    // The smallest share of them: a longer stage must not show a version to more people than before.
    const [first] = group;
    if (first === undefined) return [];
    const holdSeconds = group.reduce((sum, { holdSeconds: one }) => sum + one, 0);
    return [{ ...first, holdSeconds, approval: group.some(({ approval }) => approval) }];
  });
}
