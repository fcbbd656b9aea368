/**
 * What is remembered of the checks of a release. A result is written to the status before it counts, so that a controller that
 * comes after a crash runs nothing again that has passed, and nothing passes that nobody saw pass.
 *
 *   (nothing) ─► Running ─► Passed
 *                 │   ▲ └──► Failed
 *                 └───┘ its Job was removed: once more, three times at most
 */
import { CHECK_MESSAGE_MAX, type CheckRecord } from "../../../crds/rollout-verify.ts";

/** How a check was seen now. */
export type Seen =
  /** Nobody knows of it: it has not begun, or its Job is gone. */
  | { readonly state: "Absent" }
  /** @member message what holds it up; empty: nothing does; absent: nobody knows */
  | { readonly state: "Running"; readonly message?: string; readonly job?: string }
  | { readonly state: "Passed"; readonly message: string; readonly job?: string }
  /** @member words of the pod; without them those that are remembered count */
  | { readonly state: "Failed"; readonly message: string; readonly words?: string; readonly job?: string };

/** A check that a release must pass. */
export interface CheckFacts {
  readonly name: string;
  /** Of what is checked and of the release. */
  readonly hash: string;
  /** It comes before all others. */
  readonly isHealth: boolean;
  /** Of a Job: time in which it must have ended. */
  readonly deadlineSeconds?: number;
  readonly seen: Seen;
}

/** Smoke tests at once: their requests and pods are load for a version that has the pods of its first stage. */
export const AT_ONCE_MAX = 4;
/** Runs of a Job that somebody removes again and again. */
export const RUNS_MAX = 3;
/** Beyond its deadline a Job's controller gets this long to say so. */
const LATE_SECONDS = 60;

/** @param now milliseconds since the epoch, here and below */
export function rememberChecks(
  before: readonly CheckRecord[],
  { checks, isHeld }: { readonly checks: readonly CheckFacts[]; readonly isHeld: boolean },
  now: number,
): readonly CheckRecord[] {
  const known = checks.map((check) => ({ check, record: knownOf(before, check, now) }));
  const records = known.flatMap(({ record }) => record ?? []);
  const running = records.filter(({ result }) => result === "Running").length;
  const isHealthy = known.every(({ check, record }) => !check.isHealth || record?.result === "Passed");
  const isOver = isHeld || records.some(({ result }) => result === "Failed");
  let free = isOver ? 0 : AT_ONCE_MAX - running;
  return known.flatMap(({ check, record }) => {
    if (record !== undefined) return [record];
    if (free <= 0 || (!check.isHealth && !isHealthy)) return [];
    free -= 1;
    return [
      { name: check.name, check: check.hash, result: "Running", message: "", startedAt: new Date(now).toISOString() },
    ];
  });
}

/** True when each of them is remembered to have passed, in this release. */
export function isVerified(records: readonly CheckRecord[] = [], checks: readonly CheckFacts[] = []): boolean {
  return checks.every(({ name, hash }) =>
    records.some((record) => record.name === name && record.check === hash && record.result === "Passed"),
  );
}

/** The first that is remembered to have failed and is still asked for. */
export function failedCheck(
  records: readonly CheckRecord[] = [],
  checks: readonly CheckFacts[] = [],
): (CheckRecord & Pick<CheckFacts, "isHealth">) | undefined {
  for (const { name, hash, isHealth } of checks) {
    const record = records.find((it) => it.name === name && it.check === hash && it.result === "Failed");
    if (record !== undefined) return { ...record, isHealth };
  }
  return undefined;
}

/** Why Jobs could not be made: words that are remembered until there is one. @param jobOf name of the Job of a check */
export function withRefusals(
  records: readonly CheckRecord[],
  jobOf: (record: CheckRecord) => string,
  failures: readonly string[],
): readonly CheckRecord[] {
  return records.map((record) => {
    if (record.result !== "Running" || record.job !== undefined) return record;
    const words = failures.find((failure) => failure.includes(jobOf(record)));
    return words === undefined ? record : { ...record, message: text(words) };
  });
}

function knownOf(before: readonly CheckRecord[], check: CheckFacts, now: number): CheckRecord | undefined {
  const known = before.find((it) => it.name === check.name && it.check === check.hash);
  if (known?.result !== "Running") return known;
  const { seen } = check;
  const record = isRemoved(known, seen) ? again(known, now) : known;
  if (record.result !== "Running") return record;
  switch (seen.state) {
    case "Absent":
      return inTime(record, check, now);
    case "Running":
      return inTime(withJob({ ...record, message: text(seen.message ?? record.message) }, seen.job), check, now);
    case "Passed":
      return withJob(ended(record, "Passed", seen.message, now), seen.job);
    case "Failed": {
      const words = seen.words ?? record.message;
      const message = words === "" ? seen.message : `${seen.message}; ${words}`;
      return withJob(ended(record, "Failed", message, now), seen.job);
    }
  }
}

/** The Job that was seen last is gone; another one may have its name already. */
function isRemoved({ job }: CheckRecord, seen: Seen): boolean {
  if (job === undefined) return false;
  return seen.state === "Absent" || (seen.job !== undefined && seen.job !== job);
}

function again({ job: _, ...record }: CheckRecord, now: number): CheckRecord {
  const runs = (record.runs ?? 1) + 1;
  if (runs > RUNS_MAX) return ended(record, "Failed", `its Job was removed ${String(RUNS_MAX)} times`, now);
  return { ...record, runs, message: "", startedAt: new Date(now).toISOString() };
}

/** A Job whose controller says nothing has failed, too. */
function inTime(record: CheckRecord, { deadlineSeconds }: CheckFacts, now: number): CheckRecord {
  if (deadlineSeconds === undefined) return record;
  if (now - Date.parse(record.startedAt) < (deadlineSeconds + LATE_SECONDS) * 1_000) return record;
  const what = record.job === undefined ? "its Job could not be made" : "its Job has not ended";
  const why = record.message === "" ? "" : `; ${record.message}`;
  return ended(record, "Failed", `${what} within ${String(deadlineSeconds + LATE_SECONDS)} s${why}`, now);
}

function ended(record: CheckRecord, result: "Passed" | "Failed", message: string, now: number): CheckRecord {
  return { ...record, result, message: text(message), endedAt: new Date(now).toISOString() };
}

function withJob(record: CheckRecord, job: string | undefined): CheckRecord {
  return job === undefined ? record : { ...record, job };
}

function text(message: string): string {
  return message.slice(0, CHECK_MESSAGE_MAX);
}
