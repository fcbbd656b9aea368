/** Counts from the pods of both versions, each of which counts by itself. */
import type { PodMetrics } from "../../../crds/rollout-analysis.ts";
import { toOperatorError } from "../../../lib/core/errors.ts";
import {
  ANSWER_TIMEOUT_MS,
  type CountSource,
  POD_PAGE_BYTES_MAX,
  type Scrape,
  type SideAnswer,
  sideOf,
} from "./answer.ts";
import { parseExposition } from "./exposition.ts";
import { namesOf, type Reading, readingOf, seriesOf } from "./reading.ts";
import type { ScrapeTarget } from "./task.ts";

/** Where the pods are asked, and for what. */
interface PodSource {
  readonly port: number;
  readonly path: string;
  readonly metrics: PodMetrics;
}

export function podSource(scrape: Scrape, { port, path, metrics }: PodSource): CountSource {
  const names = namesOf(metrics);
  const wanted = seriesOf(names);

  const askOne = async ({ name, ip }: ScrapeTarget, signal: AbortSignal): Promise<Reading | string> => {
    try {
      const limits = { timeoutMs: ANSWER_TIMEOUT_MS, bytesMax: POD_PAGE_BYTES_MAX };
      const page = await scrape({ host: ip, port, path, ...limits, signal });
      return readingOf(parseExposition(page, wanted), names);
    } catch (error) {
      return `pod ${name}: ${toOperatorError(error).message}`;
    }
  };
  const askSide = async (targets: readonly ScrapeTarget[], signal: AbortSignal): Promise<SideAnswer> =>
    sideOf(
      await Promise.all(targets.map(async (target) => [target.uid, await askOne(target, signal)] as const)),
      targets,
    );

  return async (task, signal) => {
    const [canary, stable] = await Promise.all([askSide(task.canary, signal), askSide(task.stable, signal)]);
    return { canary, stable };
  };
}
