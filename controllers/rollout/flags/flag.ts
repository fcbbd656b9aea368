/**
 * A flag as flagd reads it. Who has it on is decided by a hash of the flag's key and the context's, so the same ones have it each
 * time and in every process. The variant that is on comes first, and the whole is always the same: a share that rises moves nothing but the one
 * boundary, and nobody falls out.
 */

import type { RolloutFlag } from "../../../crds/rollout-flags.ts";
import { WHOLE_BPS } from "../../../crds/rollout-ladder.ts";

/** One member of `spec.flagSpec.flags` of a FeatureFlag. */
export interface FlagDefinition {
  readonly state: "ENABLED";
  readonly variants: Readonly<Record<string, boolean | string>>;
  readonly defaultVariant: string;
  readonly targeting?: object;
}

/** @param bps share of the contexts for which it is on */
export function flagDefinition(flag: RolloutFlag, bps: number): FlagDefinition {
  const { onVariant: on, offVariant: off, onValue = true, offValue = false } = flag;
  const variants = { [on]: onValue, [off]: offValue };
  // Off and on for all need no context, and leave nothing to a hash at the edge of a range.
  if (bps === 0 || bps === WHOLE_BPS) return { state: "ENABLED", variants, defaultVariant: bps === 0 ? off : on };
  return { state: "ENABLED", variants, defaultVariant: off, targeting: targeting(flag, bps) };
}

function targeting({ onVariant: on, offVariant: off, bucketBy }: RolloutFlag, bps: number): object {
  // Newer versions of flagd take whole weights only; older ones read them as shares of their sum.
  const shares = [
    [on, bps],
    [off, WHOLE_BPS - bps],
  ];
  if (bucketBy === undefined) return { fractional: shares };
  const property = { var: bucketBy };
  // Without the property all contexts would have one hash, and be on or off together.
  return { if: [property, { fractional: [{ cat: [{ var: "$flagd.flagKey" }, property] }, ...shares] }, off] };
}
