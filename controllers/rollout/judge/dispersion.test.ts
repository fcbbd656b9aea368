import { describe, expect, it } from "@jest/globals";
import { prng } from "../../../lib/core/prng.ts";
import { dispersionOf, learnDispersion, NO_DISPERSION, soften } from "./dispersion.ts";

// Goal: independent errors count in full, errors that come k at a time as one each, and no interval decides by itself.

const NONE = { bad: 0, total: 0 };

/** Ticks of 1,000 requests of one side. */
function learn(errors: readonly number[], side: "canary" | "stable" = "stable", before = NO_DISPERSION) {
  return errors.reduce((state, bad) => {
    const tick = { bad, total: 1_000 };
    return learnDispersion(state, side === "stable" ? { canary: NONE, stable: tick } : { canary: tick, stable: NONE });
  }, before);
}

/** Clusters of `size` errors, each tick with a chance of a half. */
function clusters(size: number): number[] {
  const random = prng(7);
  return Array.from({ length: 2_000 }, () => size * ([0, 0, 1, 2][Math.floor(random() * 4)] ?? 0));
}

describe("dispersionOf", () => {
  it.each([
    ["nothing", [], 1],
    ["no errors", [0, 0, 0], 1],
    ["single errors", [0, 1, 0, 1, 1, 0], 1],
    // Half of 10² seen and half of 10 expected, one more of each: 51/6.
    ["one burst of ten", [0, 10], 8.5],
  ])("of %s", (_, errors, dispersion) => {
    expect(dispersionOf(learn(errors))).toBeCloseTo(dispersion, 12);
  });

  it("grows with the size of clusters", () => {
    const [one, ten] = [dispersionOf(learn(clusters(1))), dispersionOf(learn(clusters(10)))];
    expect(ten / one).toBeGreaterThan(7);
  });

  it("does not take a rate that drifts for bursts", () => {
    expect(dispersionOf(learn(Array.from({ length: 500 }, (_, tick) => Math.round(tick / 10))))).toBe(1);
  });

  it("passes ticks without requests over", () => {
    const state = learn([3, 4]);
    expect(learnDispersion(state, { canary: NONE, stable: NONE })).toEqual(state);
  });

  it("hears of the canary's bursts until the stable version has shown that there are none", () => {
    expect(dispersionOf(learn([0, 10, 0, 10], "canary"))).toBeGreaterThan(9);
    expect(dispersionOf(learn([0, 10, 0, 10], "canary", learn(clusters(1))))).toBeLessThan(1.2);
  });

  it("does not take an outage of the canary for a burst", () => {
    expect(dispersionOf(learn([0, 600, 590, 610], "canary"))).toBeLessThan(5);
  });
});

describe("soften", () => {
  it("divides evidence, and bounds what one interval adds", () => {
    expect(soften([2, -4], 2, 0.01)).toEqual([1, -2]);
    const [most] = soften([1e9], 1, 0.01);
    expect(most).toBeLessThan(-Math.log(0.01));
    expect(2 * (most ?? 0)).toBeGreaterThan(-Math.log(0.01));
  });
});
