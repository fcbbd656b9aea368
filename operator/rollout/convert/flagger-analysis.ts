/** Analyses of Flagger: weights as a ladder, metrics as limits on the share of failed requests. */
import { WHOLE_BPS } from "../../../crds/rollout-ladder.ts";
import type { Entry } from "./documents.ts";
import { secondsOf } from "./durations.ts";
import { listOf, textOf } from "./frame.ts";
import { limitOf, type StageDraft, stricter } from "./ladder.ts";
import type { Path, Reading, Rule } from "./reading.ts";
import { errorLimit, podMetricsOf } from "./thresholds.ts";

/** Flagger's own default, and the least that it takes. */
const INTERVAL_SECONDS = 60;
const INTERVAL_MIN_SECONDS = 10;

/** Where the analysis of a Canary is: the second name is the older one. */
export function analysisPath(reading: Reading): Path {
  return reading.peek(["spec", "analysis"]) === undefined ? ["spec", "canaryAnalysis"] : ["spec", "analysis"];
}

/** The stages; none where the Canary names no weights. */
export function stagesOfAnalysis(reading: Reading, path: Path, limit: number | undefined): readonly StageDraft[] {
  const interval = Math.max(secondsOf(reading.peek([...path, "interval"])) ?? INTERVAL_SECONDS, INTERVAL_MIN_SECONDS);
  const stageAt = (weight: number, holdSeconds: number): StageDraft => ({
    weightBps: Math.min(WHOLE_BPS, Math.max(1, Math.round(weight * 100))),
    holdSeconds,
    approval: false,
    maxErrorRateBps: limit,
  });
  const weights = weightsOf(reading, path);
  const iterations = Number(reading.peek([...path, "iterations"]) ?? 0);
  if (weights.length === 0 && !(iterations > 0)) return [];
  if (reading.peek([...path, "interval"]) !== undefined) {
    reading.change(
      [...path, "interval"],
      "it became the hold of the stages (holdSeconds): a stage passes earlier when the new version is shown to be good enough",
    );
  }
  if (weights.length > 0) return weights.map((weight) => stageAt(weight, interval));
  reading.change(
    [...path, "iterations"],
    "one stage of all requests, held as long as they take; Flagger checks before the first request, a Rollout judges by requests",
  );
  return [stageAt(100, interval * iterations)];
}

function weightsOf(reading: Reading, path: Path): readonly number[] {
  const steps = listOf(reading.peek([...path, "stepWeights"])).map(Number);
  if (steps.length > 0) {
    // Flagger goes by the steps alone then.
    reading.use([...path, "maxWeight"]);
    return steps.filter((weight, index) => {
      const isStage = weight > Math.max(0, ...steps.slice(0, index)) && weight <= 100;
      if (isStage) reading.use([...path, "stepWeights", index]);
      else reading.drop([...path, "stepWeights", index], "weights rise from stage to stage, up to 100 %");
      return isStage;
    });
  }
  const step = Number(reading.peek([...path, "stepWeight"]) ?? 0);
  if (!(step > 0)) return [];
  const max = Math.min(100, Number(reading.peek([...path, "maxWeight"]) ?? 100));
  for (const member of ["stepWeight", "maxWeight"]) reading.use([...path, member]);
  return Array.from({ length: Math.floor(max / step) }, (_, index) => step * (index + 1));
}

/** What the metrics of a Canary come to. */
export interface Limits {
  readonly maxErrorRateBps: number | undefined;
  /** Names of what the pods count, as a query tells them. */
  readonly metrics: object | undefined;
}

/** @param templates MetricTemplates of the documents */
export function limitsOf({ reading, namespace }: Entry, path: Path, templates: readonly Entry[]): Limits {
  let limits: Limits = { maxErrorRateBps: undefined, metrics: undefined };
  listOf(reading.peek([...path, "metrics"])).forEach((_, index) => {
    const found = limitOfMetric(reading, [...path, "metrics", index], { namespace, templates });
    limits = {
      maxErrorRateBps: stricter(limits.maxErrorRateBps, found.maxErrorRateBps),
      metrics: limits.metrics ?? found.metrics,
    };
  });
  return limits;
}

