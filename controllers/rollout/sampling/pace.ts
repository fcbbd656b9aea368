/**
 * When to look again. A version that is broken outright shows it with its first requests, and these come soon after a change of
 * weight: then there is a look every 500 ms, where that costs little. What the judge makes of it stays the same, for it counts what one
 * interval brings as one, in however many looks it is seen.
 */
import type { SampleTask } from "./task.ts";

/** Between two looks that follow each other quickly. */
const QUICK_LOOK_MS = 500;
/** So long after a change of weight: a gateway may take 2 s to serve it, and then a few requests suffice. */
const QUICK_TIME_MS = 15_000;
/** Pods of both versions; more of them cost more than they tell. */
const QUICK_PODS_MAX = 20;
/** A look that took long is followed by a wait of so many times its own: whoever is slow is not asked all the time. */
const REST_PER_LOOK = 4;

/** Milliseconds from one look to the next. */
export type Pace = (task: SampleTask, hereMs: number, askedMs: number) => number;

/**
 * Quick where it helps, else one look each interval.
 * @param hereMs since when the release is at this place
 * @param askedMs what the look took
 */
export function quickAtFirst(task: SampleTask, hereMs: number, askedMs: number): number {
  const intervalMs = steady(task);
  if (!isQuick(task) || hereMs >= QUICK_TIME_MS) return intervalMs;
  return Math.min(intervalMs, Math.max(QUICK_LOOK_MS, (1 + REST_PER_LOOK) * askedMs));
}

/** Without a share there is no harm to be seen, and a Prometheus knows no more than its last scrape told. */
function isQuick({ weightBps, analysis, canary, stable }: SampleTask): boolean {
  return weightBps > 0 && analysis.source.prometheus === undefined && canary.length + stable.length <= QUICK_PODS_MAX;
}

/** One look each interval. */
export function steady({ analysis }: SampleTask): number {
  return analysis.intervalSeconds * 1_000;
}
