// Goal: the floor is the time in which the canary answers what Wald's test needs on average, over the steps of the ladder.
import { expect, test } from "@jest/globals";
import { floorSeconds, requestsNeeded } from "./floor.ts";

const LADDER = {
  stable: 0.001,
  falseRollbackRate: 0.01,
  requestsPerSecond: 200,
  percents: [5, 25, 50],
  holdSeconds: 20,
};

test("the more alike the shares, the more requests are needed", () => {
  expect(requestsNeeded({ ...LADDER, canary: 0.5 })).toBeCloseTo(1.67, 2);
  expect(requestsNeeded({ ...LADDER, canary: 0.02 })).toBeCloseTo(112, 0);
  expect(requestsNeeded({ ...LADDER, canary: 0.005 })).toBeCloseTo(1_135.6, 1);
});

test("later steps bring what the first one lacks, and the last one has no end", () => {
  // 112 requests at 10 a second.
  expect(floorSeconds({ ...LADDER, canary: 0.02 })).toBeCloseTo(11.2, 1);
  // 200 requests in the first step, the other 936 at 50 a second.
  expect(floorSeconds({ ...LADDER, canary: 0.005 })).toBeCloseTo(38.7, 1);
  expect(floorSeconds({ ...LADDER, canary: 0.005, percents: [5] })).toBeCloseTo(113.6, 1);
});