interface Known {
  readonly namespace: string | undefined;
  readonly templates: readonly Entry[];
}

function limitOfMetric(reading: Reading, path: Path, known: Known): Limits {
  const name = textOf(reading, [...path, "name"]) ?? "";
  const template = templateOf(reading, path, known);
  if (template === "missing") return { maxErrorRateBps: undefined, metrics: undefined };
  const own = textOf(reading, [...path, "query"]) ?? "";
  const query = template === undefined ? own : (textOf(template.reading, ["spec", "query"]) ?? "");
  const { bps, member } = boundOf(reading, path, { name, query });
  if (bps === undefined) {
    reading.drop(
      path,
      "it is not recognised as a limit on the share of failed requests",
      "limits on failed requests are maxErrorRateBps of a stage, latency is spec.analysis.latency; other metrics are not judged",
    );
    return { maxErrorRateBps: undefined, metrics: undefined };
  }
  for (const one of ["name", "namespace"]) reading.use([...path, "templateRef", one]);
  reading.change([...path, ...member], `it became maxErrorRateBps ${String(bps)} of the stages`);
  const metrics = podMetricsOf(query);
  if (metrics !== undefined) {
    const [from, at]: readonly [Reading, Path] =
      template === undefined ? [reading, [...path, "query"]] : [template.reading, ["spec", "query"]];
    from.change(
      at,
      `its counter ${metrics.requests} is read from the pods themselves`,
      "check port and path in spec.analysis.source.pods",
    );
  }
  return { maxErrorRateBps: bps, metrics };
}

function templateOf(reading: Reading, path: Path, { namespace, templates }: Known): Entry | "missing" | undefined {
  const ref = textOf(reading, [...path, "templateRef", "name"]);
  if (ref === undefined) return undefined;
  const where = textOf(reading, [...path, "templateRef", "namespace"]) ?? namespace;
  const found = templates.find((entry) => entry.name === ref && (entry.namespace ?? where) === where);
  if (found !== undefined) {
    found.reading.use(["metadata", "name"]);
    return found;
  }
  reading.drop(path, `MetricTemplate ${ref} is not among the documents`, "give its file too, or set limits by hand");
  return "missing";
}

/** The limit, and where it is said. */
function boundOf(reading: Reading, path: Path, { name, query }: { readonly name: string; readonly query: string }) {
  const numberAt = (member: Path): number | undefined => {
    const value = reading.peek([...path, ...member]);
    return typeof value === "number" ? value : undefined;
  };
  const isBuiltIn = name === "request-success-rate" && query === "";
  const old = numberAt(["threshold"]);
  if (isBuiltIn) {
    const min = numberAt(["thresholdRange", "min"]);
    const percent = min ?? old;
    const member: Path = min === undefined ? ["threshold"] : ["thresholdRange", "min"];
    return { bps: percent === undefined ? undefined : limitOf(1 - percent / 100), member };
  }
  const min = numberAt(["thresholdRange", "min"]);
  const max = numberAt(["thresholdRange", "max"]) ?? old;
  const upper: Path = numberAt(["thresholdRange", "max"]) === undefined ? ["threshold"] : ["thresholdRange", "max"];
  const byMin = min === undefined ? undefined : errorLimit({ name, query, min });
  if (byMin !== undefined) return { bps: byMin, member: ["thresholdRange", "min"] as Path };
  return { bps: max === undefined ? undefined : errorLimit({ name, query, max }), member: upper };
}

/** Fields of MetricTemplates that are not translated. */
export const METRIC_TEMPLATE_RULES: readonly Rule[] = [
  { pattern: "metadata", why: undefined },
  ...["apiVersion", "kind", "status"].map((pattern) => ({ pattern, why: undefined })),
  {
    pattern: "spec",
    why: "counts come from the pods themselves, or from the gateway, and are not asked of a metric store",
    instead:
      "say in spec.analysis.source where they are: by default port 8080, path /metrics, counter http_requests_total with label code",
  },
];
