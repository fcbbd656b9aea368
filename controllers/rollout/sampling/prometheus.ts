/**
 * Counts from a Prometheus that asks the pods itself: sums by pod, of the very counters that the pods tell, at one moment.
 *
 * What it says is as old as its last scrape of the pod, by its own clock, which tells two things apart. A pod whose scrapes have ended is
 * silent, though its last counters are answered for minutes. And a counter that was scraped before the release came to this place
 * is no beginning for it: the pod is silent until its first scrape at the place.
 */
import type { PodMetrics, PrometheusSource } from "../../../crds/rollout-analysis.ts";
import { OperatorError, toOperatorError } from "../../../lib/core/errors.ts";
import { ANSWER_TIMEOUT_MS, type CountSource, type Scrape, SHARED_PAGE_BYTES_MAX, sideOf } from "./answer.ts";
import type { Exposition, Sample } from "./exposition.ts";
import { type CountNames, namesOf, type Reading, readingOf } from "./reading.ts";
import type { SampleTask, ScrapeTarget } from "./task.ts";

/** A scrape that is older is taken for the last one: twice the interval that Prometheus has unless told. */
const SCRAPE_AGE_MAX_SECONDS = 120;

/** Label by which the parts of the question are told apart in the answer. */
const PART = "shieldx_part";
const AT = "at";

/** One line of the answer. */
interface Line {
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
  /** When the question was answered, in seconds since the epoch by Prometheus' clock. */
  readonly askedAt: number;
}

export function prometheusSource(scrape: Scrape, source: PrometheusSource): CountSource {
  const names = namesOf(source.metrics);
  let place = "";
  let placeSince = 0;

  const ask = async (task: SampleTask, signal: AbortSignal): Promise<readonly Line[]> => {
    // No pattern says all that makes an address invalid, 256.1.1.1 for one.
    if (!URL.canParse(source.url)) throw new OperatorError("METRICS_UNREACHABLE", "url: it is no address");
    const { hostname: host, port, pathname } = new URL(source.url);
    const query = encodeURIComponent(queryOf(source, task));
    const path = `${pathname.replace(/\/$/, "")}/api/v1/query?query=${query}`;
    const limits = { timeoutMs: ANSWER_TIMEOUT_MS, bytesMax: SHARED_PAGE_BYTES_MAX, isLocalRefused: true };
    return linesOf(await scrape({ host, port: Number(port || 80), path, ...limits, signal }));
  };
  return async (task, signal) => {
    try {
      const lines = await ask(task, signal);
      const now = `${task.stage} ${task.weightBps}`;
      if (now !== place && lines[0] !== undefined) [place, placeSince] = [now, lines[0].askedAt];
      const one = ({ name, uid }: ScrapeTarget) => {
        const own = lines.filter(({ labels }) => labels.get(source.podLabel) === name);
        return [uid, answerOf(own, { name, names, placeSince })] as const;
      };
      return { canary: sideOf(task.canary.map(one), task.canary), stable: sideOf(task.stable.map(one), task.stable) };
    } catch (error) {
      const reason = `prometheus ${toOperatorError(error).message}`;
      const silent = ({ uid }: ScrapeTarget) => [uid, reason] as const;
      return {
        canary: sideOf(task.canary.map(silent), task.canary),
        stable: sideOf(task.stable.map(silent), task.stable),
      };
    }
  };
}

/** All that is asked, in one question: parts of several questions could be of two scrapes. */
function queryOf({ namespaceLabel, podLabel, metrics }: PrometheusSource, { key, canary, stable }: SampleTask): string {
  // Names of pods have dots at most, which mean themselves in brackets.
  const pods = [...canary, ...stable].map(({ name }) => name.replaceAll(".", "[.]")).join("|");
  const of = (name: string): string => `${name}{${namespaceLabel}="${key.namespace}",${podLabel}=~"${pods}"}`;
  const part = (name: string, vector: string): string => `label_replace(${vector},"${PART}","${name}","","")`;
  const { requests, errors, latency } = metrics;
  return [
    part(requests, `sum by(${podLabel},${errors.label})(${of(requests)})`),
    part(AT, `max by(${podLabel})(timestamp(${of(requests)}))`),
    ...bucketsOf(latency).map((buckets) => part(buckets, `sum by(${podLabel},le)(${of(buckets)})`)),
  ].join(" or ");
}

function bucketsOf(latency: PodMetrics["latency"]): string[] {
  return latency === undefined ? [] : [`${latency}_bucket`];
}

/** What a pod has counted, or why that is not told. */
function answerOf(
  lines: readonly Line[],
  { name, names, placeSince }: { readonly name: string; readonly names: CountNames; readonly placeSince: number },
): Reading | string {
  const at = lines.find(({ labels }) => labels.get(PART) === AT);
  // Nothing of a pod may as well be all that Prometheus has of it: no request yet is only what the pod itself can say.
  if (at === undefined) return `pod ${name}: Prometheus has no ${names.requests} of it`;
  const age = at.askedAt - at.value;
  if (age > SCRAPE_AGE_MAX_SECONDS) return `pod ${name}: Prometheus has last asked it ${Math.round(age)} s ago`;
  if (at.value < placeSince) return `pod ${name}: Prometheus has not asked it since the weight changed`;
  try {
    return readingOf(expositionOf(lines), names);
  } catch (error) {
    return `pod ${name}: ${toOperatorError(error).message}`;
  }
}

function expositionOf(lines: readonly Line[]): Exposition {
  const samples = lines.map(({ labels, value }): Sample => ({ name: labels.get(PART) ?? "", labels, value }));
  return { samples, families: new Set() };
}

interface Page {
  readonly status: unknown;
  readonly data: { readonly result: readonly { metric: Record<string, string>; value: [number, string] }[] };
}

/** The answer is never quoted, for anybody may have given it. @throws OperatorError METRICS_INVALID for what is not an answer of Prometheus */
function linesOf(page: string): readonly Line[] {
  const answer = understood("it is no JSON", () => JSON.parse(page) as Page);
  return understood("it has another form", () => {
    if (answer.status !== "success") throw invalid("it has not succeeded");
    return answer.data.result.map(({ metric, value: [askedAt, value] }) => {
      return { labels: new Map(Object.entries(metric)), value: Number(value), askedAt };
    });
  });
}

/** @param otherwise what is said in place of V8's own words, which have parts of the text */
function understood<T>(otherwise: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof OperatorError ? error : invalid(otherwise);
  }
}

function invalid(message: string): OperatorError {
  return new OperatorError("METRICS_INVALID", `the answer is none of Prometheus: ${message}`);
}
