import type { RolloutSpec } from "../../../crds/rollout.ts";
import type { KubeObject } from "../../../lib/kube/types.ts";

const STAGE = { holdSeconds: 60, maxHoldSeconds: 600, minSamples: 10, maxErrorRateBps: 100, approval: false };

/** A ladder of three stages that raises one flag to 1, 25 and 50 %. */
export const FLAGGED: Pick<RolloutSpec, "stages" | "flags"> = {
  stages: [
    { ...STAGE, weightBps: 1_000, flagBps: 100 },
    { ...STAGE, weightBps: 5_000, flagBps: 2_500 },
    { ...STAGE, weightBps: 10_000, flagBps: 5_000 },
  ],
  flags: { items: [{ key: "new-checkout", onVariant: "on", offVariant: "off" }] },
};

/** Share for which a flag is on, by what flagd reads. @returns -1 where there is no such flag */
export function shareIn(object: KubeObject | undefined, key = "new-checkout"): number {
  const { flagSpec } = (object?.["spec"] ?? {}) as {
    readonly flagSpec?: { readonly flags: Readonly<Record<string, Flag>> };
  };
  const flag = flagSpec?.flags[key];
  if (flag === undefined) return -1;
  return flag.targeting?.fractional[0]?.[1] ?? (flag.defaultVariant === "on" ? 10_000 : 0);
}

interface Flag {
  readonly defaultVariant: string;
  readonly targeting?: { readonly fractional: readonly (readonly [variant: string, weight: number])[] };
}
