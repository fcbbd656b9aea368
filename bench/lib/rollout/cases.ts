/** What is released, what both came to, and what is wanted of ours. */
import { hundredths, median } from "../results.ts";
import { floorSeconds } from "./floor.ts";
import type { Run } from "./measure.ts";
import { LADDER, RATE, STABLE_ERRORS } from "./side.ts";

export interface Case {
  readonly key: string;
  readonly name: string;
  /** Share of requests that the new version answers with 500. */
  readonly errors: number;
  /** The rival's threshold; it is absolute, so that each case needs another one. */
  readonly thresholdBps: number;
}

export const CASES: readonly Case[] = [
  { key: "half", name: "50 % errors", errors: 0.5, thresholdBps: 9_500 },
  { key: "two", name: "2 % errors", errors: 0.02, thresholdBps: 9_900 },
  { key: "weak", name: "0.5 % errors", errors: 0.005, thresholdBps: 9_970 },
  // The threshold without which 0.5 % would not be seen.
  { key: "good", name: "good, 0.1 % errors", errors: STABLE_ERRORS, thresholdBps: 9_970 },
];

/** Figures of one program in one case. Times are in seconds from the first weight, of the releases that went back. */
export interface Figures {
  readonly runs: number;
  readonly rolledBack: number;
  readonly medianSeconds: number | null;
  readonly worstSeconds: number | null;
  /** Until the client's last answer by the new version. */
  readonly medianLastAnswerSeconds: number | null;
  readonly worstLastAnswerSeconds: number | null;
  /** Answers 500 by the new version, over all runs. */
  readonly medianBad: number;
  readonly worstBad: number;
  /** Greatest share of the requests that a new version had, in percent. */
  readonly topPercent: number;
  /** Requests that no version answered, in all runs. */
  readonly lost: number;
}

export function figuresOf(runs: readonly Run[]): Figures {
  const back = runs.filter(({ outcome }) => outcome === "RolledBack");
  const seconds = back.flatMap((run) => run.seconds ?? []);
  const last = back.flatMap((run) => run.lastAnswerSeconds ?? []);
  const bad = runs.map((run) => run.bad);
  return {
    runs: runs.length,
    rolledBack: back.length,
    medianSeconds: seconds.length === 0 ? null : hundredths(median(seconds)),
    worstSeconds: seconds.length === 0 ? null : hundredths(Math.max(...seconds)),
    medianLastAnswerSeconds: last.length === 0 ? null : hundredths(median(last)),
    worstLastAnswerSeconds: last.length === 0 ? null : hundredths(Math.max(...last)),
    medianBad: median(bad),
    worstBad: Math.max(...bad),
    topPercent: Math.max(...runs.map(({ topBps }) => topBps)) / 100,
    lost: runs.reduce((sum, { lost }) => sum + lost, 0),
  };
}

export interface CaseResult {
  readonly ours: Figures;
  readonly argoRollouts: Figures;
  /** When there is evidence at all, on average; absent of a good release. */
  readonly floorSeconds?: number;
  /** What we want, in words, and whether it is so. */
  readonly goal: { readonly text: string; readonly met: boolean };
}

/** @param falseRollbackRate that the user asked for, from 0 to 1 */
export function resultOf(
  { key, errors }: Case,
  runs: { readonly ours: readonly Run[]; readonly argoRollouts: readonly Run[] },
  falseRollbackRate: number,
): CaseResult {
  const both = { ours: figuresOf(runs.ours), argoRollouts: figuresOf(runs.argoRollouts) };
  const { ours, argoRollouts: peer } = both;
  if (key === "good") return { ...both, goal: { text: "0 rolled back", met: ours.rolledBack === 0 } };
  const floor = floorSeconds({
    ...LADDER,
    stable: STABLE_ERRORS,
    canary: errors,
    falseRollbackRate,
    requestsPerSecond: RATE,
  });
  const within = (seconds: number): boolean =>
    ours.rolledBack === ours.runs && ours.medianSeconds !== null && ours.medianSeconds <= seconds;
  const goals: Readonly<Record<string, CaseResult["goal"]>> = {
    half: {
      text: "median ≤ 5 s, a third of the bad answers",
      met: within(5) && ours.medianBad * 3 <= peer.medianBad,
    },
    two: { text: "median ≤ 10 s after the floor", met: within(floor + 10) },
    weak: { text: "median ≤ 60 s", met: within(60) },
  };
  const goal = goals[key];
  if (goal === undefined) throw new Error(`no goal for case ${key}`);
  return { ...both, floorSeconds: hundredths(floor), goal };
}

/** The results as lines of a table for people. */
export function tableOf(results: Readonly<Record<string, CaseResult>>): string[] {
  const head = ["", "", "back", "weight 0, s", "worst", "last answer, s", "worst", "bad", "worst", "top %", "lost"];
  const rows = Object.entries(results).flatMap(([name, { ours, argoRollouts }]) => [
    [name, "ours", ...cellsOf(ours)],
    ["", "Argo Rollouts", ...cellsOf(argoRollouts)],
  ]);
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  const table = all.map((row) =>
    row
      .map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
  const goals = Object.entries(results).map(([name, { floorSeconds: floor, goal }]) => {
    const from = floor === undefined ? "" : ` (floor ${String(floor)} s)`;
    return `${name}${from}: ${goal.text}: ${goal.met ? "yes" : "NO"}`;
  });
  return [...table, "", ...goals];
}

function cellsOf(figures: Figures): string[] {
  const { runs, rolledBack, medianBad, worstBad, topPercent, lost } = figures;
  const times = [
    figures.medianSeconds,
    figures.worstSeconds,
    figures.medianLastAnswerSeconds,
    figures.worstLastAnswerSeconds,
  ];
  return [
    `${String(rolledBack)} of ${String(runs)}`,
    ...times.map((value) => (value === null ? "–" : value.toFixed(2))),
    ...[medianBad, worstBad, topPercent, lost].map(String),
  ];
}
