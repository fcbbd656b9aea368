import { OperatorError } from "../core/errors.ts";

/** A signal that aborts at a deadline or with its parents; `clear` releases timer and listeners. */
export interface Deadline {
  readonly signal: AbortSignal;
  clear(): void;
}

/**
 * Aborts after `ms` milliseconds (never for `undefined`), or when a parent aborts. Unlike `AbortSignal.any` it can be taken apart again, so
 * that thousands of short requests leave nothing on a signal that lives as long as the process.
 * The reason is an OperatorError: KUBE_UNREACHABLE at the deadline, ABORTED with a parent.
 */
export function createDeadline(ms: number | undefined, ...parents: readonly (AbortSignal | undefined)[]): Deadline {
  const controller = new AbortController();
  const onTime = (): void =>
    controller.abort(new OperatorError("KUBE_UNREACHABLE", `no answer within ${(ms ?? 0) / 1000} s`));
  const timer = ms === undefined ? undefined : setTimeout(onTime, ms);
  const onAbort = (): void => controller.abort(new OperatorError("ABORTED", "the work was stopped"));
  for (const parent of parents) {
    if (parent?.aborted) onAbort();
    parent?.addEventListener("abort", onAbort, { once: true });
  }
  return {
    signal: controller.signal,
    clear: () => {
      clearTimeout(timer);
      for (const parent of parents) parent?.removeEventListener("abort", onAbort);
    },
  };
}
