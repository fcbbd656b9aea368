/**
 * What is remembered of the flags of a Rollout. A flag is raised once, by the first release that begins after it was listed, and
 * with the stages of that release alone:
 *
 *   (off) ── release begins ─► Rising ── promoted ─► Settled ── a return to the version before, or the item goes ─► (off)
 *     ▲                          │
 *     └──────── goes back ───────┘
 *
 * So a later release neither takes a feature from those who have it, nor is judged by one that is not its own.
 */
import type { RolloutFlag } from "../../../crds/rollout-flags.ts";
import type { RolloutStage } from "../../../crds/rollout-ladder.ts";
import type { Progress, ReleaseFacts } from "../rollout.progress.ts";
import { stageIndex } from "../rollout.weights.ts";

/** Share of the contexts for which flags are on at a stage: the last one that was told up to there. */
export function flagBpsAt(index: number, stages: readonly Pick<RolloutStage, "flagBps">[]): number {
  return stages.slice(0, index + 1).reduce((before, { flagBps = before }) => flagBps, 0);
}

/** Share of the contexts for which a flag is to be on. */
export function raisedBps({ flags = [] }: Progress, key: string): number {
  return flags.find((flag) => flag.key === key)?.bps ?? 0;
}

/** The flags of the release under way. */
export function risingFlags({ flags = [] }: Progress): NonNullable<Progress["flags"]> {
  return flags.filter(({ state }) => state === "Rising");
}

/** All flags are in the cluster as they are to be; always so where the spec names none. */
export function areFlagsWritten(progress: Progress, { flags, spec }: ReleaseFacts): boolean {
  const items: readonly RolloutFlag[] = spec.flags?.items ?? [];
  return items.every(({ key }) => flags?.written.get(key) === raisedBps(progress, key));
}

/** The spec names flags, and nothing in the cluster can raise them. */
export function areFlagsMissing({ flags, spec }: ReleaseFacts): boolean {
  return spec.flags !== undefined && flags?.isServed !== true;
}

/** The step that follows, with what it means for the flags. */
export function rememberFlags(before: Progress, after: Progress, { spec }: ReleaseFacts): Progress {
  const keys = (spec.flags?.items ?? []).map(({ key }) => key);
  const kept = (after.flags ?? []).filter(({ key }) => keys.includes(key));
  const flags = moved(before, { ...after, flags: kept }, { keys, stages: spec.stages });
  const { flags: _, ...rest } = after;
  return flags.length === 0 ? rest : { ...rest, flags: [...flags] };
}

type Flags = NonNullable<Progress["flags"]>;

interface Listed {
  readonly keys: readonly string[];
  readonly stages: ReleaseFacts["spec"]["stages"];
}

function moved(before: Progress, after: Progress & { readonly flags: Flags }, listed: Listed): Flags {
  const { flags, phase } = after;
  if (isBegun(before, after)) return joined(after, listed);
  if (phase === "RollingBack") return flags.filter(({ state }) => state === "Settled");
  if (phase === "Canary" || phase === "Baking" || phase === "Switching") return raised(before, after, listed);
  const isOver = before.canary !== undefined && after.canary === undefined;
  return isOver ? settled(before, flags) : flags;
}

/** A release begins that can be taken back, and is judged. */
function isBegun(before: Progress, { phase, stable, isFastTrack, releaseStartedAt }: Progress): boolean {
  if (phase !== "Preparing" || stable === undefined || isFastTrack === true) return false;
  return before.phase !== "Preparing" || before.releaseStartedAt !== releaseStartedAt;
}

/** Flags that no release has raised yet take part in this one. */
function joined({ flags = [], canary }: Progress, { keys }: Listed): Flags {
  const old = flags.filter(({ state }) => state === "Settled");
  const revision = canary?.revision ?? "";
  const fresh = keys.filter((key) => old.every((flag) => flag.key !== key));
  return [...old, ...fresh.map((key) => ({ key, revision, bps: 0, state: "Rising" as const }))];
}

/** A share rises when a step begins, and at no other time; it falls at once when the ladder says less. */
function raised(before: Progress, after: Progress & { readonly flags: Flags }, { stages }: Listed): Flags {
  // The weight of a stage is remembered right after its beginning.
  const isNewStage = after.phase === "Canary" && after.stageBps === undefined;
  const isEntered = isNewStage || after.phase !== before.phase;
  const most = flagBpsAt(stageIndex(after, { stages }), stages);
  return after.flags.map((flag) =>
    flag.state === "Settled" ? flag : { ...flag, bps: isEntered ? most : Math.min(flag.bps, most) },
  );
}

/** What a promoted release has raised stays. A return to the version before takes back what the one that it replaces has raised. */
function settled({ isFastTrack, stable }: Progress, flags: Flags): Flags {
  if (isFastTrack === true) return flags.filter(({ revision }) => revision !== stable?.revision);
  return flags.map((flag) => ({ ...flag, state: "Settled" as const }));
}
