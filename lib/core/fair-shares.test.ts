import { describe, expect, test } from "@jest/globals";
import { createFairShares } from "./fair-shares.ts";
import { prng } from "./prng.ts";

// Goal: no holder can keep the others from getting anything, and nothing is lost or made up by giving back.

describe("shares", () => {
  test("one holder gets half, and whoever comes next finds something", () => {
    const shares = createFairShares(600);
    expect([shares.take("a", 300), shares.take("a", 1)]).toEqual([true, false]);
    expect([shares.take("b", 150), shares.take("b", 1)]).toEqual([true, false]);
    expect([shares.take("c", 75), shares.take("c", 1)]).toEqual([true, false]);
    shares.give("a", 300);
    expect([shares.take("b", 37), shares.take("b", 100)]).toEqual([true, false]);
    expect([shares.heldBy("a"), shares.heldBy("b"), shares.held()]).toEqual([0, 187, 262]);
  });

  test("what does not fit leaves no trace", () => {
    const shares = createFairShares(10);
    expect([shares.fits("a", 6), shares.take("a", 6), shares.held(), shares.heldBy("a")]).toEqual([false, false, 0, 0]);
    expect([shares.fits("a", 5), shares.take("a", 5)]).toEqual([true, true]);
  });

  test("greedy holders come to equal parts, one of which stays free", () => {
    const random = prng(7);
    const shares = createFairShares(100_000);
    const taken: [string, number][] = [];
    for (let step = 0; step < 6_000; step += 1) {
      const holder = `h${Math.floor(random() * 9)}`;
      const amount = 1 + Math.floor(random() * 100);
      // What was taken first is given back first.
      if (!shares.take(holder, amount)) {
        for (const back of taken.splice(0, 3)) shares.give(...back);
        continue;
      }
      taken.push([holder, amount]);
      expect(shares.heldBy(holder)).toBeLessThanOrEqual(100_000 - shares.held());
    }
    const free = 100_000 - shares.held();
    const parts = Array.from({ length: 9 }, (_, at) => shares.heldBy(`h${at}`));
    for (const part of [free, ...parts]) expect([part > 8_000, part < 12_500]).toEqual([true, true]);
    for (const back of taken) shares.give(...back);
    expect(shares.held()).toBe(0);
  });
});
