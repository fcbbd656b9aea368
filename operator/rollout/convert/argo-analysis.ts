/** Analyses of Argo Rollouts, as far as they are limits on the share of failed requests. */
import type { Entry } from "./documents.ts";
import { secondsOf } from "./durations.ts";
import { listOf, textOf } from "./frame.ts";
import { stricter } from "./ladder.ts";
import type { Path, Reading, Rule } from "./reading.ts";
import { boundsOf, errorLimit, podMetricsOf } from "./thresholds.ts";

/** What an analysis comes to. */
export interface Gate {
  readonly maxErrorRateBps: number | undefined;
  /** Time that its measurements take. */
  readonly seconds: number;
  /** Names of what the pods count, as a query tells them. */
  readonly metrics: object | undefined;
}

const NO_GATE: Gate = { maxErrorRateBps: undefined, seconds: 0, metrics: undefined };
/** Templates that name templates; deeper ones are reported as missing. */
const DEPTH_MAX = 5;

/** All templates of the documents. */
export type Templates = readonly Entry[];

interface Asked {
  readonly templates: Templates;
  readonly namespace: string | undefined;
  readonly args: ReadonlyMap<string, string>;
  /** Metrics that decide nothing. */
  readonly dryRun: readonly string[];
  readonly depth: number;
}

/** An analysis of a Rollout: the templates that it names, together. */
export function gateOf({ reading, namespace }: Entry, path: Path, templates: Templates): Gate {
  const args = new Map(argsOf(reading, [...path, "args"]));
  const dryRun = listOf(reading.peek([...path, "dryRun"])).map((item) =>
    String((item as { metricName?: unknown }).metricName),
  );
  return referredGate(reading, [...path, "templates"], { templates, namespace, args, dryRun, depth: 0 });
}

function referredGate(reading: Reading, path: Path, asked: Asked): Gate {
  return listOf(reading.peek(path))
    .map((_, index) => templateGate(reading, [...path, index], asked))
    .reduce(together, NO_GATE);
}

function templateGate(reading: Reading, path: Path, asked: Asked): Gate {
  const name = textOf(reading, [...path, "templateName"]) ?? "";
  const kind = reading.peek([...path, "clusterScope"]) === true ? "ClusterAnalysisTemplate" : "AnalysisTemplate";
  const found = asked.templates.find(
    (entry) =>
      entry.kind === kind &&
      entry.name === name &&
      (kind === "ClusterAnalysisTemplate" || entry.namespace === undefined || entry.namespace === asked.namespace),
  );
  if (found === undefined || asked.depth > DEPTH_MAX) {
    reading.drop(path, `${kind} ${name} is not among the documents`, "give its file too, or set limits by hand");
    return NO_GATE;
  }
  for (const member of ["templateName", "clusterScope"]) reading.use([...path, member]);
  return gateOfTemplate(found, asked);
}

function gateOfTemplate({ reading }: Entry, asked: Asked): Gate {
  reading.use(["metadata", "name"]);
  const args = new Map([...argsOf(reading, ["spec", "args"]), ...asked.args]);
  const within = { ...asked, args, depth: asked.depth + 1 };
  const own = listOf(reading.peek(["spec", "metrics"])).map((_, index) =>
    metricGate(reading, ["spec", "metrics", index], within),
  );
  return [referredGate(reading, ["spec", "templates"], within), ...own].reduce(together, NO_GATE);
}

function metricGate(reading: Reading, path: Path, { args, dryRun }: Asked): Gate {
  const name = textOf(reading, [...path, "name"]) ?? "";
  const seconds = secondsOfMetric(reading, path);
  if (dryRun.some((pattern) => pattern === name || pattern === ".*" || pattern === "*")) {
    reading.drop(
      path,
      "it is a metric of a dry run, which decides nothing",
      "see analyses of a run with 'shieldx rollout replay'",
    );
    return NO_GATE;
  }
  const success = textOf(reading, [...path, "successCondition"]);
  const member = success === undefined ? "failureCondition" : "successCondition";
  const condition = success ?? textOf(reading, [...path, "failureCondition"]);
  const bounds = condition === undefined ? undefined : boundsOf(filledIn(condition, args), success === undefined);
  const query = filledIn(textOf(reading, [...path, "provider", "prometheus", "query"]) ?? "", args);
  const limit = bounds === undefined ? undefined : errorLimit({ name, query, ...bounds });
  if (limit === undefined) {
    reading.drop(
      path,
      "it is not recognised as a limit on the share of failed requests",
      "limits on failed requests are maxErrorRateBps of a stage, latency is spec.analysis.latency; other metrics are not judged",
    );
    return NO_GATE;
  }
  reading.change(
    [...path, member],
    `it became maxErrorRateBps ${String(limit)} of the stages: above it a stage does not pass, and a share that is shown to be above it, while the stable version is not, takes the release back`,
  );
  return { maxErrorRateBps: limit, seconds, metrics: countersOf(reading, path, query) };
}

