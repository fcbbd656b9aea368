/** When a release stays where it is, though it could go on. */
import { isToBegin, type Progress, type ReleaseFacts } from "./rollout.progress.ts";

type Facts = Pick<ReleaseFacts, "spec" | "closed">;

/** Phases in which the next step may give the new version more requests. */
const RISING: ReadonlySet<Progress["phase"]> = new Set(["Preparing", "Verifying", "Shadowing", "Canary", "Baking"]);

/** No window is open for the release under way. A first version, and a return, wait for none. */
export function isOutsideWindows(progress: Progress, { closed }: Facts): boolean {
  const { stable, canary, isFastTrack, ignoresWindows, phase } = progress;
  if (closed === undefined || stable === undefined || canary === undefined) return false;
  return RISING.has(phase) && isFastTrack !== true && ignoresWindows !== true;
}

/** The spec, or the time of day, holds the release: no share rises. It is still watched. */
export function isOnHold(progress: Progress, facts: Facts): boolean {
  return facts.spec.paused || isOutsideWindows(progress, facts);
}

/** A release would begin, were a window open. */
export function waitsToBegin(progress: Progress, facts: Facts & Pick<ReleaseFacts, "wanted">): boolean {
  const { phase, stable, canary } = progress;
  const isAtRest = phase === "Idle" && stable !== undefined && canary === undefined;
  return isAtRest && facts.closed !== undefined && !facts.spec.paused && isToBegin(progress, facts);
}

/** What a release remembers of its beginning: pods that the stable version keeps until the end. */
export function withHeldReplicas(progress: Progress, { spec, replicas }: ReleaseFacts): Progress {
  const { canary, stable, heldReplicas } = progress;
  const isHeld = spec.autoscaling !== undefined && canary !== undefined && stable !== undefined;
  if (isHeld) return heldReplicas === undefined ? { ...progress, heldReplicas: replicas } : progress;
  if (heldReplicas === undefined) return progress;
  const { heldReplicas: _, ...rest } = progress;
  return rest;
}
