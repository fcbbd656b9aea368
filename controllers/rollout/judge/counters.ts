/** From counters, as they are scraped, to what was answered between two scrapes. */
import type { CounterSample, Counters, Counts, RolloutSamples } from "../../../crds/rollout-run.ts";
import type { Tick } from "./judge.ts";

type Series = Readonly<Record<string, Counters>>;

const NOTHING: Counters = { requests: 0, errors: 0 };

/**
 * One tick for each two samples in a row. A tick belongs to the stage of its beginning: a weight that changes in between is
 * new from the next sample on. Where one side did not answer the tick has no counts at all, and the next one that has both
 * covers the time since, for both alike; across a change of weight it would belong to no stage, and is left out.
 */
export function ticksOf({ samples }: Pick<RolloutSamples, "samples">): Tick[] {
  const seen = { canary: new Map<string, Counters>(), stable: new Map<string, Counters>() };
  /** Since the last sample with both sides: its stage and weight, unless they changed. */
  let since: string | undefined;
  return samples.flatMap(({ at, canary, stable }, index): Tick[] => {
    const before = samples[index - 1];
    const isOfOneStage = before !== undefined && since === placeOf(before);
    if (before !== undefined && !isOfOneStage) since = undefined;
    const tick = before && { from: before.at, to: at, stage: before.stage, weightBps: before.weightBps };
    if (canary === undefined || stable === undefined) return tick === undefined ? [] : [tick];
    const counts = { canary: countsOf(seen.canary, canary), stable: countsOf(seen.stable, stable) };
    since = placeOf(samples[index] as CounterSample);
    if (tick === undefined) return [];
    return [isOfOneStage ? { ...tick, ...counts } : tick];
  });
}

function placeOf({ stage, weightBps }: CounterSample): string {
  return `${stage} ${weightBps}`;
}

/** Sum over all series of what each counted since it was last seen, which `seen` remembers. */
function countsOf(seen: Map<string, Counters>, series: Series): Counts {
  let sum: Counts = { requests: 0, errors: 0 };
  for (const [name, now] of Object.entries(series)) {
    sum = addCounts(sum, increase(seen.get(name) ?? NOTHING, now));
    seen.set(name, now);
  }
  return sum;
}

/** A counter that fell began anew with its process: what it shows was counted since. One that fell resets its whole series. */
function increase(before: Counters, now: Counters): Counts {
  const fell =
    now.requests < before.requests ||
    now.errors < before.errors ||
    now.latency?.some((value, index) => value < (before.latency?.[index] ?? 0)) === true;
  const from = fell ? NOTHING : before;
  const errors = now.errors - from.errors;
  // Counters of one scrape are read one after the other: a request may be in one and not yet in the other.
  const requests = Math.max(now.requests - from.requests, errors);
  if (now.latency === undefined) return { requests, errors };
  const upTo = now.latency.map((value, index) => value - (from.latency?.[index] ?? 0));
  const latency = [...upTo, requests].map((value, index) => Math.max(0, value - (upTo[index - 1] ?? 0)));
  return { requests, errors, latency };
}

/** Both together. */
export function addCounts(one: Counts, other: Counts): Counts {
  const requests = one.requests + other.requests;
  const errors = one.errors + other.errors;
  const [longer, shorter] = [one.latency ?? [], other.latency ?? []].toSorted((a, b) => b.length - a.length);
  if (longer === undefined || longer.length === 0) return { requests, errors };
  return { requests, errors, latency: longer.map((value, index) => value + (shorter?.[index] ?? 0)) };
}
