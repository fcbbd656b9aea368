/** Probabilities and ratios of a policy as a CRD has them: whole numbers, for it has no fractions. */
import { z } from "zod";

/** How many times as bad is still good, in percent. */
export const ratioPercent = (description: string): z.ZodInt =>
  z
    .int()
    .min(100)
    .max(10_000)
    .meta({ description: `${description} In percent: 125 is 1.25 times.` });

/** How many times as bad must be ruled out, in percent. */
export const promoteRatioPercent = z.int().min(101).max(10_000).meta({
  description:
    "A stage passes before its hold is over when the canary is shown to be less than this many times as bad (θ1). In percent.",
});

/** A probability of up to 20 %, in hundredths of a percent. */
export const rateBps = z.int().min(1).max(2_000);
