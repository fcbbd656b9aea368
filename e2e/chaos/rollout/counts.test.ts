import { expect, it } from "@jest/globals";
import { type LoadResults } from "../../gateway/load-pod.ts";
import { attribute, total } from "./counts.ts";
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

it("a total is the sum", () => {
  expect(total({ "-/503": 3, reset: 3 })).toBe(6);
});

it("each time is in one bar", () => {
  const distribution = distributionOf([0.05, 0.1, 0.11, 4, 11]);
  expect(distribution).toMatchObject({ count: 5, p50: 0.11, p99: 11, worst: 11 });
  expect(Object.values(distribution.bars)).toEqual([2, 1, 0, 0, 0, 0, 1, 0, 1]);
  expect(histogramLines(distribution)).toContain(" <= 0.1 s  ## 2");
});
