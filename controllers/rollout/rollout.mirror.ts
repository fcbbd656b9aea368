/** What the canary gets beside its share: copies of requests before its first one, and the requests of testers. */
import { PERCENT_BPS, WHOLE_BPS } from "../../crds/rollout-ladder.ts";
import type { RolloutShadow } from "../../crds/rollout-shadow.ts";
import type { Colour, Phase } from "../../crds/rollout-status.ts";
import { isOnHold } from "./rollout.hold.ts";
import type { Mirror, Progress, ReleaseFacts } from "./rollout.progress.ts";

/** Copies with which a release is to begin; none where the spec goes without them, for the gateway cannot make them. */
export function shadowOf({ spec: { shadow }, lacks }: Pick<ReleaseFacts, "spec" | "lacks">): RolloutShadow | undefined {
  return shadow?.onUnsupported === "Skip" && lacks?.mirror !== undefined ? undefined : shadow;
}

/** Why no release may begin: the spec asks for what the gateway cannot do. */
export function lackOf(facts: Pick<ReleaseFacts, "spec" | "lacks">): string | undefined {
  return facts.lacks?.testers ?? (shadowOf(facts) === undefined ? undefined : facts.lacks?.mirror);
}

/** Share of the requests that are copied to a canary, in basis points: it has pods for so many. */
export function copiedBps(facts: Pick<ReleaseFacts, "spec" | "lacks">): number {
  return (shadowOf(facts)?.percent ?? 0) * PERCENT_BPS;
}

/**
 * Copies that the canary is to get now. They rise only to what its ready pods can carry; nothing is copied to a version without
 * pods, nor by a gateway that cannot. While the spec holds the release they do not rise.
 * @param pods that carry them
 */
export function mirrorOf(progress: Progress, facts: ReleaseFacts, pods: number): Mirror | undefined {
  const { canary, stable, phase, verifiedAt } = progress;
  const shadow = shadowOf(facts);
  if (phase !== "Shadowing" || canary === undefined || stable === undefined) return undefined;
  if (shadow === undefined || facts.lacks?.mirror !== undefined) return undefined;
  const { colour } = canary;
  const { revision, ready } = facts.colours[colour];
  if (revision !== canary.revision || ready === 0) return undefined;
  const { mirror } = facts.route;
  const now = mirror?.colour === colour ? mirror.percent : 0;
  const isHeld = isOnHold(progress, facts) && verifiedAt === undefined;
  const mayRise = !isHeld && ready >= pods;
  const percent = mayRise ? shadow.percent : Math.min(shadow.percent, now);
  return percent === 0 ? undefined : { colour, percent };
}

/** The route copies what the step asks for, and nothing else. */
export function isMirrorTaken(progress: Progress, facts: ReleaseFacts, pods: number): boolean {
  const { mirror } = facts.route;
  const wanted = mirrorOf(progress, facts, pods);
  if (mirror?.colour !== wanted?.colour || mirror?.percent !== wanted?.percent) return false;
  return progress.phase !== "Shadowing" || wanted?.percent === shadowOf(facts)?.percent;
}

/** Phases in which testers meet the new version: once it has pods, until it serves or goes back. */
const TESTED: ReadonlySet<Phase> = new Set(["Verifying", "Shadowing", "Canary", "Baking", "Switching"]);

/** The colour that requests of testers go to, in place of the one that serves; none when all requests go there. */
export function testedColour(
  { phase, canary, stable }: Progress,
  { colours }: Pick<ReleaseFacts, "colours">,
  shareBps: number,
): Colour | undefined {
  if (!TESTED.has(phase) || canary === undefined || stable === undefined || shareBps === WHOLE_BPS) return undefined;
  const { revision, ready } = colours[canary.colour];
  return revision === canary.revision && ready > 0 ? canary.colour : undefined;
}
