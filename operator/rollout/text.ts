/** Small parts of what people read: tables, ages, shares, commands. */
import { WHOLE_BPS } from "../../crds/rollout-ladder.ts";

/** One object of a kind that lives in namespaces. */
export interface Place {
  readonly namespace: string;
  readonly name: string;
}

/** Rows with their columns one below the other, each line with its end. */
export function tableText(rows: readonly (readonly string[])[]): string {
  const widths = rows.reduce<number[]>(
    (known, row) => row.map((cell, index) => Math.max(known[index] ?? 0, cell.length)),
    [],
  );
  return rows
    .map((row) =>
      row
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join("   ")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}

const UNITS: readonly (readonly [letter: string, seconds: number])[] = [
  ["d", 86_400],
  ["h", 3_600],
  ["m", 60],
  ["s", 1],
];

/** A time span by its two largest units, as `kubectl` tells ages: `3m12s`, `2d4h`. @param ms negative counts as 0 */
export function spanText(ms: number): string {
  let seconds = Math.max(0, Math.floor(ms / 1_000));
  const first = UNITS.findIndex(([, size]) => seconds >= size);
  if (first === -1) return "0s";
  let text = "";
  for (const [letter, size] of UNITS.slice(first, first + 2)) {
    const count = Math.floor(seconds / size);
    if (count > 0) text += `${String(count)}${letter}`;
    seconds -= count * size;
  }
  return text;
}

/** Time since a moment. @param time RFC 3339 @param now milliseconds since the epoch */
export function sinceText(time: string, now: number): string {
  return spanText(now - Date.parse(time));
}

/** `5 %` @param bps basis points */
export function percentText(bps: number): string {
  return `${String(Number(((bps * 100) / WHOLE_BPS).toFixed(2)))} %`;
}

/** What to type: `shieldx rollout promote shop -n bank`. @param verb with its flags */
export function commandText(verb: string, { namespace, name }: Place): string {
  const [word = "", ...flags] = verb.split(" ");
  return ["shieldx rollout", word, name, "-n", namespace, ...flags].join(" ");
}
