/** What people ask of a release, once for each id. */
import { z } from "zod";
import { withRules } from "./common.ts";
import { STAGES_MAX } from "./rollout-ladder.ts";

const requestShape = z.strictObject({
  id: z
    .string()
    .min(1)
    .max(63)
    .regex(/^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/)
    .meta({ description: "Names the request: each id is carried out once, whatever is applied again." }),
  action: z.enum(["Promote", "PromoteFull", "Abort", "Retry", "Skip", "Jump"]).meta({
    description:
      "Promote leaves a pause or a stage that waits for approval. PromoteFull ends the ladder: full size first, then all requests. Abort takes the release back. Retry begins a release that was taken back again. Skip goes to the next stage without a verdict. Jump goes to a stage.",
  }),
  stage: z
    .int()
    .min(0)
    .max(STAGES_MAX - 1)
    .meta({ description: "Index of the stage, from 0; only for Jump." })
    .exactOptional(),
});
export type RolloutRequest = z.output<typeof requestShape>;

/** `spec.request` of a Rollout. */
export const rolloutRequest = withRules(requestShape, [
  {
    rule: "self.action != 'Jump' || has(self.stage)",
    message: "action Jump needs a stage",
    check: ({ action, stage: to }) => action !== "Jump" || to !== undefined,
  },
  {
    rule: "self.action == 'Jump' || !has(self.stage)",
    message: "stage is only for action Jump",
    check: ({ action, stage: to }) => action === "Jump" || to === undefined,
  },
]);
