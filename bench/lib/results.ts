/** Results of a benchmark: one JSON file a run, and a table for people. */
import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, totalmem } from "node:os";
import { join, resolve } from "node:path";
import { systemClock } from "../../lib/core/clock.ts";

const RESULTS_DIR = resolve(import.meta.dirname, "../results");

/** What a run is about; `ratio` (ours over the peer's, higher is better), `seconds` or milliseconds at the top level. */
export interface BenchResult {
  readonly bench: string;
  readonly ratio?: number;
  readonly seconds?: number;
  readonly [member: string]: unknown;
}

/** Writes `bench/results/<bench>-<date>.json`. @returns its path */
export async function writeResult(result: BenchResult): Promise<string> {
  const at = new Date(systemClock.now()).toISOString();
  await mkdir(RESULTS_DIR, { recursive: true });
  const path = join(RESULTS_DIR, `${result.bench}-${at.slice(0, 19).replaceAll(":", "")}.json`);
  const machine = {
    cpus: availableParallelism(),
    model: cpus()[0]?.model ?? "unknown",
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
  };
  await writeFile(path, `${JSON.stringify({ ...result, at, machine }, null, 2)}\n`);
  return path;
}

/** Prints rows under each other; numbers to the right. */
export function printTable(rows: readonly (readonly [string, string])[]): void {
  const left = Math.max(...rows.map(([name]) => name.length));
  const right = Math.max(...rows.map(([, value]) => value.length));
  for (const [name, value] of rows) process.stdout.write(`  ${name.padEnd(left)}  ${value.padStart(right)}\n`);
}

/** The middle value; the mean of the two middle ones for an even count. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** A value below which the given part of the values lies. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

export function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}
