/** Times as people compare them: a histogram and a few quantiles. */
import { quantile } from "../../../bench/lib/results.ts";

/** Upper bounds of the bars, in seconds. */
const BOUNDS = [0.1, 0.25, 0.5, 1, 2, 3, 5, 10] as const;

export interface Distribution {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly worst: number;
  /** How many lie up to each bound and above the one before it. */
  readonly bars: Readonly<Record<string, number>>;
}

/** @param seconds at least one */
export function distributionOf(seconds: readonly number[]): Distribution {
  const labels = [...BOUNDS.map((bound) => `<= ${String(bound)} s`), `> ${String(BOUNDS.at(-1))} s`];
  const barOf = (value: number): number => {
    const index = BOUNDS.findIndex((bound) => value <= bound);
    return index < 0 ? BOUNDS.length : index;
  };
  const bars = labels.map((label, index) => [label, seconds.filter((value) => barOf(value) === index).length] as const);
  const [p50, p90, p99] = [0.5, 0.9, 0.99].map((part) => quantile(seconds, part)) as [number, number, number];
  return { count: seconds.length, p50, p90, p99, worst: Math.max(...seconds), bars: Object.fromEntries(bars) };
}

/** Lines with a bar each. */
export function histogramLines({ bars }: Distribution): readonly string[] {
  const used = Object.entries(bars);
  const width = Math.max(...used.map(([label]) => label.length));
  return used.map(([label, count]) => `${label.padStart(width)}  ${"#".repeat(count)} ${String(count)}`);
}
