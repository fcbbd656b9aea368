import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { logMean, logOfStage, stageWeights } from "./e-values.ts";

// Goal: means of e-values keep their meaning: weights never sum to more than 1, and no size overflows.

describe("logMean", () => {
  it("is the logarithm of the weighted mean", () => {
    const mean = logMean([
      [0.5, Math.log(3)],
      [0.5, Math.log(5)],
    ]);
    expect(mean).toBeCloseTo(Math.log(4), 12);
  });

  it.each([[1e9], [-1e9]])("stays finite at %d", (value) => {
    expect(
      logMean([
        [0.5, value],
        [0.5, value],
      ]),
    ).toBeCloseTo(value, 6);
  });

  it("takes no notice of weight 0", () => {
    expect(
      logMean([
        [0, 1e9],
        [1, 2],
      ]),
    ).toBe(2);
  });
});

describe("stageWeights", () => {
  it("never gives more than 1 in all, however often stages are entered", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 32 }), fc.integer({ min: 1, max: 200 }), (stages, entries) => {
        let given = 0;
        for (let entry = 1; entry <= entries; entry += 1) given += stageWeights(entry, stages).current;
        expect(given + stageWeights(entries, stages).later).toBeLessThanOrEqual(1 + 1e-12);
      }),
    );
  });

  it("starts at an e-value of 1, less what ended stages had", () => {
    expect(Math.exp(logOfStage([0, 0, 0], 1, 5))).toBeCloseTo(1, 12);
    expect(Math.exp(logOfStage([0, 0, 0], 3, 5))).toBeCloseTo(1 - 2 / 6, 12);
  });
});
