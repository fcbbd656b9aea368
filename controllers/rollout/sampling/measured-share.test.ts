import { describe, expect, it } from "@jest/globals";
import { rolloutPolicy } from "../../../crds/rollout-policy.ts";
import { prng } from "../../../lib/core/prng.ts";
import { judgeRun } from "../judge/run.ts";
import { tickAt } from "../testing/ticks.ts";
import { shareTrouble } from "./measured-share.ts";

// Goal: a weight that is not served is told, and one that is served never, whatever chance does.

const PLACE = { stage: 1, weightBps: 500 };

/** Rows of 5 s at a place: requests of the canary and of the stable version in each. */
function rowsOf(counts: readonly (readonly [canary: number, stable: number])[], place = PLACE) {
  const ticks = counts.map(([canary, stable], index) => tickAt(index, [0, canary], [0, stable], place));
  return judgeRun({ revision: "web-1", policy: rolloutPolicy.parse({}) }, ticks).rows;
}
const times = (count: number, canary: number, stable: number) =>
  Array.from({ length: count }, () => [canary, stable] as const);

describe("the share that was counted", () => {
  it.each([
    ["as it is asked for", times(6, 50, 950)],
    ["before the gateway has had time", times(1, 0, 1_000)],
    ["of few requests", times(6, 0, 60)],
    ["a little less", times(6, 42, 958)],
    ["once the gateway serves it", [[0, 1_000], ...times(5, 50, 950)] as const],
  ])("%s is no trouble", (_, counts) => {
    expect(shareTrouble(rowsOf(counts), PLACE, undefined)).toBeUndefined();
  });

  it("is told when it is far too small, or too large", () => {
    expect(shareTrouble(rowsOf(times(6, 2, 998)), PLACE, undefined)).toBe(
      "the gateway gives the new version 0.2 % of 5,000 requests instead of 5 %",
    );
    expect(shareTrouble(rowsOf(times(6, 500, 500)), PLACE, undefined)).toBe(
      "the gateway gives the new version 50 % of 5,000 requests instead of 5 %",
    );
  });

  it("is never too large beside testers, who ask for as much as they like, and no share at all of copies", () => {
    expect(shareTrouble(rowsOf(times(6, 500, 500)), PLACE, "Testers")).toBeUndefined();
    expect(shareTrouble(rowsOf(times(6, 2, 998)), PLACE, "Testers")).toContain("0.2 % of 5,000 requests");
    expect(shareTrouble(rowsOf(times(6, 2, 998)), PLACE, "Copies")).toBeUndefined();
  });

  it("is of this place alone, and of no place without a weight", () => {
    const rows = rowsOf(times(6, 2, 998));
    expect(shareTrouble(rows, { stage: 2, weightBps: 2_500 }, undefined)).toBeUndefined();
    expect(
      shareTrouble(rowsOf(times(6, 0, 1_000), { stage: 0, weightBps: 0 }), { stage: 0, weightBps: 0 }, undefined),
    ).toBe(undefined);
  });

  it("is never told by chance, though clients bring four requests at a time", () => {
    for (let run = 0; run < 500; run += 1) {
      const random = prng(run);
      const clients = (count: number) => Array.from({ length: count }, random).filter((draw) => draw < 0.05).length;
      const counts = Array.from({ length: 12 }, () => 4 * clients(50));
      const rows = rowsOf(counts.map((canary) => [canary, 200 - canary] as const));
      for (let end = 1; end <= rows.length; end += 1)
        expect(shareTrouble(rows.slice(0, end), PLACE, undefined)).toBeUndefined();
    }
  });
});
