/** A replay as people read it: one line a tick, the last verdict, and what differs from the record. */
import type { Counts, RunRow } from "../../../crds/rollout-run.ts";
import type { Judgement } from "./judge.ts";
import type { Replay, ReplayedRow } from "./replay.ts";
import { countText, eText } from "./sentences.ts";

/** Columns: ticks, end of the last one, weight, requests and errors of both, e-values, verdict, sentence. */
const HEADINGS = ["tick", "until", "stage", "weight", "canary", "stable", "harm", "slo", "promote", "slow", "verdict"];

/** The whole text. @param isRecorded the rows have verdicts of an earlier time, to compare with */
export function replayText(replayed: Replay, isRecorded: boolean): string {
  const { rows, end } = replayed;
  const cells = rows.map(({ row, judgement }, index) => [
    tickText(rows, index),
    row.to,
    String(row.stage + 1),
    `${row.weightBps / 100} %`,
    countsText(row.canary),
    countsText(row.stable),
    ...evidenceCells(judgement ?? row),
  ]);
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...cells.map((line) => line[column]?.length ?? 0)),
  );
  const lines = [HEADINGS, ...cells].map((line, index) => {
    const sentence = rows[index - 1] === undefined ? "" : sentenceOf(rows[index - 1] as ReplayedRow);
    return `${line.map((cell, column) => cell.padStart(widths[column] ?? 0)).join("  ")}${sentence}`;
  });
  const verdict = end === undefined ? "no ticks" : `${end.verdict} (${end.reason}): ${end.message}`;
  const recorded = isRecorded ? [comparisonText(replayed)] : [];
  return `${[...lines, "", `end: ${verdict}`, ...mergedText(replayed), ...recorded].join("\n")}\n`;
}

/** Numbers of the ticks in the row, from 1. */
function tickText(rows: Replay["rows"], index: number): string {
  const before = rows.slice(0, index).reduce((sum, { row }) => sum + (row.ticks ?? 1), 0);
  const ticks = rows[index]?.row.ticks ?? 1;
  return ticks === 1 ? String(before + 1) : `${before + 1}-${before + ticks}`;
}

function countsText(counts: Counts | undefined): string {
  return counts === undefined ? "no data" : `${countText(counts.errors)}/${countText(counts.requests)}`;
}

function evidenceCells({ verdict, evidence: { errors, latency } }: Judgement): string[] {
  const { harm, slo, promote } = errors;
  const slow = latency === undefined ? "-" : eText(latency.harm);
  return [eText(harm), slo === undefined ? "-" : eText(slo), eText(promote), slow, verdict.verdict];
}

function sentenceOf({ row, judgement, differs }: ReplayedRow): string {
  const { verdict } = judgement ?? row;
  const recorded = differs ? ` [recorded: ${verdictText(row.verdict)}]` : "";
  return `  ${verdict.reason}: ${verdict.message}${recorded}`;
}

function verdictText({ verdict, reason }: RunRow["verdict"]): string {
  return `${verdict} (${reason})`;
}

function mergedText({ mergedRows, isOtherPolicy }: Replay): string[] {
  if (mergedRows === 0) return [];
  const how = isOtherPolicy ? "judged as if each were one tick" : "taken as recorded";
  return [`merged: the first ${mergedRows} rows stand for several ticks each and were ${how}`];
}

function comparisonText({ rows, isOtherPolicy }: Replay): string {
  const index = rows.findIndex(({ differs }) => differs);
  const differing = rows.filter(({ differs }) => differs).length;
  const first = rows[index];
  if (first?.judgement === undefined) {
    return isOtherPolicy
      ? "other policy: decides as the recorded one at every tick"
      : "recorded: the same, bit for bit";
  }
  const says = `${verdictText(first.row.verdict)} was recorded, now ${verdictText(first.judgement.verdict)}`;
  const where = `at ${differing} of ${rows.length} rows, first at tick ${tickText(rows, index)} (${first.row.to}): ${says}`;
  return isOtherPolicy ? `other policy: decides otherwise ${where}` : `recorded: DIFFERS ${where}`;
}
