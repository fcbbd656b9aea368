/** How many pods of a version a drain may take at once. */
import { z } from "zod";
import { intOrString, withRules } from "./common.ts";

/** As in a PodDisruptionBudget. */
const pods = intOrString(
  z.int().min(0).max(1_000),
  z
    .string()
    .max(4)
    .regex(/^(100|[1-9]?[0-9])%$/),
);

/** `spec.disruption` of a Rollout. */
export const rolloutDisruption = withRules(
  z.strictObject({
    maxUnavailable: pods
      .meta({ ...pods.meta(), description: "Pods of a version that may be missing: a number, or a share, 25%." })
      .exactOptional(),
    minAvailable: pods
      .meta({
        ...pods.meta(),
        description:
          "Pods of a version that must stay: a number, or a share, 80%. Of a new version that has not all its pods yet one may go in any case, so that no drain waits for a release.",
      })
      .exactOptional(),
  }),
  [
    {
      rule: "has(self.maxUnavailable) != has(self.minAvailable)",
      message: "name either maxUnavailable or minAvailable",
      check: ({ maxUnavailable, minAvailable }) => (maxUnavailable === undefined) !== (minAvailable === undefined),
    },
  ],
);
export type RolloutDisruption = z.output<typeof rolloutDisruption>;
