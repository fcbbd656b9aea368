/** Medians, spreads and ratios of two programs. */
import { median, quantile } from "../results.ts";

/** One measured quantity of both programs; less is better for all of them. */
export interface Figure {
  readonly name: string;
  readonly ours: Spread;
  readonly peer: Spread;
  /** Ours over the peer's; `null` when the peer's is 0. */
  readonly times: number | null;
  /** What we want, in words, and whether it is so; absent for figures without a goal. */
  readonly goal?: { readonly text: string; readonly met: boolean };
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Each item once a round; every second round in reverse order, so that no program always goes first. */
export function alternate<T>(items: readonly T[], rounds: number): T[] {
  return Array.from({ length: rounds }, (_, round) => (round % 2 === 0 ? [...items] : items.toReversed())).flat();
}

/** Median, least and greatest. */
export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/** Quantile of all rounds together, with the spread of the rounds' own. */
export function latencySpread(rounds: readonly (readonly number[])[], part: number): Spread {
  const each = rounds.filter((round) => round.length > 0).map((round) => quantile(round, part));
  return { median: quantile(rounds.flat(), part), min: Math.min(...each), max: Math.max(...each) };
}

/** Puts two spreads side by side. */
export function figure(
  name: string,
  values: { readonly ours: Spread; readonly peer: Spread },
  goal?: { readonly text: string; readonly met: (ours: number, times: number | null) => boolean },
): Figure {
  const { ours, peer } = values;
  const times = peer.median === 0 ? null : ours.median / peer.median;
  if (goal === undefined) return { name, ours, peer, times };
  return { name, ours, peer, times, goal: { text: goal.text, met: goal.met(ours.median, times) } };
}

/** The figures as lines of a table for people. */
export function tableOf(figures: readonly Figure[]): string[] {
  const rows = figures.map(({ name, ours, peer, times, goal }) => [
    name,
    textOf(ours),
    textOf(peer),
    times === null ? "–" : times.toFixed(2),
    goal === undefined ? "" : `${goal.text}: ${goal.met ? "yes" : "NO"}`,
  ]);
  const all = [["", "ours", "controller-runtime", "times", "goal"], ...rows];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  return all.map((row) =>
    row
      .map((cell, column) =>
        column === 0 || column === 4 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}

function textOf({ median: middle, min, max }: Spread): string {
  return min === max ? numberOf(middle) : `${numberOf(middle)} (${numberOf(min)}–${numberOf(max)})`;
}

function numberOf(value: number): string {
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}
