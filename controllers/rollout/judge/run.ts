/**
 * The record of a run, in bounded space. Each tick leaves its counts, evidence and verdict. When the record is full the earlier
 * half is merged in pairs, and the judge's memory at the end of that half is kept, so that all that follows is computed again
 * bit for bit. Lost are, for the merged part: the verdict of the first tick of each pair, the order of the counts within
 * it, counts of ticks that lacked a side, and with them the exact evidence under another policy; see `replay.ts`.
 */
import { type JudgeState, type RolloutRun, RUN_ROWS_MAX, type RunRow } from "../../../crds/rollout-run.ts";
import { addCounts } from "./counters.ts";
import { beginJudge, judgeTick, type Tick } from "./judge.ts";

/** A run under way: its record, and the judge's memory after the last row. */
export interface OpenRun {
  readonly run: RolloutRun;
  readonly state: JudgeState;
}

/** What is known before the first tick. */
type Beginning = Pick<RolloutRun, "revision" | "policy" | "latencyBoundsMs">;

/** A run without ticks. */
export function beginRun({ revision, policy, latencyBoundsMs }: Beginning): OpenRun {
  const bounds = latencyBoundsMs === undefined ? {} : { latencyBoundsMs };
  return { run: { kind: "RolloutRun", version: 1, revision, policy, ...bounds, rows: [] }, state: beginJudge(policy) };
}

/** Judges one more tick and writes it down. */
export function appendTick({ run, state }: OpenRun, tick: Tick): OpenRun {
  const room = run.rows.length < RUN_ROWS_MAX ? run : thin(run);
  const next = judgeTick(state, tick, run.policy);
  return { run: { ...room, rows: [...room.rows, { ...tick, ...next.judgement }] }, state: next.state };
}

/** Goes on with a stored run. */
export function resumeRun(run: RolloutRun): OpenRun {
  return { run, state: stateAfter(run, run.rows.length) };
}

/** The judge's memory after some rows, from where it is known. */
function stateAfter({ rows, merged, policy }: RolloutRun, count: number): JudgeState {
  return rows
    .slice(merged?.rows ?? 0, count)
    .reduce((state, row) => judgeTick(state, row, policy).state, merged?.state ?? beginJudge(policy));
}

/** Merging in pairs leaves a half, and more where pairs are of two stages; above this part it was not worth its while. */
const MERGED_PART_MAX = 0.75;

/** The same run in fewer rows: the earlier half in pairs. */
export function thin(run: RolloutRun): RolloutRun {
  const half = run.rows.length >> 1;
  const state = stateAfter(run, half);
  const early = run.rows.slice(0, half);
  const ofOnePlace = mergePairs(early, isOfOnePlace);
  // A run that changes its weight at nearly every tick has few such pairs; the bound holds all the same.
  const rows = ofOnePlace.length <= half * MERGED_PART_MAX ? ofOnePlace : mergePairs(early, () => true);
  return { ...run, rows: [...rows, ...run.rows.slice(half)], merged: { rows: rows.length, state } };
}

/** Same stage and weight: the merged row means what both meant. */
function isOfOnePlace(one: RunRow, other: RunRow): boolean {
  return one.stage === other.stage && one.weightBps === other.weightBps;
}

function mergePairs(rows: readonly RunRow[], mayMerge: (one: RunRow, other: RunRow) => boolean): RunRow[] {
  const merged: RunRow[] = [];
  let waiting: RunRow | undefined;
  for (const row of rows) {
    if (waiting === undefined) waiting = row;
    else if (mayMerge(waiting, row)) {
      merged.push(mergeRows(waiting, row));
      waiting = undefined;
    } else {
      merged.push(waiting);
      waiting = row;
    }
  }
  return waiting === undefined ? merged : [...merged, waiting];
}

/** The later row's verdict and cumulative evidence, over the counts of both. */
function mergeRows(one: RunRow, other: RunRow): RunRow {
  const { canary: _, stable: __, silentMs: ___, ...rest } = other;
  const silentMs = silenceOf(one) + silenceOf(other) + Date.parse(other.from) - Date.parse(one.to);
  const counts = countsOf(one, other);
  return {
    ...rest,
    from: one.from,
    ...counts,
    ...(counts === undefined || silentMs === 0 ? {} : { silentMs }),
    ticks: (one.ticks ?? 1) + (other.ticks ?? 1),
  };
}

/** Sums of what the judge took; a row that lacks a side told it nothing. */
function countsOf(one: RunRow, other: RunRow): Pick<RunRow, "canary" | "stable"> | undefined {
  const [first, second] = [one, other].filter(({ canary, stable }) => canary !== undefined && stable !== undefined);
  if (first?.canary === undefined || first.stable === undefined) return undefined;
  const { canary, stable } = first;
  if (second?.canary === undefined || second.stable === undefined) return { canary, stable };
  return { canary: addCounts(canary, second.canary), stable: addCounts(stable, second.stable) };
}

/** Time of the row without data. */
function silenceOf({ from, to, canary, stable, silentMs }: RunRow): number {
  return canary === undefined || stable === undefined ? Date.parse(to) - Date.parse(from) : (silentMs ?? 0);
}

/** Judges ticks from the first to the last. */
export function judgeRun(beginning: Beginning, ticks: readonly Tick[]): RolloutRun {
  return ticks.reduce(appendTick, beginRun(beginning)).run;
}
