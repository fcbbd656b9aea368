/** What a source of counts said when it was asked once, and how a source is asked. */

import type { Reading } from "./reading.ts";
import type { SampleTask } from "./task.ts";

/** Gets a page of metrics; `lib/node/http-text.ts` has this shape. @throws OperatorError METRICS_UNREACHABLE */
export type Scrape = (request: {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}) => Promise<string>;

/** One version, by the names of processes, which are unique and not used again. */
export interface SideAnswer {
  /** What each has counted of it. */
  readonly readings: ReadonlyMap<string, Reading>;
  /** Who told nothing, and why: a sentence that says who is meant. */
  readonly silent: ReadonlyMap<string, string>;
}

export interface Answer {
  readonly canary: SideAnswer;
  readonly stable: SideAnswer;
}

/** Asks once. What goes wrong is in the answer. */
export type CountSource = (task: SampleTask, signal: AbortSignal) => Promise<Answer>;

/** Parts what each said: a reading, or a sentence. */
export function sideOf(answers: readonly (readonly [name: string, answer: Reading | string])[]): SideAnswer {
  const isTold = (answer: (typeof answers)[number]): answer is [string, Reading] => typeof answer[1] !== "string";
  const isSilent = (answer: (typeof answers)[number]): answer is [string, string] => typeof answer[1] === "string";
  return { readings: new Map(answers.filter(isTold)), silent: new Map(answers.filter(isSilent)) };
}

/** A pod tells its metrics from memory in milliseconds; on a node under full load in a second. */
export const ANSWER_TIMEOUT_MS = 2_000;
