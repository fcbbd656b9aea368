/** How works of a writer's queue are answered: after COMMIT, or when they cannot wait any longer. */
import { OperatorError } from "../../lib/core/errors.ts";
import type { DecidedBatch } from "./ledger.batch.ts";
import {
  type AccountOutcome,
  type AccountWork,
  copyResults,
  type KeyedWork,
  RESULT,
  setProblem,
  type TransferResults,
  type Work,
} from "./ledger.work.ts";

/** Seconds that a refused sender should wait. */
const RETRY_AFTER_SECONDS = 1;

/** A batch is durable: its senders get what was decided. */
export function settleBatch(batch: DecidedBatch): void {
  for (const { work, to } of batch.segments) {
    if (work.closed) continue;
    if (work.type === "account") {
      closeAccount(work, work.outcome as AccountOutcome | OperatorError);
      continue;
    }
    work.settled = to;
    if (to === work.count) closeGroup(work, work.results);
  }
}

/**
 * Answers works that cannot wait any longer. What was decided stays as it is: it may commit yet, and then it is the answer
 * of whoever sends the same key again. @param why the error, by whether the command was sent to the database
 */
export function abandonWorks(works: readonly Work[], why: (tried: boolean) => OperatorError): void {
  for (const work of works) {
    if (work.closed) continue;
    if (work.type === "account") {
      closeAccount(work, why(work.tried));
      continue;
    }
    const told = copyResults(work.results);
    for (let index = work.settled; index < work.count; index += 1) {
      const { code, message } = why(work.tried && index < work.next);
      setProblem(told, index, { status: RESULT.failed, code, detail: message });
    }
    closeGroup(work, told);
  }
}

function closeGroup(work: KeyedWork, told: TransferResults): void {
  work.closed = true;
  work.close(told);
}

function closeAccount(work: AccountWork, outcome: AccountOutcome | OperatorError): void {
  work.closed = true;
  work.close(outcome);
}

/** What was tried may have been carried out; what was not has certainly not been. */
export function unavailable(shard: number, tried: boolean): OperatorError {
  return new OperatorError(
    tried ? "OUTCOME_UNKNOWN" : "WRITER_UNAVAILABLE",
    tried ? `the outcome on shard ${shard} is not known yet` : `shard ${shard} has no writer right now`,
    { retryAfterSeconds: RETRY_AFTER_SECONDS },
  );
}

/**
 * The shard's volume takes no writes.
 * @param isOpen the command was sent before, in a way that leaves its outcome open
 */
export function fullOrUnknown(full: OperatorError, isOpen: boolean): OperatorError {
  if (!isOpen) return full;
  const { message, retryAfterSeconds = RETRY_AFTER_SECONDS } = full;
  return new OperatorError("OUTCOME_UNKNOWN", `the outcome is not known yet, and ${message}`, { retryAfterSeconds });
}

/** The sender's shard map is not the database's. */
export function staleMap(shard: number, version: number): OperatorError {
  return new OperatorError("SHARD_MAP_STALE", `shard ${shard} works with shard map ${version}`, {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}

/** Too much waits already. */
export function overloaded(shard: number, waiting: number): OperatorError {
  return new OperatorError("OVERLOADED", `shard ${shard} has ${waiting} commands waiting`, {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}
