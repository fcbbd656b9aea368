/**
 * From a page of metrics to the counters of one version in one process: sums over all series of the named metrics.
 *
 * A counter with labels does not exist before its first event, and programs differ in how they say so: some announce its family
 * (TYPE, HELP) all the same, some say nothing. The first is a zero. The second may as well be a metric that does not exist, and
 * is told as `missing`: who has the pages of all pods can tell, for a metric that one of them has is only waiting on the others.
 */
import type { PodMetrics } from "../../../crds/rollout-analysis.ts";
import type { Counters } from "../../../crds/rollout-run.ts";
import { OperatorError } from "../../../lib/core/errors.ts";
import { type Exposition, numberOf, type Sample } from "./exposition.ts";
import { BOUNDS_MAX, type Histogram } from "./histogram.ts";

/** Names of what is counted. */
export interface CountNames {
  /** Counter of all requests. */
  readonly requests: string;
  /** Label of that counter, and its values that mean failure: '.' is any one character, '|' parts alternatives. */
  readonly errors: { readonly label: string; readonly pattern: string };
  /** Histogram of the time they took, without `_bucket`, and milliseconds of its unit. */
  readonly latency?: { readonly histogram: string; readonly unitMs: number };
}

/** Names by the words of a spec. */
export function namesOf({ latency, ...names }: PodMetrics): CountNames {
  if (latency === undefined) return names;
  return { ...names, latency: { histogram: latency, unitMs: /_(?:milliseconds|ms)$/.test(latency) ? 1 : 1_000 } };
}

/** What one process has counted of one version since it began. */
export interface Reading {
  /** Absent when the requests are neither counted nor announced. */
  readonly counters?: Omit<Counters, "latency">;
  /** Absent before its first event. */
  readonly histogram?: Histogram;
  /** Metrics that were neither counted nor announced. */
  readonly missing: readonly string[];
}

/** Largest count that a run can store (crds/rollout-run.ts). */
const COUNT_MAX = 1e12;

/** Series that `readingOf` needs of a page. */
export function seriesOf({ requests, latency }: CountNames): Set<string> {
  return new Set([requests, ...(latency === undefined ? [] : [`${latency.histogram}_bucket`])]);
}

/**
 * @param isOurs whether a series is of this version; all are, unless told
 * @throws OperatorError METRICS_INVALID for counts that are none, METRIC_MISSING when no series has the label of failures
 */
export function readingOf(
  { samples, families }: Exposition,
  names: CountNames,
  isOurs: (labels: Sample["labels"]) => boolean = () => true,
): Reading {
  const { latency } = names;
  const ours = samples.filter(({ labels }) => isOurs(labels));
  const requests = ours.filter(({ name }) => name === names.requests);
  const buckets = latency === undefined ? [] : ours.filter(({ name }) => name === `${latency.histogram}_bucket`);
  const isCounted = requests.length > 0 || isAnnounced(names.requests, families);
  const isTimed = latency === undefined || buckets.length > 0 || families.has(latency.histogram);
  return {
    ...(isCounted
      ? { counters: { requests: sumOf(requests, names.requests), errors: errorsOf(requests, names) } }
      : {}),
    ...(latency === undefined || buckets.length === 0 ? {} : { histogram: histogramOf(buckets, latency) }),
    missing: [...(isCounted ? [] : [names.requests]), ...(isTimed ? [] : [latency.histogram])],
  };
}

/** OpenMetrics announces `x_total` as `x`; the count of a histogram or summary is announced by the name of that. */
function isAnnounced(counter: string, families: ReadonlySet<string>): boolean {
  return families.has(counter) || families.has(counter.replace(/_(?:total|count)$/, ""));
}

function errorsOf(requests: readonly Sample[], { requests: name, errors: { label, pattern } }: CountNames): number {
  if (requests.length > 0 && !requests.some(({ labels }) => labels.has(label))) {
    throw new OperatorError("METRIC_MISSING", `metrics: no series of ${name} has the label ${label}`);
  }
  // The schema of a spec lets no repetition into a pattern, so that a match takes no time worth mentioning.
  const failure = new RegExp(`^(?:${pattern})$`, "s");
  return sumOf(
    requests.filter(({ labels }) => failure.test(labels.get(label) ?? "")),
    name,
  );
}

/** Whole: counters are numbers with a fraction in this format, and those that weigh or sample have one. */
function sumOf(samples: readonly Sample[], name: string): number {
  const sum = samples.reduce((total, { value }) => total + countOf(value, name), 0);
  return Math.floor(countOf(sum, name));
}

function countOf(value: number, name: string): number {
  if (value >= 0 && value <= COUNT_MAX) return value;
  throw new OperatorError("METRICS_INVALID", `metrics: ${name} is ${value}, which is no count`);
}

/** Only bounds of all series: a sum over fewer would fall from one bound to the next. */
function histogramOf(
  buckets: readonly Sample[],
  { histogram: name, unitMs }: NonNullable<CountNames["latency"]>,
): Histogram {
  const byBound = new Map<number, Sample[]>();
  for (const sample of buckets) {
    const bound = numberOf(sample.labels.get("le") ?? "");
    if (bound === undefined || Number.isNaN(bound)) {
      throw new OperatorError("METRICS_INVALID", `metrics: ${name}_bucket has a bound that is no number`);
    }
    const before = byBound.get(bound);
    if (before === undefined) byBound.set(bound, [sample]);
    else before.push(sample);
  }
  const series = byBound.get(Number.POSITIVE_INFINITY)?.length ?? 0;
  const whole = [...byBound].filter(([bound, of]) => Number.isFinite(bound) && bound > 0 && of.length === series);
  const sorted = whole.toSorted(([one], [other]) => one - other);
  const upTo = sorted.map(([, of]) => sumOf(of, `${name}_bucket`));
  if (upTo.some((count, index) => count < (upTo[index - 1] ?? 0))) {
    throw new OperatorError("METRICS_INVALID", `metrics: counts of ${name}_bucket fall from one bound to the next`);
  }
  if (sorted.length > BOUNDS_MAX) {
    throw new OperatorError("METRICS_INVALID", `metrics: ${name} has more than ${BOUNDS_MAX} bounds`);
  }
  return { boundsMs: sorted.map(([bound]) => Number((bound * unitMs).toPrecision(12))), upTo };
}
