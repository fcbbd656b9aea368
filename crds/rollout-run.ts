/** The two documents that a judged release leaves or is made from: a run with its verdicts, and counters as they were scraped. */
import { z } from "zod";
import { OperatorError } from "../lib/core/errors.ts";
import { type RolloutPolicy, rolloutPolicy } from "./rollout-policy.ts";

/** Rows of a run at most; beyond it earlier rows are merged. */
export const RUN_ROWS_MAX = 600;

/** So large that no service reaches it in a tick, and so small that the sum of all rows is a whole number still. */
const count = z.int().min(0).max(1e12);
const sum = z.int().min(0);
const time = z.iso.datetime({ offset: false });
const finite = z.number();

const boundsMs = z
  .array(z.number().gt(0))
  .max(64)
  .refine((bounds) => bounds.every((bound, index) => bound > (bounds[index - 1] ?? 0)), "bounds must ascend");

const counts = z
  .strictObject({
    requests: count,
    /** Requests that failed. */
    errors: count,
    /** Requests of each latency bucket, one more than there are bounds. */
    latency: z.array(count).max(65).exactOptional(),
  })
  .refine(({ requests, errors }) => errors <= requests, { path: ["errors"], message: "more errors than requests" });
/** What one version answered in one interval. */
export type Counts = z.output<typeof counts>;

export const VERDICTS = ["Pass", "Fail", "Inconclusive", "Unknown"] as const;
/** What a tick says of the stage: go on, go back, wait, or cannot tell. */
export type VerdictKind = (typeof VERDICTS)[number];

export const VERDICT_REASONS = [
  "Harm",
  "SloBreach",
  "HoldOver",
  "NotInferior",
  "Holding",
  "TooFewSamples",
  "GateExceeded",
  "NoData",
  "NoTraffic",
  "NoBaseline",
  "CommonCause",
] as const;
/** Why. */
export type VerdictReason = (typeof VERDICT_REASONS)[number];

const verdict = z.strictObject({
  verdict: z.enum(VERDICTS),
  reason: z.enum(VERDICT_REASONS),
  metric: z.enum(["errors", "latency"]),
  /** One sentence with the numbers that decided. */
  message: z.string().max(500),
});
/** The judge's word on a tick. */
export type Verdict = z.output<typeof verdict>;

/** Evidence of one metric: each e-value beside 1/level decides; `slo` and `promote` only where they are tested. */
const evidence = z.strictObject({ harm: finite, slo: finite.exactOptional(), promote: finite });
/** Natural logarithms of e-values. */
export type Evidence = z.output<typeof evidence>;

const row = z.strictObject({
  from: time,
  to: time,
  /** Index in the policy's stages. */
  stage: z.int().min(0).max(31),
  weightBps: z.int().min(0).max(10_000),
  /** Absent: the source had no fresh counts in this interval. */
  canary: counts.exactOptional(),
  stable: counts.exactOptional(),
  verdict,
  /** After this row. */
  evidence: z.strictObject({ errors: evidence, latency: evidence.exactOptional() }),
  /** Ticks that were merged into this row; 1 when absent. */
  ticks: z.int().min(2).exactOptional(),
  /** Part of a merged row's time in which there was no data. */
  silentMs: z.int().min(1).exactOptional(),
});
/** One tick of a run. */
export type RunRow = z.output<typeof row>;

const tally = z.strictObject({ bad: sum, total: sum });
/** Requests, and how many of them were bad: failed, or slow. */
export type Tally = z.output<typeof tally>;

const finites = z.array(finite).max(32);
const comparison = z.strictObject({ run: finites, stage: finites, promote: finites });
const dispersion = z.strictObject({ expected: finite, seen: finite, last: tally.exactOptional() });
const ms = z.int().min(0);
/** An interval of a test that is not over: logarithms of likelihood ratios as they are, and the dispersion known at its begin. */
const interval = z.strictObject({ steps: finites, dispersion: finite, ms });
const metricState = z.strictObject({
  /** Without what is open, as "slo" is. */
  comparison,
  slo: finites.exactOptional(),
  dispersion: z.strictObject({ canary: dispersion, stable: dispersion }),
  /** Sums of the stage. */
  canary: tally,
  stable: tally,
  /** Intervals of the tests that have begun. */
  open: z
    .strictObject({
      harm: interval.exactOptional(),
      slo: interval.exactOptional(),
      promote: interval.exactOptional(),
    })
    .exactOptional(),
  /** What both versions answered since the dispersion was last learnt. */
  learning: z.strictObject({ canary: tally, stable: tally, ms }).exactOptional(),
  /** The first failure; it stays. */
  failure: verdict.exactOptional(),
});

const judgeState = z.strictObject({
  /** Stages entered so far; the share of the false-rollback rate that the current one has follows from it. */
  entries: z.int().min(0),
  stage: z.int().min(-1).max(31),
  weightBps: z.int().min(0).max(10_000),
  /** Time of the stage with data of both versions. */
  observedMs: z.int().min(0),
  /** Time at its end in which the canary has answered nothing; absent while it answers. */
  quietMs: z.int().min(1).exactOptional(),
  errors: metricState,
  latency: metricState.exactOptional(),
  /** Index of the latency bound above which a request is slow, once it is chosen; until then the stable version's buckets. */
  bound: z.int().min(0).max(63).exactOptional(),
  buckets: z.array(sum).max(65).exactOptional(),
});
/** All that the judge remembers between two ticks. */
export type JudgeState = z.output<typeof judgeState>;
export type MetricState = z.output<typeof metricState>;

