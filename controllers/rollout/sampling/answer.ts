/** What a source of counts said when it was asked once, and how a source is asked. */

import type { Reading } from "./reading.ts";
import type { SampleTask, ScrapeTarget } from "./task.ts";

/** Gets a page of metrics; `lib/node/http-text.ts` has this shape. @throws OperatorError METRICS_UNREACHABLE */
export type Scrape = (request: {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly timeoutMs: number;
  readonly bytesMax: number;
  /** For addresses that are not those of pods that a release has. */
  readonly isLocalRefused?: boolean;
  readonly signal?: AbortSignal;
}) => Promise<string>;

/** One version, by the names of processes, which are unique and not used again. */
export interface SideAnswer {
  /** What each has counted of it. */
  readonly readings: ReadonlyMap<string, Reading>;
  /** Who told nothing, and why: a sentence that says who is meant. */
  readonly silent: ReadonlyMap<string, string>;
  /** Who told nothing and is not ready, so that it has no requests, as far as anybody knows. */
  readonly resting: ReadonlySet<string>;
}

export interface Answer {
  readonly canary: SideAnswer;
  readonly stable: SideAnswer;
}

/** Asks once. What goes wrong is in the answer. */
export type CountSource = (task: SampleTask, signal: AbortSignal) => Promise<Answer>;

/** Parts what each said: a reading, or a sentence. @param targets pods among them, by uid; who is no pod is ready */
export function sideOf(
  answers: readonly (readonly [name: string, answer: Reading | string])[],
  targets: readonly ScrapeTarget[] = [],
): SideAnswer {
  const unready = new Set(targets.filter(({ isReady }) => !isReady).map(({ uid }) => uid));
  const isTold = (answer: (typeof answers)[number]): answer is [string, Reading] => typeof answer[1] !== "string";
  const isMute = (answer: (typeof answers)[number]): answer is [string, string] => typeof answer[1] === "string";
  const mute = answers.filter(isMute);
  return {
    readings: new Map(answers.filter(isTold)),
    silent: new Map(mute.filter(([name]) => !unready.has(name))),
    resting: new Set(mute.map(([name]) => name).filter((name) => unready.has(name))),
  };
}

/** A pod tells its metrics from memory in milliseconds; on a node under full load in a second. */
export const ANSWER_TIMEOUT_MS = 2_000;

/** Of a pod: some 10,000 series. A page is read while all else waits. */
export const POD_PAGE_BYTES_MAX = 1024 * 1024;

/** Of a gateway, which tells of all its Services, or of a Prometheus. */
export const SHARED_PAGE_BYTES_MAX = 4 * 1024 * 1024;