function countersOf(reading: Reading, path: Path, query: string): object | undefined {
  const metrics = podMetricsOf(query);
  if (metrics === undefined) return undefined;
  reading.change(
    [...path, "provider", "prometheus", "query"],
    `its counter ${metrics.requests} is read from the pods themselves, as spec.analysis.source.pods says`,
    "check port and path of the pods' metrics there",
  );
  return metrics;
}

/** First measurement to last one, the wait before them included. */
function secondsOfMetric(reading: Reading, path: Path): number {
  const delay = secondsOf(reading.peek([...path, "initialDelay"])) ?? 0;
  const interval = secondsOf(reading.peek([...path, "interval"])) ?? 0;
  const count = Number(reading.peek([...path, "count"]) ?? 1);
  return delay + (Number.isFinite(count) && count > 1 ? (count - 1) * interval : 0);
}

function argsOf(reading: Reading, path: Path): readonly (readonly [string, string])[] {
  return listOf(reading.peek(path)).flatMap((item) => {
    const { name, value } = item as { readonly name?: unknown; readonly value?: unknown };
    return typeof name === "string" && typeof value === "string" ? [[name, value] as const] : [];
  });
}

function filledIn(text: string, args: ReadonlyMap<string, string>): string {
  return text.replace(/\{\{\s*args\.([\w.-]+)\s*\}\}/g, (whole, name: string) => args.get(name) ?? whole);
}

function together(one: Gate, other: Gate): Gate {
  return {
    maxErrorRateBps: stricter(one.maxErrorRateBps, other.maxErrorRateBps),
    seconds: Math.max(one.seconds, other.seconds),
    metrics: one.metrics ?? other.metrics,
  };
}

const EVIDENCE = "a release fails by evidence over all requests, not by a number of measurements";

/** Fields of templates that are not translated. */
export const TEMPLATE_RULES: readonly Rule[] = [
  { pattern: "metadata", why: undefined },
  { pattern: "spec.args", why: "no query is made, so nothing is filled into one" },
  // A word for people.
  { pattern: "spec.metrics[].name", why: undefined },
  { pattern: "spec.dryRun", why: "a metric that decides nothing is not judged" },
  { pattern: "spec.measurementRetention", why: undefined },
  { pattern: "spec.metrics[].interval", why: "both versions are looked at every spec.analysis.intervalSeconds (5 s)" },
  { pattern: "spec.metrics[].initialDelay", why: "a stage asks for minSamples requests, however long they take" },
  { pattern: "spec.metrics[].count", why: EVIDENCE },
  { pattern: "spec.metrics[].failureLimit", why: EVIDENCE },
  { pattern: "spec.metrics[].successCondition", why: EVIDENCE },
  { pattern: "spec.metrics[].failureCondition", why: EVIDENCE },
  { pattern: "spec.metrics[].consecutiveSuccessLimit", why: EVIDENCE },
  {
    pattern: "spec.metrics[].inconclusiveLimit",
    why: "a stage that cannot be judged waits, and then for a person: maxHoldSeconds, rollback.onUnknown",
  },
  {
    pattern: "spec.metrics[].consecutiveErrorLimit",
    why: "no data never fails a release: rollback.onUnknown says what it does",
  },
  {
    pattern: "spec.metrics[].provider",
    why: "counts come from the pods themselves, or from the gateway, and are not asked of a metric store",
    instead:
      "say in spec.analysis.source where they are: by default port 8080, path /metrics, counter http_requests_total with label code",
  },
];
