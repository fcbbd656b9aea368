import { describe, expect, it } from "@jest/globals";
import { createManualClock } from "./manual-clock.ts";
import { createPace } from "./pace.ts";

// Goal: a few runs are free, then one an interval, and nobody is remembered for longer than it matters.

describe("a pace", () => {
  it("lets a burst through, then one run an interval", async () => {
    const clock = createManualClock();
    const pace = createPace({ burst: 3, intervalSeconds: 1 }, clock);
    const waits: number[] = [];
    for (let run = 0; run < 6; run += 1) {
      const waitMs = Math.max(0, pace.earliest("a") - clock.monotonic());
      waits.push(waitMs);
      await clock.advance(waitMs);
      pace.spend("a");
    }
    expect(waits).toEqual([0, 0, 0, 1_000, 1_000, 1_000]);
  });

  it("fills up at rest, one run an interval and no further than the burst", async () => {
    const clock = createManualClock();
    const pace = createPace({ burst: 3, intervalSeconds: 1 }, clock);
    for (let run = 0; run < 3; run += 1) pace.spend("a");
    await clock.advance(2_000);
    pace.spend("a");
    pace.spend("a");
    expect(pace.earliest("a") - clock.monotonic()).toBe(1_000);
    await clock.advance(1_000_000);
    for (let run = 0; run < 3; run += 1) {
      expect(pace.earliest("a")).toBeLessThanOrEqual(clock.monotonic());
      pace.spend("a");
    }
    expect(pace.earliest("a") - clock.monotonic()).toBe(1_000);
  });

  it("never asks for more than one interval, whatever ran in spite of it", () => {
    const clock = createManualClock();
    const pace = createPace({ burst: 2, intervalSeconds: 1 }, clock);
    for (let run = 0; run < 50; run += 1) pace.spend("a");
    expect(pace.earliest("a") - clock.monotonic()).toBe(1_000);
  });

  it("holds for each key alone", () => {
    const clock = createManualClock();
    const pace = createPace({ burst: 1, intervalSeconds: 1 }, clock);
    pace.spend("a");
    expect(pace.earliest("a")).toBe(1_000);
    expect(pace.earliest("b")).toBeLessThanOrEqual(0);
  });

  it("forgets keys that are at rest: a million of them leave no more than ran of late", async () => {
    const clock = createManualClock();
    const pace = createPace({ burst: 20, intervalSeconds: 1 }, clock);
    let largest = 0;
    for (let second = 0; second < 100; second += 1) {
      for (let key = 0; key < 100; key += 1) pace.spend(`${second} ${key}`);
      largest = Math.max(largest, pace.size());
      await clock.advance(1_000);
    }
    // A key that ran once is full again after a second; at most those of two seconds are held.
    expect(largest).toBeLessThanOrEqual(200);
  });

  it.each([
    [0, 1],
    [1, 0],
    [Number.NaN, 1],
  ])("refuses a burst of %d in intervals of %d s", (burst, intervalSeconds) => {
    expect(() => createPace({ burst, intervalSeconds }, createManualClock())).toThrow(RangeError);
  });
});
