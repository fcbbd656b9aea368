import { describe, expect, it } from "@jest/globals";
import type { CounterSample } from "../../../crds/rollout-run.ts";
import { addCounts, countSample, NOTHING_COUNTED, ticksOf } from "./counters.ts";

// Goal: counters become counts of intervals, whatever restarts, comes, goes and falls silent.

const AT = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:05Z", "2026-01-01T00:00:10Z", "2026-01-01T00:00:15Z"];
const STABLE = { s: { requests: 0, errors: 0 } };

/** Samples of the canary, with a stable version that answers nothing. */
function canary(...series: CounterSample["canary"][]) {
  return series.map((of, index): CounterSample => {
    const at = AT[index] as string;
    return { at, stage: 0, weightBps: 100, ...(of === undefined ? {} : { canary: of }), stable: STABLE };
  });
}

const countsOf = (samples: readonly CounterSample[]) => ticksOf({ samples: [...samples] }).map((tick) => tick.canary);

describe("ticksOf", () => {
  it("takes the first sample as the beginning, not as requests", () => {
    expect(countsOf(canary({ a: { requests: 500, errors: 5 } }, { a: { requests: 510, errors: 6 } }))).toEqual([
      { requests: 10, errors: 1 },
    ]);
  });

  it.each([
    ["a counter that fell began anew", { a: { requests: 7, errors: 2 } }, { requests: 7, errors: 2 }],
    ["one that fell takes its series along", { a: { requests: 600, errors: 1 } }, { requests: 600, errors: 1 }],
    [
      "a new pod counts since its start",
      { a: { requests: 500, errors: 5 }, b: { requests: 3, errors: 1 } },
      { requests: 3, errors: 1 },
    ],
    ["a pod that is gone counts no more", {}, { requests: 0, errors: 0 }],
    ["errors are never more than requests", { a: { requests: 500, errors: 6 } }, { requests: 1, errors: 1 }],
  ])("%s", (_, now, counts) => {
    expect(countsOf(canary({ a: { requests: 500, errors: 5 } }, now))).toEqual([counts]);
  });

  it("gives a silent pod's requests to the tick in which it answers again", () => {
    const a = (requests: number) => ({ a: { requests, errors: 0 } });
    expect(countsOf(canary(a(10), {}, a(30)))).toEqual([
      { requests: 0, errors: 0 },
      { requests: 20, errors: 0 },
    ]);
  });

  it("has no counts of either side where one did not answer, and all since in the next", () => {
    const samples = canary({ a: { requests: 10, errors: 0 } }, undefined, { a: { requests: 30, errors: 1 } });
    expect(ticksOf({ samples })).toEqual([
      { from: AT[0], to: AT[1], stage: 0, weightBps: 100 },
      {
        from: AT[1],
        to: AT[2],
        stage: 0,
        weightBps: 100,
        canary: { requests: 20, errors: 1 },
        stable: { requests: 0, errors: 0 },
      },
    ]);
  });

  it("leaves out what was answered across a change of weight without data", () => {
    const samples = canary(
      { a: { requests: 10, errors: 0 } },
      undefined,
      { a: { requests: 30, errors: 1 } },
      { a: { requests: 35, errors: 1 } },
    );
    const moved = samples.map((sample, index) => (index === 0 ? sample : { ...sample, stage: 1, weightBps: 500 }));
    expect(countsOf(moved)).toEqual([undefined, undefined, { requests: 5, errors: 0 }]);
  });

  it("puts a tick into the stage of its beginning", () => {
    const samples = canary(
      { a: { requests: 1, errors: 0 } },
      { a: { requests: 2, errors: 0 } },
      { a: { requests: 3, errors: 0 } },
    );
    const moved = samples.map((sample, index) => (index === 0 ? sample : { ...sample, stage: 1, weightBps: 500 }));
    expect(ticksOf({ samples: moved }).map(({ stage, weightBps }) => [stage, weightBps])).toEqual([
      [0, 100],
      [1, 500],
    ]);
  });

  it("takes cumulative buckets apart; what is above the last bound is the rest", () => {
    const before = { a: { requests: 100, errors: 0, latency: [50, 90] } };
    const after = { a: { requests: 160, errors: 0, latency: [80, 140] } };
    expect(countsOf(canary(before, after))).toEqual([{ requests: 60, errors: 0, latency: [30, 20, 10] }]);
  });
});

describe("countSample", () => {
  const [first, second, third] = canary(
    { a: { requests: 10, errors: 0 } },
    { a: { requests: 15, errors: 0 }, b: { requests: 500, errors: 400 } },
    { a: { requests: 15, errors: 1 }, b: { requests: 506, errors: 402 } },
  ) as [CounterSample, CounterSample, CounterSample];

  it("begins a series with its first answer when asked", () => {
    const begun = countSample(NOTHING_COUNTED, first, "answer");
    expect(begun.tick).toBeUndefined();
    const joined = countSample(begun.counting, second, "answer");
    expect(joined.tick?.canary).toEqual({ requests: 5, errors: 0 });
    expect(countSample(joined.counting, third, "answer").tick?.canary).toEqual({ requests: 7, errors: 3 });
  });

  it("counts latency from where it was first seen with it", () => {
    const withLatency = (requests: number, upTo: number): CounterSample => ({
      ...second,
      canary: { a: { requests, errors: 0, latency: [upTo] } },
    });
    const begun = countSample(NOTHING_COUNTED, first, "answer").counting;
    const told = countSample(begun, withLatency(15, 12), "answer");
    expect(told.tick?.canary).toEqual({ requests: 5, errors: 0 });
    const next = countSample(told.counting, { ...withLatency(25, 20), at: third.at }, "answer");
    expect(next.tick?.canary).toEqual({ requests: 10, errors: 0, latency: [8, 2] });
  });
});

describe("addCounts", () => {
  it("adds buckets, also where only one side has them", () => {
    const one = { requests: 1, errors: 0, latency: [1, 0] };
    expect(addCounts(one, { requests: 2, errors: 1 })).toEqual({ requests: 3, errors: 1, latency: [1, 0] });
    expect(addCounts(one, one).latency).toEqual([2, 0]);
  });
});
