import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { rolloutPolicy } from "../../../crds/rollout-policy.ts";
import { prng } from "../../../lib/core/prng.ts";
import type { Answered } from "../testing/ticks.ts";
import { gather, settle } from "./interval.ts";
import { beginJudge, judgeTick, type Tick } from "./judge.ts";

// Goal: however often one looks, an interval says what it says once; and looks every 500 ms keep the promised rates.

const RULES = { level: 0.005, intervalMs: 2_000 };
const tick = (step: number, hasBad = step > 0, ms = 500) => ({ steps: [step], ms, hasBad, dispersion: 1 });

describe("an interval", () => {
  it("begins with the first tick that has something bad, and ends with its time", () => {
    expect(gather(undefined, tick(-0.1), RULES)).toEqual({ open: undefined, settled: [-0.1] });
    let { open } = gather(undefined, tick(1), RULES);
    expect(open).toEqual({ steps: [1], dispersion: 1, ms: 500 });
    ({ open } = gather(open, { ...tick(0), dispersion: 9 }, RULES));
    ({ open } = gather(open, tick(0), RULES));
    expect(gather(open, tick(0.5), RULES)).toEqual({ open: undefined, settled: [1.5] });
  });

  it("is over with a tick that is as long, and with the one whose end is nearest to its own", () => {
    expect(gather(undefined, tick(1, true, 2_000), RULES).open).toBeUndefined();
    expect(gather(undefined, tick(1, true, 1_400), RULES).open).toBeUndefined();
    expect(gather(undefined, tick(1, true, 1_300), RULES).open).toBeDefined();
  });

  it("brings as much as one tick, in however many it is seen", () => {
    const steps = fc.array(fc.double({ min: 0, max: 5, noNaN: true }), { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(steps, fc.double({ min: 1, max: 5, noNaN: true }), ([first = 0, ...others], dispersion) => {
        let gathered = gather(undefined, { ...tick(first, true), dispersion }, RULES);
        for (const step of others) gathered = gather(gathered.open, tick(step), RULES);
        const whole = others.reduce((sum, step) => step + sum, first);
        expect(gathered.settled).toEqual(settle({ steps: [whole], dispersion, ms: 2_000 }, RULES.level));
      }),
      { seed: 34 },
    );
  });
});

const LOOK_MS = 500;
const STAGES = [{ weightBps: 5_000, holdSeconds: 3_600, minSamples: 100, maxErrorRate: 0.9 }];
const policy = (intervalSeconds: number) => rolloutPolicy.parse({ intervalSeconds, stages: STAGES });

function lookAt(index: number, canary: Answered, stable: Answered, weightBps = 5_000): Tick {
  const at = (time: number) => new Date(Date.UTC(2026, 0, 1) + time * LOOK_MS).toISOString();
  const counts = ([errors, requests]: Answered) => ({ errors, requests });
  const times = { from: at(index), to: at(index + 1) };
  return { ...times, stage: 0, weightBps, canary: counts(canary), stable: counts(stable) };
}

/** Looks from 1 until the first failure. */
function failsAt(looks: readonly Tick[], intervalSeconds: number): number | undefined {
  const by = policy(intervalSeconds);
  let state = beginJudge(by);
  const index = looks.findIndex((look) => {
    const next = judgeTick(state, look, by);
    state = next.state;
    return next.judgement.verdict.verdict === "Fail";
  });
  return index < 0 ? undefined : index + 1;
}

describe("looks within one interval", () => {
  const broken = Array.from({ length: 20 }, (_, index) => lookAt(index, [25, 50], [0, 50]));
  const sound = Array.from({ length: 20 }, (_, index) => lookAt(40 + index, [0, 50], [0, 50]));

  it.each([
    [1, 3],
    [2, 5],
    [5, 11],
  ])("alone fail nothing: at %d s it is the first look of the second one, the %d.", (seconds, look) => {
    expect(failsAt(broken, seconds)).toBe(look);
    expect(failsAt([...broken.slice(0, look - 1), ...sound], seconds)).toBeUndefined();
  });

  it("are an interval wherever a burst begins in it", () => {
    for (let before = 0; before < 4; before += 1) {
      const quiet = Array.from({ length: before }, (_, index) => lookAt(index, [0, 50], [0, 50]));
      const burst = [0, 1, 2, 3].map((index) => lookAt(before + index, [25, 50], [0, 50]));
      expect(failsAt([...quiet, ...burst, ...sound], 2)).toBeUndefined();
    }
  });
});

describe("the promise, at looks every 500 ms", () => {
  /** Errors of one version: causes that bring so many at once, over so many looks. */
  function errorsOf(cause: { readonly rate: number; readonly burst: number; readonly looks: number }) {
    const ahead: number[] = [];
    return (random: () => number): number => {
      const mean = (cause.rate * 50) / cause.burst;
      for (let chance = random(); chance > Math.exp(-mean); chance *= random()) {
        for (let error = 0; error < cause.burst; error += 1) {
          const at = Math.floor(random() * cause.looks);
          ahead[at] = (ahead[at] ?? 0) + 1;
        }
      }
      return Math.min(50, ahead.shift() ?? 0);
    };
  }

  /** Of 100 releases, how many are rolled back within a minute; half a minute of the stable version comes before. */
  function rolledBack(of: { canary: number; stable: number; burst: number; looks: number }, seconds: number): number {
    const { canary, stable, ...cause } = of;
    return Array.from({ length: 100 }, (_, run) => {
      const random = prng(run * 7_919 + 1);
      const [ofCanary, ofStable] = [errorsOf({ ...cause, rate: canary }), errorsOf({ ...cause, rate: stable })];
      const looks = Array.from({ length: 180 }, (__, index) =>
        index < 60
          ? lookAt(index, [0, 0], [ofStable(random), 50], 0)
          : lookAt(index, [ofCanary(random), 50], [ofStable(random), 50]),
      );
      return failsAt(looks, seconds);
    }).filter((at) => at !== undefined).length;
  }

  // At 1 % more than 5 of 100 have a chance below 1 in 1,000.
  it.each([
    ["single errors, at the boundary", { canary: 0.005, stable: 0.004, burst: 1, looks: 1 }, 1],
    ["ten at once", { canary: 0.004, stable: 0.004, burst: 10, looks: 1 }, 1],
    ["ten in a second, an interval of one", { canary: 0.004, stable: 0.004, burst: 10, looks: 2 }, 1],
    ["ten in two seconds, an interval of two", { canary: 0.004, stable: 0.004, burst: 10, looks: 4 }, 2],
  ])("holds for %s", (_, errors, seconds) => {
    expect(rolledBack(errors, seconds)).toBeLessThanOrEqual(5);
  });

  it("is not kept by failing nobody", () => {
    expect(rolledBack({ canary: 0.05, stable: 0.004, burst: 1, looks: 1 }, 1)).toBeGreaterThan(95);
  });
});
