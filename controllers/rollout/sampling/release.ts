/**
 * One release as its samples tell it: the run that is judged, and where it stands. Pure: answers and times come in.
 *
 * A process counts from its first answer at a place of the ladder, never since it began. What it counted before belongs to
 * smoke tests, to a weight of before or to another year: a pod of the stable version that is found late would bring its
 * whole life into one tick. It costs what a new pod answers until it is first asked, less than one interval. What is told across a
 * change of weight belongs to no place, and is left out as well.
 */

import type { RolloutRun, Verdict } from "../../../crds/rollout-run.ts";
import { canonicalJson } from "../../../lib/core/canonical.ts";
import { type Counting, countSample, NOTHING_COUNTED } from "../judge/counters.ts";
import { appendTick, beginRun, type OpenRun, resumeRun } from "../judge/run.ts";
import type { Answer } from "./answer.ts";
import { shareTrouble } from "./measured-share.ts";
import { type Moment, nextMoment } from "./row-clock.ts";
import { sidesOf } from "./sides.ts";
import type { SampleTask } from "./task.ts";

/** Where a release stands. */
export interface Standing {
  readonly revision: string;
  /** The record so far, to be stored and replayed. */
  readonly run: RolloutRun;
  /** Of the last tick at the present stage and weight that was taken here. */
  readonly verdict: Verdict | undefined;
  /** The first failure of the run, and the end of its tick in milliseconds since the epoch. */
  readonly failure: Verdict | undefined;
  readonly failedAt?: number;
  /**
   * Since when, without a break, the verdict is Unknown, there is trouble or there is no tick at the present place; milliseconds
   * since the epoch.
   */
  readonly unknownSinceMs?: number;
  /** Requests at this stage and weight. */
  readonly measured: { readonly canary: number; readonly stable: number };
  /** Of the last sample in which both versions answered; milliseconds since the epoch. */
  readonly lastSampleAt?: number;
  /** What is not told, and why: in words, without secrets. Nobody should go on to more weight while there is one. */
  readonly trouble?: string;
  /** The requests that were counted do not bear out the weight; in words. Nobody goes on for this either. */
  readonly shareTrouble?: string;
}

/** A release under way. */
export interface Release {
  readonly place: Pick<SampleTask, "stage" | "weightBps">;
  readonly open: OpenRun;
  readonly counting: Counting;
  /** Of the last sample. */
  readonly moment: Moment | undefined;
  readonly verdict: Verdict | undefined;
  readonly failure: { readonly verdict: Verdict; readonly at: number } | undefined;
  readonly unknownSinceMs: number | undefined;
  readonly lastSampleAt: number | undefined;
  readonly trouble: string | undefined;
  readonly shareTrouble: string | undefined;
  readonly beside: SampleTask["beside"];
}

/** @param stored a run to go on with, when it is of the same revision and policy */
export function beginRelease(task: SampleTask, stored: RolloutRun | undefined): Release {
  const open = openRun(task, stored);
  const failed = open.run.rows.find(({ verdict }) => verdict.verdict === "Fail");
  return {
    place: placeOf(task),
    open,
    counting: NOTHING_COUNTED,
    moment: undefined,
    verdict: undefined,
    failure: failed && { verdict: failed.verdict, at: Date.parse(failed.to) },
    unknownSinceMs: unknownSince(open.run),
    lastSampleAt: undefined,
    trouble: undefined,
    shareTrouble: undefined,
    beside: task.beside,
  };
}

function openRun({ revision, policy }: SampleTask, stored: RolloutRun | undefined): OpenRun {
  const isSame = stored?.revision === revision && canonicalJson(stored.policy) === canonicalJson(policy);
  return isSame ? resumeRun(stored) : beginRun({ revision, policy });
}

/** Beginning of the Unknown rows at the end of a run. */
function unknownSince({ rows }: RolloutRun): number | undefined {
  const known = rows.findLastIndex(({ verdict }) => verdict.verdict !== "Unknown");
  const first = rows[known + 1];
  return first === undefined ? undefined : Date.parse(first.from);
}

function placeOf({ stage, weightBps }: SampleTask): Release["place"] {
  return { stage, weightBps };
}

/** Another stage or weight, or another source: counts begin anew with the next sample, and there is no verdict until then. */
export function enterPlace(release: Release, task: SampleTask): Release {
  const { moment, unknownSinceMs } = release;
  return {
    ...release,
    place: placeOf(task),
    beside: task.beside,
    counting: NOTHING_COUNTED,
    verdict: undefined,
    shareTrouble: undefined,
    unknownSinceMs: unknownSinceMs ?? moment?.wallMs,
  };
}

