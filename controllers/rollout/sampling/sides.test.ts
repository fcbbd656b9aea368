import { describe, expect, it } from "@jest/globals";
import { sideOf } from "./answer.ts";
import type { Reading } from "./reading.ts";
import { sidesOf } from "./sides.ts";

// Goal: latency is compared at bounds that both versions have, nothing is made up for who is silent, and every gap has a sentence.

const reading = (requests: number, more: Partial<Reading> = {}): Reading => ({
  counters: { requests, errors: 0 },
  missing: [],
  ...more,
});
const timed = (boundsMs: number[], upTo: number[]) => reading(10, { histogram: { boundsMs, upTo } });
const missing = (...names: string[]): Reading => ({ missing: names });
const answer = (canary: Record<string, Reading | string>, stable: Record<string, Reading | string>) => ({
  canary: sideOf(Object.entries(canary)),
  stable: sideOf(Object.entries(stable)),
});

describe("bounds of latency", () => {
  it("are those that all have, once both versions have some", () => {
    const one = answer({ c: timed([5, 10, 100], [1, 2, 3]) }, { s: timed([10, 50, 100], [4, 5, 6]) });
    expect(sidesOf(one, 100, undefined)).toEqual({
      canary: { c: { requests: 10, errors: 0, latency: [2, 3] } },
      stable: { s: { requests: 10, errors: 0, latency: [4, 6] } },
      boundsMs: [10, 100],
    });
    const before = answer({ c: reading(0) }, { s: timed([10], [4]) });
    expect(sidesOf(before, 100, undefined)).toEqual({
      canary: { c: { requests: 0, errors: 0 } },
      stable: { s: { requests: 10, errors: 0 } },
    });
  });

  it("stay those of the run; a histogram without them is not compared, and told", () => {
    const other = answer({ c: timed([5, 10], [1, 2]) }, { s: timed([10, 100], [4, 6]) });
    expect(sidesOf(other, 100, [10, 100])).toEqual({
      canary: { c: { requests: 10, errors: 0 } },
      stable: { s: { requests: 10, errors: 0, latency: [4, 6] } },
      boundsMs: [10, 100],
      trouble: "canary: the latency histogram lacks a bound that the run began with",
    });
  });

  it("may be none in common", () => {
    const apart = answer({ c: timed([5], [1]) }, { s: timed([10], [4]) });
    expect(sidesOf(apart, 100, undefined)).toMatchObject({
      trouble: "the latency histograms of both versions have no bound in common",
      canary: { c: { requests: 10 } },
    });
  });
});

describe("a version", () => {
  it("has answered when one of its processes has; the others are told", () => {
    const partly = answer({ a: reading(3), b: "pod b: ECONNREFUSED", c: "pod c: status 500" }, { s: reading(5) });
    expect(sidesOf(partly, 100, undefined)).toEqual({
      canary: { a: { requests: 3, errors: 0 } },
      stable: { s: { requests: 5, errors: 0 } },
      trouble: "canary: 2 of 3 tell nothing: pod b: ECONNREFUSED",
    });
  });

  it("is not told of pods that are not ready, unless nobody else is there", () => {
    const target = (uid: string) => ({ name: uid, uid, ip: "", isReady: false });
    const resting = (more: Record<string, Reading | string>) => ({
      canary: sideOf(Object.entries({ b: "pod b: ECONNREFUSED", ...more }), [target("b")]),
      stable: sideOf([["s", reading(5)]]),
    });
    expect(sidesOf(resting({ a: reading(3) }), 100, undefined)).not.toHaveProperty("trouble");
    expect(sidesOf(resting({ a: "pod a: no" }), 100, undefined).trouble).toBe("canary: 1 of 1 tell nothing: pod a: no");
    expect(sidesOf(resting({}), 100, undefined).trouble).toBe("canary: no pod is ready, and none answers");
  });

  it("that is silent has no counters, not zero", () => {
    const silent = answer({ a: "pod a: no" }, { s: reading(5) });
    expect(sidesOf(silent, 100, undefined)).not.toHaveProperty("canary");
    expect(sidesOf(silent, 0, undefined)).toHaveProperty("canary", {});
  });

  it("without a process is told, a canary once it has weight", () => {
    const nobody = answer({}, { s: reading(5) });
    expect(sidesOf(nobody, 100, undefined).trouble).toBe("canary: there is nobody to ask");
    expect(sidesOf(nobody, 0, undefined)).toEqual({ canary: {}, stable: { s: { requests: 5, errors: 0 } } });
    expect(sidesOf(answer({}, {}), 0, undefined).trouble).toBe("stable: there is nobody to ask");
  });

  it("waits for its first request where the other one counts already", () => {
    const first = answer({ c: missing("r", "l") }, { s: reading(5) });
    expect(sidesOf(first, 100, undefined)).toEqual({
      canary: { c: { requests: 0, errors: 0 } },
      stable: { s: { requests: 5, errors: 0 } },
      trouble: "canary: has not counted r yet; canary: has not counted l yet",
    });
    expect(sidesOf(first, 0, undefined)).not.toHaveProperty("trouble");
  });

  it("has no counters of a metric that does not exist; without the latency's it has", () => {
    const none = answer({ c: missing("r") }, { s: missing("r"), t: missing("r") });
    expect(sidesOf(none, 100, undefined)).toEqual({ trouble: "nobody has the metric r" });
    const noLatency = answer({ c: reading(1, { missing: ["l"] }) }, { s: reading(2, { missing: ["l"] }) });
    expect(sidesOf(noLatency, 100, undefined)).toEqual({
      canary: { c: { requests: 1, errors: 0 } },
      stable: { s: { requests: 2, errors: 0 } },
      trouble: "nobody has the metric l",
    });
  });

  it("has no sentence without an end", () => {
    expect(sidesOf(answer({ a: "x".repeat(2_000) }, {}), 100, undefined).trouble).toHaveLength(500);
  });
});
