import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { rolloutPolicy } from "../../../crds/rollout-policy.ts";
import { parseRollout, type RolloutRun, RUN_ROWS_MAX } from "../../../crds/rollout-run.ts";
import { OperatorError } from "../../../lib/core/errors.ts";
import { prng } from "../../../lib/core/prng.ts";
import { tickAt } from "../testing/ticks.ts";
import { beginJudge, type Judgement, judgeTick, type Tick } from "./judge.ts";
import { replay } from "./replay.ts";
import { judgeRun, thin } from "./run.ts";

// Goal: a record tells the same verdicts again, bit for bit, also as JSON and also when it was thinned; another policy says
// where it would have decided otherwise.

const POLICY = rolloutPolicy.parse({});
const BEGINNING = { revision: "web-1", policy: POLICY };

/** A release of some ticks, with errors, gaps and changes of stage, from a seed. */
function someTicks(count: number, seed: number, ticksAStage = 40) {
  const random = prng(seed);
  return Array.from({ length: count }, (_, index) => {
    const stage = Math.min(4, Math.floor(index / ticksAStage));
    const errors = (rate: number) => Math.floor(random() * rate);
    const isSilent = random() < 0.05;
    return tickAt(index, isSilent ? undefined : [errors(3), 500], [errors(3), 500], {
      stage,
      weightBps: POLICY.stages[stage]?.weightBps ?? 0,
    });
  });
}

const throughJson = (run: RolloutRun) => parseRollout(JSON.stringify(run), "run") as RolloutRun;

describe("replay", () => {
  it("tells the same again, after a way through JSON", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 300 }), (seed, count) => {
        const run = judgeRun(BEGINNING, someTicks(count, seed));
        const again = replay(throughJson(run));
        expect(again.rows.filter(({ differs }) => differs)).toEqual([]);
        expect(again.end).toEqual(run.rows.at(-1)?.verdict);
      }),
      { seed: 25, numRuns: 20 },
    );
  });

  it("finds a count, a verdict and an e-value that were changed", () => {
    const run = judgeRun(BEGINNING, someTicks(50, 1));
    const [first] = run.rows;
    const other = { verdict: "Pass", reason: "HoldOver", metric: "errors", message: "errors: fine" } as const;
    for (const change of [
      { stable: { requests: 500, errors: 400 } },
      { verdict: other },
      { evidence: { errors: { harm: 0, promote: 0, slo: Number.EPSILON } } },
    ]) {
      const changed = { ...run, rows: [{ ...first, ...change }, ...run.rows.slice(1)] } as RolloutRun;
      expect(replay(changed).rows.some(({ differs }) => differs)).toBe(true);
    }
  });

  it("says where another policy decides otherwise", () => {
    const ticks = Array.from({ length: 30 }, (_, index) => tickAt(index, [index % 3 === 0 ? 1 : 0, 10], [1, 990]));
    const strict = rolloutPolicy.parse({ falseRollbackRate: 0.2 });
    const again = replay(judgeRun(BEGINNING, ticks), strict);
    const first = again.rows.find(({ differs }) => differs);
    expect(again.isOtherPolicy).toBe(true);
    expect(first?.row.verdict.verdict).toBe("Inconclusive");
    expect(first?.judgement?.verdict).toMatchObject({ verdict: "Fail", reason: "Harm" });
  });

  it("refuses a policy without a stage of the run", () => {
    const run = judgeRun(BEGINNING, someTicks(100, 1));
    const short = rolloutPolicy.parse({ stages: POLICY.stages.slice(0, 2) });
    expect(() => replay(run, short)).toThrow(
      new OperatorError("ROLLOUT_RUN_INVALID", "policy: stages: it has 2, but rows[80].stage is 2"),
    );
  });

  it("of no rows has no end", () => {
    expect(replay(judgeRun(BEGINNING, []))).toMatchObject({ rows: [], end: undefined });
  });
});

describe("a long run", () => {
  const ticks = someTicks(2_500, 3, 500);
  const run = judgeRun(BEGINNING, ticks);

  it("keeps its bound, every request and every tick", () => {
    expect(run.rows.length).toBeLessThanOrEqual(RUN_ROWS_MAX);
    expect(run.rows.reduce((sum, row) => sum + (row.ticks ?? 1), 0)).toBe(ticks.length);
    const requests = (of: readonly Tick[]) => of.reduce((sum, { canary }) => sum + (canary?.requests ?? 0), 0);
    expect(requests(run.rows)).toBe(requests(ticks));
    expect(JSON.stringify(run).length).toBeLessThan(400_000);
  });

  it("tells what was not merged again, bit for bit", () => {
    const again = replay(throughJson(run));
    expect(again.mergedRows).toBeGreaterThan(0);
    expect(again.rows.slice(again.mergedRows).every(({ judgement }) => judgement !== undefined)).toBe(true);
    expect(again.rows.filter(({ differs }) => differs)).toEqual([]);
  });

  it("ends as the judge itself, which keeps no record, ends", () => {
    let state = beginJudge(POLICY);
    let end: Judgement | undefined;
    for (const tick of ticks) {
      const next = judgeTick(state, tick, POLICY);
      [state, end] = [next.state, next.judgement];
    }
    expect(replay(throughJson(run)).rows.at(-1)?.judgement).toEqual(end);
  });

  it("never merges across stages, as long as it can be helped", () => {
    const merged = run.rows.slice(0, run.merged?.rows);
    expect(merged.every((row) => row.stage === ticks.find(({ from }) => from === row.from)?.stage)).toBe(true);
  });

  it("keeps its bound also when the weight changes at every tick", () => {
    const restless = ticks.map((tick, index) => ({ ...tick, weightBps: 100 + (index % 2) }));
    expect(judgeRun(BEGINNING, restless).rows.length).toBeLessThanOrEqual(RUN_ROWS_MAX);
  });

  it("can be judged by another policy in its merged form", () => {
    const again = replay(run, rolloutPolicy.parse({ falseRollbackRate: 0.02 }));
    expect(again.rows.every(({ judgement }) => judgement !== undefined)).toBe(true);
  });
});

describe("thin", () => {
  it("keeps what decides: a thinned run ends as it did", () => {
    const run = judgeRun(BEGINNING, someTicks(200, 9));
    const thinned = thin(thin(run));
    expect(thinned.rows.length).toBeLessThan(run.rows.length);
    expect(replay(throughJson(thinned)).end).toEqual(run.rows.at(-1)?.verdict);
    expect(replay(thinned).rows.at(-1)?.judgement?.evidence).toEqual(run.rows.at(-1)?.evidence);
  });
});
