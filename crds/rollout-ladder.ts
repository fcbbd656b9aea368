/** The ladder of a release: shares of the requests, and what each asks for. */
import { z } from "zod";
import { listAtomic, withRules } from "./common.ts";

/** Most stages of a ladder. */
export const STAGES_MAX = 32;
/** Whole of the requests, in basis points. */
export const WHOLE_BPS = 10_000;
/** Basis points of a percent. */
export const PERCENT_BPS = 100;

const seconds = (max: number): z.ZodInt => z.int().min(0).max(max);

const stageShape = z.strictObject({
  weightBps: z.int().min(1).max(WHOLE_BPS).meta({
    description: "Share of the requests that the new version gets, in hundredths of a percent: 100 is 1 %.",
  }),
  holdSeconds: seconds(86_400)
    .meta({
      description:
        "Time after which the stage passes when nothing speaks against it. It passes earlier when the new version is shown to be good enough.",
    })
    .default(300),
  maxHoldSeconds: seconds(604_800)
    .meta({
      description:
        "Time after which the release pauses for a person when the stage has not passed, for example for want of requests; 0 waits for ever.",
    })
    .default(3_600),
  minSamples: z
    .int()
    .min(1)
    .max(1_000_000_000)
    .meta({ description: "Requests that the new version must have answered at this weight before the stage passes." }),
  maxErrorRateBps: z.int().min(1).max(9_000).meta({
    description: "Largest share of failed requests, in hundredths of a percent. Above it the stage does not pass.",
  }),
  flagBps: z
    .int()
    .min(0)
    .max(WHOLE_BPS)
    .meta({
      description:
        "Share of the contexts for which the flags of spec.flags are on, in hundredths of a percent; that of the stage before unless told. Pods of every version ask the same flags: it counts among the requests of the new version only where the code of that version alone asks them.",
    })
    .exactOptional(),
  approval: z
    .boolean()
    .meta({ description: "True: the stage waits for request promote once it has passed." })
    .default(false),
});
export type RolloutStage = z.output<typeof stageShape>;

const stage = withRules(stageShape, [
  {
    rule: "self.maxHoldSeconds == 0 || self.holdSeconds <= self.maxHoldSeconds",
    message: "holdSeconds must not exceed maxHoldSeconds: the stage would wait for a person before its hold is over",
    check: ({ holdSeconds, maxHoldSeconds }) => maxHoldSeconds === 0 || holdSeconds <= maxHoldSeconds,
  },
]);

/** The ladder that a Rollout has when it names none. */
const LADDER: RolloutStage[] = [
  { weightBps: 100, holdSeconds: 120, maxHoldSeconds: 3_600, minSamples: 100, maxErrorRateBps: 500, approval: false },
  { weightBps: 500, holdSeconds: 180, maxHoldSeconds: 3_600, minSamples: 500, maxErrorRateBps: 300, approval: false },
  {
    weightBps: 2_500,
    holdSeconds: 300,
    maxHoldSeconds: 3_600,
    minSamples: 2_000,
    maxErrorRateBps: 200,
    approval: false,
  },
  {
    weightBps: 5_000,
    holdSeconds: 300,
    maxHoldSeconds: 3_600,
    minSamples: 5_000,
    maxErrorRateBps: 100,
    approval: false,
  },
  {
    weightBps: 10_000,
    holdSeconds: 300,
    maxHoldSeconds: 3_600,
    minSamples: 10_000,
    maxErrorRateBps: 100,
    approval: false,
  },
];

const stages = withRules(listAtomic(z.array(stage).min(1).max(STAGES_MAX)), [
  {
    rule: "self.map(s, s.weightBps).isSorted() && self.all(a, self.exists_one(b, b.weightBps == a.weightBps))",
    message: "weights must ascend",
    check: (list) => list.every(({ weightBps }, index) => weightBps > (list[index - 1]?.weightBps ?? 0)),
  },
  {
    rule: `self[size(self) - 1].weightBps == ${String(WHOLE_BPS)}`,
    message: "the last stage must have weightBps 10000",
    check: (list) => list.at(-1)?.weightBps === WHOLE_BPS,
  },
  {
    rule: "self.filter(s, has(s.flagBps)).map(s, s.flagBps).isSorted()",
    message: "flagBps must not fall from one stage to the next",
    check: (list) => {
      const shares = list.flatMap(({ flagBps }) => flagBps ?? []);
      return shares.every((share, index) => share >= (shares[index - 1] ?? 0));
    },
  },
]);

/** `spec.stages` of a Rollout. */
export const rolloutStages = stages
  .meta({
    ...stages.meta(),
    description:
      "Ladder of the release, judged at every step. One stage of 10000 is a blue-green release: the new version is at full size before it gets a request.",
  })
  .default(LADDER);
