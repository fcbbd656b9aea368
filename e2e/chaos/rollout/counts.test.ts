import { expect, it } from "@jest/globals";
import { type LoadResults } from "../../gateway/load-pod.ts";
import { type Attribution, attribute, lostBySwitching, total } from "./counts.ts";
import { distributionOf, histogramLines } from "./figures.ts";

// Goal: no failed request gets lost among those that were to fail, and none is told twice.

const look = (sent: number, counts: LoadResults["counts"], errors: LoadResults["errors"] = {}): LoadResults => ({
  ended: false,
  sent,
  counts,
  errors,
  leftOut: 0,
  seen: {},
});

it("a failed request is the gateway's, a bad version's, or strange", () => {
  const before = look(100, { "v1/200": 99, "-/503": 1 });
  const after = look(
    200,
    { "v1/200": 150, "v1/500": 2, "v2/200": 20, "v2/500": 21, "-/503": 4, "-/0": 3, "v-3/200": 0 },
    { reset: 3 },
  );
  expect(attribute(before, after, new Set(["v2"]))).toEqual({
    requests: 100,
    lost: { "-/503": 3, reset: 3 },
    strange: { "v1/500": 2 },
    ofBadVersions: 21,
    leftOut: 0,
  });
});

it("timeouts count, unless a route without releases has them too", () => {
  const none: Attribution = { requests: 10, lost: {}, strange: {}, ofBadVersions: 0, leftOut: 0 };
  const found: Attribution = { ...none, lost: { timeout: 3, "-/503": 1 }, leftOut: 2 };
  expect(lostBySwitching(none, none)).toEqual({});
  expect(lostBySwitching(found, none)).toEqual({ timeout: 3, "-/503": 1, "not sent": 2 });
  expect(lostBySwitching(found, { ...none, lost: { "-/503": 1 } })).toEqual({ timeout: 3, "-/503": 1, "not sent": 2 });
  expect(lostBySwitching(found, { ...none, lost: { timeout: 1 } })).toEqual({ "-/503": 1 });
});

it("a total is the sum", () => {
  expect(total({ "-/503": 3, reset: 3 })).toBe(6);
});

it("each time is in one bar", () => {
  const distribution = distributionOf([0.05, 0.1, 0.11, 4, 11]);
  expect(distribution).toMatchObject({ count: 5, p50: 0.11, p99: 11, worst: 11 });
  expect(Object.values(distribution.bars)).toEqual([2, 1, 0, 0, 0, 0, 1, 0, 1]);
  expect(histogramLines(distribution)).toContain(" <= 0.1 s  ## 2");
});
