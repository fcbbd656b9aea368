import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { HARM_GRID, PROMOTE_GRID, ratioSteps } from "./ratio-test.ts";
import { SHARE_GRID, shareSteps, upperBound } from "./share-test.ts";

// Goal: the likelihood ratios are those of the docstrings: by hand for small numbers, and of mean 1 at most by summing over
// every outcome of small intervals.

const pair = (canary: [number, number], stable: [number, number]) => ({
  canary: { bad: canary[0], total: canary[1] },
  stable: { bad: stable[0], total: stable[1] },
});

function choose(n: number, k: number): number {
  let ways = 1;
  for (let index = 1; index <= k; index += 1) ways = (ways * (n - index + 1)) / index;
  return ways;
}

/** P(X = k) of n trials. */
const binomial = (n: number, k: number, p: number): number => choose(n, k) * p ** k * (1 - p) ** (n - k);

describe("ratioSteps", () => {
  it("is, by hand, 2·(31/32)² for one error each of 10 and 30 requests, 0.2 against 0.1", () => {
    // θ0 = 0.1, θ = 0.2: D(θ0) = 0.1·10 + 30 = 31, D(θ) = 0.2·10 + 30 = 32.
    expect(ratioSteps(pair([1, 10], [1, 30]), 0.1, [2])[0]).toBeCloseTo(Math.log(2 * (31 / 32) ** 2), 12);
    expect(ratioSteps(pair([0, 10], [1, 30]), 0.1, [2])[0]).toBeCloseTo(Math.log(31 / 32), 12);
  });

  it.each([
    ["no request of the canary", pair([0, 0], [3, 100])],
    ["no request of the stable version", pair([3, 100], [0, 0])],
    ["no error", pair([0, 1e9], [0, 1e9])],
  ])("learns nothing from %s", (_, tick) => {
    for (const step of ratioSteps(tick, 1.25, HARM_GRID)) expect(step).toBeCloseTo(0, 12);
  });

  it("counts an error of the canary against it also when the stable version has none", () => {
    expect(Math.min(...ratioSteps(pair([1, 10], [0, 990]), 1.25, HARM_GRID))).toBeGreaterThan(0);
  });

  it("is finite for a thousand million requests that all fail", () => {
    for (const step of ratioSteps(pair([1e9, 1e9], [1e9, 1e9]), 1.25, HARM_GRID))
      expect(Number.isFinite(step)).toBe(true);
  });

  it.each([
    ["harm", 1, HARM_GRID],
    ["promotion", 1.000_001, PROMOTE_GRID],
  ])("has the mean 1 at most at the edge of the hypothesis, for every share of errors: %s", (_, edge, grid) => {
    const shares = fc.double({ min: 0.001, max: 0.45, noNaN: true });
    const requests = fc.integer({ min: 1, max: 12 });
    fc.assert(
      fc.property(shares, fc.double({ min: 1, max: 2, noNaN: true }), requests, requests, (stableRate, ratio, n, m) => {
        const canaryRate = stableRate * ratio * edge;
        const means = grid.map(() => 0);
        for (let x = 0; x <= n; x += 1) {
          for (let y = 0; y <= m; y += 1) {
            const chance = binomial(n, x, canaryRate) * binomial(m, y, stableRate);
            for (const [index, step] of ratioSteps(pair([x, n], [y, m]), ratio, grid).entries()) {
              means[index] = (means[index] ?? 0) + chance * Math.exp(step);
            }
          }
        }
        expect(Math.max(...means)).toBeLessThanOrEqual(1 + 1e-9);
      }),
      { seed: 25, numRuns: 200 },
    );
  });
});

describe("shareSteps", () => {
  it("is, by hand, 3/2 for an error and 1/2 for none, at a limit of a half against odds of 3", () => {
    const third = SHARE_GRID.indexOf(3);
    expect(shareSteps({ bad: 1, total: 1 }, 0.5)[third]).toBeCloseTo(Math.log(0.75 / 0.5), 12);
    expect(shareSteps({ bad: 0, total: 1 }, 0.5)[third]).toBeCloseTo(Math.log(0.25 / 0.5), 12);
  });

  it("has the mean 1 at the limit", () => {
    for (const limit of [0.001, 0.05, 0.9]) {
      const [bad, good] = [shareSteps({ bad: 1, total: 1 }, limit), shareSteps({ bad: 0, total: 1 }, limit)];
      for (const [index] of SHARE_GRID.entries()) {
        const mean = limit * Math.exp(bad[index] ?? 0) + (1 - limit) * Math.exp(good[index] ?? 0);
        expect(mean).toBeCloseTo(1, 12);
      }
    }
  });
});

describe("upperBound", () => {
  it("is Wilson's, and 1 without requests", () => {
    expect(upperBound({ bad: 0, total: 0 })).toBe(1);
    // (0 + 4/200 + 2·sqrt(4/40000)) / (1 + 4/100)
    expect(upperBound({ bad: 0, total: 100 })).toBeCloseTo((0.02 + 0.02) / 1.04, 12);
  });
});
