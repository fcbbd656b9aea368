import type { ServerResponse } from "node:http";
import { OperatorError } from "../../lib/core/errors.ts";

/** How long the answer to one request may take. */
export interface AnswerLimit {
  /** Aborts at the deadline, with the cut-off, and when the caller has gone. */
  readonly signal: AbortSignal;
  /** Rejects when the signal aborts. */
  readonly passed: Promise<never>;
  /** Why. */
  error(): OperatorError;
  clear(): void;
}

/** Begins to count. @param cutOff aborts when the server does not wait any longer */
export function startAnswerLimit(ms: number, cutOff: AbortSignal, response: ServerResponse): AnswerLimit {
  const controller = new AbortController();
  let error = new OperatorError("ABORTED", "the request was stopped");
  const end = (why: OperatorError): void => {
    if (controller.signal.aborted) return;
    error = why;
    controller.abort(why);
  };
  const timer = setTimeout(
    () => end(new OperatorError("WEBHOOK_TIMEOUT", `no answer within ${Math.round(ms) / 1000} s`)),
    ms,
  );
  const onAbort = (): void => end(new OperatorError("SHUTTING_DOWN", "the operator is stopping"));
  const onClose = (): void => end(new OperatorError("ABORTED", "the caller went away"));
  if (cutOff.aborted) onAbort();
  cutOff.addEventListener("abort", onAbort, { once: true });
  response.once("close", onClose);
  const passed = new Promise<never>((_resolve, reject) => {
    if (controller.signal.aborted) reject(error);
    controller.signal.addEventListener("abort", () => reject(error), { once: true });
  });
  // Nobody may be waiting for it when it comes.
  passed.catch(() => undefined);
  return {
    signal: controller.signal,
    passed,
    error: () => error,
    clear: () => {
      clearTimeout(timer);
      response.removeListener("close", onClose);
      cutOff.removeEventListener("abort", onAbort);
    },
  };
}
