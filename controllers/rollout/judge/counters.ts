/** From counters, as they are scraped, to what was answered between two scrapes. */
import type { CounterSample, Counters, Counts, RolloutSamples } from "../../../crds/rollout-run.ts";
import type { Tick } from "./judge.ts";

type Series = Readonly<Record<string, Counters>>;

const NOTHING: Counters = { requests: 0, errors: 0 };

type Head = Pick<CounterSample, "at" | "stage" | "weightBps">;

/** What is known of the samples so far. */
export interface Counting {
  /** Of the last sample. */
  readonly before: Head | undefined;
  /** Place of the last sample with both sides, unless it changed since. */
  readonly since: string | undefined;
  /** Counters by series, as they were last seen in a sample with both sides. */
  readonly seen: Readonly<Record<"canary" | "stable", ReadonlyMap<string, Counters>>>;
}

export const NOTHING_COUNTED: Counting = {
  before: undefined,
  since: undefined,
  seen: { canary: new Map(), stable: new Map() },
};

/**
 * From when on a series counts that was not seen before: `process`, since its program began, for whoever has seen all samples
 * of all programs; `answer`, from this sample on, for whoever came later.
 */
export type CountsFrom = "process" | "answer";

/** One tick for each two samples in a row. */
export function ticksOf({ samples }: Pick<RolloutSamples, "samples">): Tick[] {
  let counting = NOTHING_COUNTED;
  return samples.flatMap((sample) => {
    const next = countSample(counting, sample, "process");
    counting = next.counting;
    return next.tick ?? [];
  });
}

/**
 * Takes one more sample; the tick ends with it. A tick belongs to the stage of its beginning: a weight that changes in between
 * is new from the next sample on. Where one side did not answer the tick has no counts at all, and the next one that has both
 * covers the time since, for both alike; across a change of weight it would belong to no stage, and is left out.
 */
export function countSample(
  { before, since, seen }: Counting,
  sample: CounterSample,
  from: CountsFrom,
): { readonly counting: Counting; readonly tick: Tick | undefined } {
  const { at, stage, weightBps, canary, stable } = sample;
  const head = { at, stage, weightBps };
  const isOfOneStage = before !== undefined && since === placeOf(before);
  const tick = before && { from: before.at, to: at, stage: before.stage, weightBps: before.weightBps };
  if (canary === undefined || stable === undefined) {
    const stillSince = before === undefined || isOfOneStage ? since : undefined;
    return { counting: { before: head, since: stillSince, seen }, tick };
  }
  const counted = { canary: countsOf(seen.canary, canary, from), stable: countsOf(seen.stable, stable, from) };
  const counting = {
    before: head,
    since: placeOf(head),
    seen: { canary: counted.canary.seen, stable: counted.stable.seen },
  };
  if (tick === undefined || !isOfOneStage) return { counting, tick };
  return { counting, tick: { ...tick, canary: counted.canary.counts, stable: counted.stable.counts } };
}

function placeOf({ stage, weightBps }: Head): string {
  return `${stage} ${weightBps}`;
}

/** Sum over all series of what each counted since it was last seen, and what is seen of them now. */
function countsOf(before: ReadonlyMap<string, Counters>, series: Series, from: CountsFrom) {
  let counts: Counts = { requests: 0, errors: 0 };
  const seen = new Map(before);
  for (const [name, now] of Object.entries(series)) {
    counts = addCounts(counts, increase(before.get(name) ?? (from === "process" ? NOTHING : now), now));
    seen.set(name, now);
  }
  return { counts, seen };
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
  // Requests that were seen without their latency: it is not told which of the buckets were theirs.
  const isLatencyNew = from.latency === undefined && from.requests > 0;
  if (now.latency === undefined || isLatencyNew) return { requests, errors };
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
