/** Ticks of a release for the judge's tests. */
import type { Counts } from "../../../crds/rollout-run.ts";
import type { Tick } from "../judge/judge.ts";

const TICK_MS = 5_000;

/** Errors and requests. */
export type Answered = readonly [errors: number, requests: number];

/** One tick of 5 s; a side that is undefined has no data. */
export function tickAt(
  index: number,
  canary: Answered | undefined,
  stable: Answered | undefined,
  place: Partial<Pick<Tick, "stage" | "weightBps">> = {},
): Tick {
  const at = (ms: number) => new Date(Date.UTC(2026, 0, 1) + ms).toISOString();
  const counts = (of: Answered | undefined): Counts | undefined => of && { errors: of[0], requests: of[1] };
  const sides = { canary: counts(canary), stable: counts(stable) };
  return {
    from: at(index * TICK_MS),
    to: at((index + 1) * TICK_MS),
    stage: 0,
    weightBps: 100,
    ...(sides.canary === undefined ? {} : { canary: sides.canary }),
    ...(sides.stable === undefined ? {} : { stable: sides.stable }),
    ...place,
  };
}

/** Latency of a tick in buckets: below the first bound, between the two, above. */
export function withLatency(tick: Tick, canary: readonly number[], stable: readonly number[]): Tick {
  const side = (latency: readonly number[]): Counts => ({
    requests: latency.reduce((sum, count) => sum + count, 0),
    errors: 0,
    latency: [...latency],
  });
  return { ...tick, canary: side(canary), stable: side(stable) };
}
