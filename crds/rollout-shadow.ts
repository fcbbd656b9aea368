/** `spec.shadow` of a Rollout: the new version gets copies of requests before it answers its first one. */
import { z } from "zod";
import { listAtomic, withRules } from "./common.ts";

/** Methods of HTTP that a match of the Gateway API knows, but those that only open connections. */
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;

/** Methods that ask for nothing to be changed (RFC 9110, 9.2.1), as far as applications keep to that. */
const SAFE: (typeof METHODS)[number][] = ["GET", "HEAD"];

const seconds = (max: number): z.ZodInt => z.int().min(0).max(max);

const shape = z.strictObject({
  percent: z
    .int()
    .min(1)
    .max(100)
    .meta({
      description: "Share of the requests with these methods that are copied. The new version has pods for that many.",
    })
    .default(100),
  methods: listAtomic(z.array(z.enum(METHODS)).min(1).max(METHODS.length))
    .meta({
      description:
        "Methods of the requests that are copied. A copy does what the request does: others than GET and HEAD do it twice.",
    })
    .default(SAFE),
  durationSeconds: seconds(86_400)
    .meta({
      description:
        "Time after which the copies have shown enough when nothing speaks against the new version. They have earlier when it is shown to be good enough.",
    })
    .default(300),
  maxDurationSeconds: seconds(604_800)
    .meta({
      description:
        "Time after which the release pauses for a person when the copies have not shown enough, for example for want of requests; 0 waits for ever.",
    })
    .default(3_600),
  minSamples: z
    .int()
    .min(1)
    .max(1_000_000_000)
    .meta({ description: "Copies that the new version must have answered." })
    .default(100),
  maxErrorRateBps: z
    .int()
    .min(1)
    .max(9_000)
    .meta({
      description: "Largest share of failed copies, in hundredths of a percent. Above it no stage is begun.",
    })
    .default(500),
  onUnsupported: z
    .enum(["Refuse", "Skip"])
    .meta({
      description:
        "What happens where the gateway cannot copy that share of the requests, or nobody knows whether it can. Refuse: no release begins. Skip: releases go on without copies.",
    })
    .default("Refuse"),
});

/** `spec.shadow` of a Rollout. */
export const rolloutShadow = withRules(shape, [
  {
    rule: "self.maxDurationSeconds == 0 || self.durationSeconds <= self.maxDurationSeconds",
    message:
      "durationSeconds must not exceed maxDurationSeconds: the release would wait for a person before its time is over",
    check: ({ durationSeconds, maxDurationSeconds }) =>
      maxDurationSeconds === 0 || durationSeconds <= maxDurationSeconds,
  },
  {
    rule: "self.methods.all(a, self.methods.exists_one(b, b == a))",
    message: "methods must differ",
    check: ({ methods }) => new Set(methods).size === methods.length,
  },
]);
export type RolloutShadow = z.output<typeof rolloutShadow>;
