/** How a release is judged: what is a failure, how sure the judge must be, and the ladder with its gates. */
import { z } from "zod";

const share = z.number().gt(0).lt(1);
const ratio = z.number().min(1).max(100);

const stage = z.strictObject({
  /** Share of requests that the canary is to get, in hundredths of a percent. */
  weightBps: z.int().min(1).max(10_000),
  /** Observed time after which a stage without a failure passes, in seconds; ticks without data do not count. */
  holdSeconds: z.int().min(0).max(86_400),
  /** Requests that the canary must have answered at this weight before the stage can pass. */
  minSamples: z.int().min(1).max(1_000_000_000),
  /** Largest share of failed requests: above it a stage does not pass, and is failed once that is shown. */
  maxErrorRate: z.number().gt(0).max(0.9),
});
/** One step of the ladder. */
export type PolicyStage = z.output<typeof stage>;

/** The ladder that the policy has when it names none. */
const LADDER: readonly PolicyStage[] = [
  { weightBps: 100, holdSeconds: 120, minSamples: 100, maxErrorRate: 0.05 },
  { weightBps: 500, holdSeconds: 180, minSamples: 500, maxErrorRate: 0.03 },
  { weightBps: 2_500, holdSeconds: 300, minSamples: 2_000, maxErrorRate: 0.02 },
  { weightBps: 5_000, holdSeconds: 300, minSamples: 5_000, maxErrorRate: 0.01 },
  { weightBps: 10_000, holdSeconds: 300, minSamples: 10_000, maxErrorRate: 0.01 },
];

const metric = z.strictObject({
  /** A canary up to this many times as bad as the stable version is a good release (θ0). */
  ratio: ratio.default(1.25),
  /** A stage passes before its hold is over when the canary is shown to be less than this many times as bad (θ1). */
  promoteRatio: ratio.gt(1).default(2),
});

const latency = z.strictObject({
  /** Quantile of the stable version's latency: a request above it counts as slow. */
  quantile: share.default(0.95),
  ratio: ratio.default(1.5),
  promoteRatio: ratio.gt(1).default(2),
  /** False: the stage passes also while this metric has no data or no verdict; a failure counts all the same. */
  required: z.boolean().default(true),
});
/** How latency is judged. */
export type LatencyPolicy = z.output<typeof latency>;

export const rolloutPolicy = z.strictObject({
  /** Probability that a good release is rolled back, over the whole run and all tests, however often one looks (α). */
  falseRollbackRate: z.number().min(1e-6).max(0.2).default(0.01),
  /** Probability that a stage of a release at `promoteRatio` or worse passes before its hold is over (β). */
  falsePromotionRate: z.number().min(1e-6).max(0.2).default(0.05),
  /** What is answered within this time, in seconds, fails no release by itself, however many looks it is seen in. */
  intervalSeconds: z.int().min(1).max(60).default(1),
  stages: z
    .array(stage)
    .min(1)
    .max(32)
    .refine(
      (stages) => stages.every(({ weightBps }, index) => weightBps > (stages[index - 1]?.weightBps ?? 0)),
      "weights must ascend",
    )
    .default([...LADDER]),
  errors: metric.prefault({}),
  /** Latency is not judged when absent. */
  latency: latency.exactOptional(),
});
/** What the judge is asked to guarantee. */
export type RolloutPolicy = z.output<typeof rolloutPolicy>;
