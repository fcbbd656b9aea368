// Goal: a case's figures are of its own runs, and a goal that is missed is told as missed.
import { expect, test } from "@jest/globals";
import { CASES, type Case, figuresOf, resultOf, tableOf } from "./cases.ts";
import type { Run } from "./measure.ts";

const back = (seconds: number, bad: number): Run => ({
  outcome: "RolledBack",
  seconds,
  lastAnswerSeconds: seconds + 0.1,
  bad,
  topBps: 500,
  lost: 0,
});
const promoted: Run = { outcome: "Promoted", bad: 7, topBps: 9_500, lost: 1 };
const caseOf = (key: string): Case => CASES.find((one) => one.key === key) as Case;

test("times are of releases that went back, bad answers of all", () => {
  expect(figuresOf([back(4, 20), promoted, back(6, 30)])).toEqual({
    runs: 3,
    rolledBack: 2,
    medianSeconds: 5,
    worstSeconds: 6,
    medianLastAnswerSeconds: 5.1,
    worstLastAnswerSeconds: 6.1,
    medianBad: 20,
    worstBad: 30,
    topPercent: 95,
    lost: 1,
  });
  expect(figuresOf([promoted])).toMatchObject({ rolledBack: 0, medianSeconds: null, worstLastAnswerSeconds: null });
});

test("half errors: both the time and the bad answers count", () => {
  const met = (ours: Run[], argoRollouts: Run[]) => resultOf(caseOf("half"), { ours, argoRollouts }, 0.01).goal.met;
  expect(met([back(4, 20)], [back(10, 60)])).toBe(true);
  expect(met([back(4, 21)], [back(10, 60)])).toBe(false);
  expect(met([back(5.1, 10)], [back(10, 60)])).toBe(false);
  expect(met([back(4, 20), promoted], [back(10, 60)])).toBe(false);
});

test("2 % may take 10 s after the floor, 0.5 % a minute, and none of the good ones goes back", () => {
  const met = (key: string, ours: Run[]) => resultOf(caseOf(key), { ours, argoRollouts: ours }, 0.01).goal.met;
  expect(met("two", [back(21, 4)])).toBe(true);
  expect(met("two", [back(22, 4)])).toBe(false);
  expect(met("weak", [back(60, 9)])).toBe(true);
  expect(met("weak", [promoted])).toBe(false);
  expect(met("good", [promoted])).toBe(true);
  expect(met("good", [promoted, back(30, 2)])).toBe(false);
});

test("the table has a row for each program and a line for each goal", () => {
  const result = resultOf(caseOf("half"), { ours: [back(4, 20)], argoRollouts: [back(10, 60)] }, 0.01);
  const lines = tableOf({ "50 % errors": result });
  expect(lines[1]).toMatch(/^50 % errors {2}ours .* 1 of 1 +4\.00 +4\.00 +4\.10 +4\.10 +20 +20 +5 +0$/);
  expect(lines[2]).toContain("Argo Rollouts");
  expect(lines.at(-1)).toMatch(/^50 % errors \(floor 0\.17 s\): .*: yes$/);
});