/** Nothing could be taken. @param nowMs by the wall clock */
export function withTrouble(release: Release, trouble: string, nowMs: number): Release {
  return { ...release, trouble, verdict: undefined, unknownSinceMs: release.unknownSinceMs ?? nowMs };
}

/** Takes what a source said. @param now when it was asked, by both clocks */
export function takeAnswer(release: Release, answer: Answer, now: Moment): Release {
  const { place, open } = release;
  const { boundsMs, canary, stable, trouble } = sidesOf(answer, place.weightBps, open.run.latencyBoundsMs);
  const { elapsedMs, ...moment } = nextMoment(release.moment, now, endOf(open.run));
  const at = new Date(moment.wallMs).toISOString();
  const sample = {
    at,
    ...place,
    ...(canary === undefined ? {} : { canary }),
    ...(stable === undefined ? {} : { stable }),
  };
  const { counting, tick } = countSample(since(release.counting, moment.wallMs - elapsedMs), sample, "answer");
  const run =
    boundsMs === undefined || boundsMs === open.run.latencyBoundsMs
      ? open.run
      : { ...open.run, latencyBoundsMs: [...boundsMs] };
  const next = {
    ...release,
    open: { ...open, run },
    counting: canary === undefined || stable === undefined ? counting : forget(counting, answer),
    moment,
    lastSampleAt: canary === undefined || stable === undefined ? release.lastSampleAt : moment.wallMs,
    unknownSinceMs: release.unknownSinceMs ?? (release.verdict === undefined ? moment.wallMs : undefined),
    trouble,
  };
  return tick === undefined ? next : withTick(next, tick);
}

function withTick(release: Release, tick: Parameters<typeof appendTick>[1]): Release {
  const open = appendTick(release.open, tick);
  const verdict = open.run.rows.at(-1)?.verdict;
  const share = shareTrouble(open.run.rows, release.place, release.beside);
  // A verdict beside a trouble promotes nobody, so that it ends no time without one.
  const isUnknown = verdict?.verdict === "Unknown" || release.trouble !== undefined || share !== undefined;
  const { failure } = release;
  return {
    ...release,
    open,
    verdict,
    shareTrouble: share,
    failure: failure ?? (verdict?.verdict === "Fail" ? { verdict, at: Date.parse(tick.to) } : undefined),
    unknownSinceMs: isUnknown ? (release.unknownSinceMs ?? Date.parse(tick.from)) : undefined,
  };
}

function endOf({ rows }: RolloutRun): number {
  const last = rows.at(-1);
  return last === undefined ? 0 : Date.parse(last.to);
}

/** The tick begins so long before its end as it took, also when the wall clock was set meanwhile. */
function since(counting: Counting, wallMs: number): Counting {
  if (counting.before === undefined) return counting;
  return { ...counting, before: { ...counting.before, at: new Date(wallMs).toISOString() } };
}

/** Who neither tells nor is expected to any more is gone; should it come back, it begins anew. */
function forget(counting: Counting, answer: Answer): Counting {
  const kept = (side: "canary" | "stable") => {
    const { readings, silent, resting } = answer[side];
    const isThere = (name: string): boolean => readings.has(name) || silent.has(name) || resting.has(name);
    return new Map([...counting.seen[side]].filter(([name]) => isThere(name)));
  };
  return { ...counting, seen: { canary: kept("canary"), stable: kept("stable") } };
}

export function standingOf(release: Release): Standing {
  const { open, place, verdict, failure, unknownSinceMs, lastSampleAt, trouble, shareTrouble: share } = release;
  const { state } = open;
  const isHere = state.stage === place.stage && state.weightBps === place.weightBps;
  const of = (side: "canary" | "stable"): number => (isHere ? state.errors[side].total : 0);
  return {
    revision: open.run.revision,
    run: open.run,
    verdict,
    failure: failure?.verdict,
    ...(failure === undefined ? {} : { failedAt: failure.at }),
    ...(unknownSinceMs === undefined ? {} : { unknownSinceMs }),
    measured: { canary: of("canary"), stable: of("stable") },
    ...(lastSampleAt === undefined ? {} : { lastSampleAt }),
    ...(trouble === undefined ? {} : { trouble }),
    ...(share === undefined ? {} : { shareTrouble: share }),
  };
}
