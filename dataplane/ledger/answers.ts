/** JSON of the answers that are written by the thousand. */
import { ERRORS, type ErrorCode } from "../../lib/core/errors.ts";
import { RESULT, type TransferProblem, type TransferResults } from "./ledger.work.ts";

let lastSecond = Number.NaN;
let lastPrefix = "";

/** Microseconds since 1970 as RFC 3339 with microseconds, UTC. */
export function rfc3339(micros: number): string {
  const second = Math.floor(micros / 1e6);
  // Events of one batch share their second.
  if (second !== lastSecond) {
    lastSecond = second;
    lastPrefix = new Date(second * 1000).toISOString().slice(0, 20);
  }
  return `${lastPrefix}${String(micros - second * 1e6).padStart(6, "0")}Z`;
}

/** Where the answer of one transfer is. */
export interface AnswerAt {
  readonly results: TransferResults;
  readonly index: number;
  readonly shard: number;
  readonly id: string;
}

/** HTTP status that the transfer alone is answered with. */
export function statusOf(results: TransferResults, index: number): number {
  if (results.status[index] === RESULT.posted) return results.replayed[index] === 1 ? 200 : 201;
  return ERRORS[(results.problems.get(index) as TransferProblem).code].status;
}

/** Members of a transfer that was carried out, without braces. */
export function postedMembers(at: AnswerAt): string {
  const { results, index } = at;
  return (
    `"id":${JSON.stringify(at.id)},"shard":${at.shard},"position":${results.position[index]},` +
    `"debitBalance":${results.debitBalance[index]},"creditBalance":${results.creditBalance[index]},` +
    `"recordedAt":"${rfc3339(results.recordedAtMicros[index] as number)}","replayed":${results.replayed[index] === 1}`
  );
}

/** One item of a bulk answer. */
export function bulkItem(at: AnswerAt): string {
  const { results, index } = at;
  if (results.status[index] === RESULT.posted) return `{"status":${statusOf(results, index)},${postedMembers(at)}}`;
  const problem = results.problems.get(index) as TransferProblem;
  return bulkProblem(at.id, problem, { shard: at.shard, replayed: results.replayed[index] === 1 });
}

/** One item of a bulk answer for a transfer that was not carried out. */
export function bulkProblem(
  id: string | null,
  problem: { readonly code: ErrorCode; readonly detail: string },
  known: { readonly shard?: number; readonly replayed: boolean },
): string {
  const shard = known.shard === undefined ? "" : `"shard":${known.shard},`;
  return (
    `{"status":${ERRORS[problem.code].status},"id":${JSON.stringify(id)},${shard}"replayed":${known.replayed},` +
    `"code":"${problem.code}","detail":${JSON.stringify(problem.detail)}}`
  );
}
