/** Which share of the requests, and how many pods, each colour is to have at a step of a release. */

import { WHOLE_BPS } from "../../crds/rollout-ladder.ts";
import { type Colour, type Version } from "../../crds/rollout-status.ts";
import { isOnHold } from "./rollout.hold.ts";
import { copiedBps, isMirrorTaken, mirrorOf } from "./rollout.mirror.ts";
import { type Mirror, otherColour, type Progress, type ReleaseFacts } from "./rollout.progress.ts";

type Spec = ReleaseFacts["spec"];

/** The stage that a release is at; a ladder that was shortened meanwhile ends it at its last. */
export function stageIndex({ phase, stage = 0 }: Progress, { stages }: Pick<Spec, "stages">): number {
  const last = stages.length - 1;
  return phase === "Baking" || phase === "Switching" ? last : Math.min(stage, last);
}

/** Share of the canary at a stage: at the last one the stable version keeps its hold-back, or nothing could be compared. */
export function stageBps(index: number, { stages, holdbackBps }: Spec): number {
  return Math.min(stages[index]?.weightBps ?? 0, WHOLE_BPS - holdbackBps);
}

/** Share that the step asks for, whether or not there are pods for it. */
function askedBps(progress: Progress, spec: Spec): number {
  switch (progress.phase) {
    case "Canary":
      // A ladder that is edited moves no request before the release has found its new place.
      return Math.min(progress.stageBps ?? stageBps(stageIndex(progress, spec), spec), WHOLE_BPS - spec.holdbackBps);
    case "Baking":
      return WHOLE_BPS - spec.holdbackBps;
    case "Switching":
      return WHOLE_BPS;
    case "Idle":
    case "Preparing":
    case "Verifying":
    case "Shadowing":
    case "Retiring":
    case "RollingBack":
      return 0;
  }
}

/** Pods that a share takes of a version that would have `replicas` for all requests. */
export function podsFor(bps: number, replicas: number): number {
  return bps === 0 ? 0 : Math.max(1, Math.ceil((bps * replicas) / WHOLE_BPS));
}

/**
 * Share of the requests that the canary is to get now. It rises only to what its ready pods can carry; it falls only with the
 * step, or to 0 when none of its pods is ready any more. While the spec holds the release it does not rise.
 */
export function canaryBps(progress: Progress, facts: ReleaseFacts): number {
  const { canary, stable } = progress;
  if (canary === undefined) return 0;
  if (stable === undefined) return isWithheld(progress, facts) ? 0 : WHOLE_BPS;
  const asked = askedBps(progress, facts.spec);
  const { revision, ready } = facts.colours[canary.colour];
  if (asked === 0 || revision !== canary.revision || ready === 0) return 0;
  const now = facts.route.weights?.[canary.colour] ?? 0;
  // A release that is held keeps the share that it was seen with; none that was on its way arrives.
  const isReached = progress.phase === "Canary" && progress.verifiedAt !== undefined;
  if (isOnHold(progress, facts) && !isReached) return Math.min(asked, now);
  if (asked <= now || ready >= podsFor(asked, facts.replicas)) return asked;
  return now;
}

/** A first version has all requests from the beginning, unless something must be checked before. */
function isWithheld({ phase }: Progress, { checks = [] }: ReleaseFacts): boolean {
  return checks.length > 0 && (phase === "Preparing" || phase === "Verifying");
}

/** Weights of the route, in basis points. @returns `undefined` while there is no version at all */
export function weightsOf(progress: Progress, facts: ReleaseFacts): Readonly<Record<Colour, number>> | undefined {
  const { canary, stable } = progress;
  const colour = stable?.colour ?? (canary === undefined ? undefined : otherColour(canary.colour));
  if (colour === undefined) return undefined;
  const share = canaryBps(progress, facts);
  const weights = { Blue: share, Green: share };
  return { ...weights, [colour]: WHOLE_BPS - share };
}

/** Pods that each colour is to have. A version that loses its share keeps its pods until it is drained. */
export function replicasOf(progress: Progress, facts: ReleaseFacts): Readonly<Record<Colour, number>> {
  const { canary, stable } = progress;
  const pods: Record<Colour, number> = { Blue: 0, Green: 0 };
  if (stable !== undefined) {
    const other = otherColour(stable.colour);
    pods[stable.colour] = facts.replicas;
    if (!isDrained(progress, facts, other)) pods[other] = facts.colours[other].replicas;
  }
  if (canary !== undefined) pods[canary.colour] = canaryPods(progress, facts, canary);
  return pods;
}

/** A colour that has no part in anything any more, and neither has nor had a moment ago a share of the requests. */
function isDrained({ phase }: Progress, { route }: ReleaseFacts, colour: Colour): boolean {
  return phase !== "Retiring" && route.isAccepted && route.weights?.[colour] === 0;
}

function canaryPods(progress: Progress, facts: ReleaseFacts, { colour, revision }: Version): number {
  const has = facts.colours[colour];
  const before = has.revision === revision ? has.replicas : 0;
  if (progress.phase === "RollingBack") return progress.retreat?.forcedAt === undefined ? before : 0;
  return Math.max(Math.min(before, facts.replicas), wantedPods(progress, facts));
}

/** Phases of a canary without a share: it has the pods of its first one, and those that copies take. */
const BEFORE_SHARES: ReadonlySet<Progress["phase"]> = new Set(["Preparing", "Verifying", "Shadowing"]);

/** Pods that copies of requests take. */
function copyPods(facts: ReleaseFacts): number {
  return podsFor(copiedBps(facts), facts.replicas);
}

/** Copies of requests that the canary is to get now. */
export function mirrored(progress: Progress, facts: ReleaseFacts): Mirror | undefined {
  return mirrorOf(progress, facts, copyPods(facts));
}

/** Pods that the step of the canary takes. */
export function wantedPods(progress: Progress, facts: ReleaseFacts): number {
  const { spec, replicas } = facts;
  if (progress.stable === undefined || progress.isFastTrack === true) return replicas;
  if (BEFORE_SHARES.has(progress.phase)) return Math.max(podsFor(stageBps(0, spec), replicas), copyPods(facts));
  const asked = askedBps(progress, spec);
  // What is about to carry everything is at full size.
  return asked >= WHOLE_BPS - spec.holdbackBps ? replicas : podsFor(asked, replicas);
}

/** The canary has the pods that its step takes. */
export function isCapacityReady(progress: Progress, facts: ReleaseFacts): boolean {
  if (progress.canary === undefined) return false;
  const { revision, ready } = facts.colours[progress.canary.colour];
  return revision === progress.canary.revision && ready >= wantedPods(progress, facts);
}

/** The gateway has taken the weights that the step asks for. */
export function isWeightTaken(progress: Progress, facts: ReleaseFacts): boolean {
  const { weights, isAccepted } = facts.route;
  const wanted = weightsOf(progress, facts);
  if (!isAccepted || weights === undefined || wanted === undefined) return false;
  if (weights.Blue !== wanted.Blue || weights.Green !== wanted.Green) return false;
  if (!isMirrorTaken(progress, facts, copyPods(facts))) return false;
  return progress.stable === undefined || canaryBps(progress, facts) === askedBps(progress, facts.spec);
}
