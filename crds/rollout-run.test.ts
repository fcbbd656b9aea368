import { describe, expect, it } from "@jest/globals";
import { rolloutPolicy } from "./rollout-policy.ts";
import { parsePolicy, parseRollout } from "./rollout-run.ts";

// Goal: a document that cannot be judged is refused, by the name of its field; the default policy is the original's ladder.

const COUNTERS = { requests: 1, errors: 0 };
const sample = (second: number, changes: object = {}) => ({
  at: `2026-01-01T00:00:0${second}Z`,
  stage: 0,
  weightBps: 100,
  canary: { a: COUNTERS },
  stable: { b: COUNTERS },
  ...changes,
});
const samples = (...of: object[]) => ({ kind: "RolloutSamples", version: 1, samples: of });

const row = (changes: object = {}) => ({
  from: "2026-01-01T00:00:00Z",
  to: "2026-01-01T00:00:05Z",
  stage: 0,
  weightBps: 100,
  canary: { requests: 10, errors: 0 },
  stable: { requests: 990, errors: 0 },
  verdict: { verdict: "Inconclusive", reason: "Holding", metric: "errors", message: "errors: holding" },
  evidence: { errors: { harm: 0, slo: 0, promote: 0 } },
  ...changes,
});
const run = (...rows: object[]) => ({ kind: "RolloutRun", version: 1, revision: "a", policy: {}, rows });

describe("a document", () => {
  it("is read when it is right", () => {
    expect(parseRollout(JSON.stringify(samples(sample(0), sample(5))), "f").kind).toBe("RolloutSamples");
    expect(parseRollout(JSON.stringify(run(row())), "f").kind).toBe("RolloutRun");
  });

  it.each<[string, object | string, string]>([
    ["of no kind", {}, 'kind: must be "RolloutRun" or "RolloutSamples"'],
    ["that is null", "null", "kind: must be"],
    ["of another version", { ...run(), version: 2 }, "version: "],
    ["with a member that we do not know", { ...run(), extra: 1 }, "Unrecognized key"],
    [
      "with more errors than requests",
      run(row({ canary: { requests: 1, errors: 2 } })),
      "rows[0].canary.errors: more errors",
    ],
    ["with a negative count", run(row({ canary: { requests: -1, errors: 0 } })), "rows[0].canary.requests: "],
    ["with a broken count", run(row({ canary: { requests: 1.5, errors: 0 } })), "rows[0].canary.requests: "],
    ["with NaN", JSON.stringify(run(row())).replace("990", "NaN"), "is not valid JSON"],
    ["with infinity", JSON.stringify(run(row())).replace("990", "1e999"), "rows[0].stable.requests: "],
    ["with an endless row", run(row({ to: "2026-01-01T00:00:00Z" })), "rows[0].to: must be after from"],
    ["with rows that overlap", run(row(), row()), "rows[1].from: is before the end"],
    ["with a stage that the policy lacks", run(row({ stage: 5 })), "rows[0].stage: the policy has 5 stages"],
    [
      "with buckets without bounds",
      run(row({ canary: { requests: 1, errors: 0, latency: [1, 0] } })),
      "rows[0].canary.latency: ",
    ],
    ["with one sample", samples(sample(0)), "samples: "],
    ["with samples out of order", samples(sample(5), sample(0)), "samples[1].at: must be after"],
    [
      "with a sample at a stage that the policy lacks",
      samples(sample(0), sample(5, { stage: 9 })),
      "samples[1].stage: ",
    ],
    [
      "with buckets that fall",
      samples(sample(0, { canary: { a: { ...COUNTERS, latency: [2, 1] } } }), sample(5)),
      "samples[0].canary.a.latency: ",
    ],
  ])("%s is refused", (_, document, reason) => {
    const json = typeof document === "string" ? document : JSON.stringify(document);
    expect(() => parseRollout(json, "f.json")).toThrow(`f.json: `);
    expect(() => parseRollout(json, "f.json")).toThrow(reason);
  });
});

describe("a policy", () => {
  it("is the ladder, gates and samples of the original by default", () => {
    const { stages } = parsePolicy("{}", "p");
    expect(stages.map(({ weightBps }) => weightBps / 100)).toEqual([1, 5, 25, 50, 100]);
    expect(stages.map(({ maxErrorRate }) => maxErrorRate)).toEqual([0.05, 0.03, 0.02, 0.01, 0.01]);
    expect(stages.map(({ minSamples }) => minSamples)).toEqual([100, 500, 2_000, 5_000, 10_000]);
    expect(stages.slice(0, 4).map(({ holdSeconds }) => holdSeconds / 60)).toEqual([2, 3, 5, 5]);
  });

  it.each<[string, object, string]>([
    [
      "weights that do not ascend",
      { stages: [...rolloutPolicy.parse({}).stages].toReversed() },
      "stages: weights must ascend",
    ],
    ["no stage", { stages: [] }, "stages: "],
    ["a rate of nought", { falseRollbackRate: 0 }, "falseRollbackRate: "],
    ["a ratio below 1", { errors: { ratio: 0.9 } }, "errors.ratio: "],
    ["a promotion that asks nothing better than equal", { errors: { promoteRatio: 1 } }, "errors.promoteRatio: "],
    ["a quantile of 1", { latency: { quantile: 1 } }, "latency.quantile: "],
  ])("with %s is refused", (_, policy, reason) => {
    expect(() => parsePolicy(JSON.stringify(policy), "p.json")).toThrow(`p.json: ${reason}`);
  });
});