export const rolloutRun = z
  .strictObject({
    kind: z.literal("RolloutRun"),
    version: z.literal(1),
    /** The revision that is judged; another one is another run. */
    revision: z.string().min(1).max(253),
    policy: rolloutPolicy,
    latencyBoundsMs: boundsMs.exactOptional(),
    rows: z.array(row).max(RUN_ROWS_MAX),
    /** The judge's memory after the merged rows, all of them at the beginning. */
    merged: z.strictObject({ rows: z.int().min(1), state: judgeState }).exactOptional(),
  })
  .superRefine(({ policy, rows, latencyBoundsMs, merged }, context) => {
    const complain = (message: string, ...path: (string | number)[]) =>
      context.addIssue({ code: "custom", message, path });
    if (merged !== undefined && merged.rows > rows.length) complain("there are fewer rows", "merged", "rows");
    for (const [index, { from, to, stage, canary, stable, silentMs }] of rows.entries()) {
      if (Date.parse(to) <= Date.parse(from)) complain("must be after from", "rows", index, "to");
      if ((silentMs ?? 0) > Date.parse(to) - Date.parse(from))
        complain("is longer than the row", "rows", index, "silentMs");
      if (Date.parse(from) < Date.parse(rows[index - 1]?.to ?? from))
        complain("is before the end of the row above", "rows", index, "from");
      if (stage >= policy.stages.length) {
        complain(`the policy has ${policy.stages.length} stages`, "rows", index, "stage");
      }
      const buckets = latencyBoundsMs === undefined ? undefined : latencyBoundsMs.length + 1;
      for (const [side, value] of Object.entries({ canary, stable })) {
        if (value?.latency !== undefined && value.latency.length !== buckets) {
          complain(`must have one count more than latencyBoundsMs`, "rows", index, side, "latency");
        }
      }
    }
  });
/** A judged release: counts, evidence and verdict of each tick. */
export type RolloutRun = z.output<typeof rolloutRun>;

const counters = z.strictObject({
  requests: count,
  errors: count,
  /** Cumulative counts of requests up to each bound, as `le` buckets of Prometheus are, without the last (+Inf). */
  latency: z
    .array(count)
    .max(64)
    .refine((upTo) => upTo.every((value, index) => value >= (upTo[index - 1] ?? 0)), "cumulative counts must not fall")
    .exactOptional(),
});
/** Counters of one series, for example of one pod, since its start. */
export type Counters = z.output<typeof counters>;

const series = z.record(z.string().min(1).max(253), counters);
const sample = z.strictObject({
  at: time,
  stage: z.int().min(0).max(31),
  weightBps: z.int().min(0).max(10_000),
  /** Counters by series; absent when the source did not answer. */
  canary: series.exactOptional(),
  stable: series.exactOptional(),
});
/** One scrape of both versions. */
export type CounterSample = z.output<typeof sample>;

export const rolloutSamples = z
  .strictObject({
    kind: z.literal("RolloutSamples"),
    version: z.literal(1),
    revision: z.string().min(1).max(253).default("unnamed"),
    policy: rolloutPolicy.prefault({}),
    latencyBoundsMs: boundsMs.exactOptional(),
    samples: z.array(sample).min(2).max(100_000),
  })
  .superRefine(({ policy, samples, latencyBoundsMs }, context) => {
    for (const [index, { at, stage, canary, stable }] of samples.entries()) {
      const complain = (message: string, ...path: (string | number)[]) =>
        context.addIssue({ code: "custom", message, path: ["samples", index, ...path] });
      const before = samples[index - 1];
      if (before !== undefined && Date.parse(at) <= Date.parse(before.at)) {
        complain("must be after the sample above", "at");
      }
      if (stage >= policy.stages.length) complain(`the policy has ${policy.stages.length} stages`, "stage");
      for (const [side, value] of Object.entries({ canary, stable })) {
        for (const [name, { latency }] of Object.entries(value ?? {})) {
          if (latency !== undefined && latency.length !== (latencyBoundsMs?.length ?? 0)) {
            complain("must have one count for each of latencyBoundsMs", side, name, "latency");
          }
        }
      }
    }
  });
/** Counters of a release as they were scraped, not judged yet. */
export type RolloutSamples = z.output<typeof rolloutSamples>;

/** Reads a run or samples. @param name how the message calls the document @throws OperatorError ROLLOUT_RUN_INVALID; the message names the field */
export function parseRollout(json: string, name: string): RolloutRun | RolloutSamples {
  const document = fromJson(json, name);
  const kind = (document as { readonly kind?: unknown } | null)?.kind;
  if (kind === "RolloutSamples") return parse(rolloutSamples, document, name);
  if (kind === "RolloutRun") return parse(rolloutRun, document, name);
  throw new OperatorError("ROLLOUT_RUN_INVALID", `${name}: kind: must be "RolloutRun" or "RolloutSamples"`);
}

/** Reads a policy. @param name how the message calls the document @throws OperatorError ROLLOUT_RUN_INVALID; the message names the field */
export function parsePolicy(json: string, name: string): RolloutPolicy {
  return parse(rolloutPolicy, fromJson(json, name), name);
}

function parse<T extends z.ZodType>(schema: T, document: unknown, name: string): z.output<T> {
  const parsed = schema.safeParse(document);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const path = issue?.path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("") ?? "";
  const field = path === "" ? "" : `${path.replace(/^\./, "")}: `;
  throw new OperatorError("ROLLOUT_RUN_INVALID", `${name}: ${field}${issue?.message ?? "invalid"}`);
}

function fromJson(json: string, name: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new OperatorError("ROLLOUT_RUN_INVALID", `${name}: ${(cause as Error).message}`, { cause });
  }
}
