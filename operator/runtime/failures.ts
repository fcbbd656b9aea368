import { OperatorError, toOperatorError } from "../../lib/core/errors.ts";

/*
 * Several steps of one reconcile can fail, each by itself. To whoever goes on from there they are one error, which says when
 * to try again; to whoever tells of it they are what each of them is.
 */

/** The failure whose retry comes first leads: what heals by itself, then what names a time, then what needs somebody. */
const ORDER = ["backoff", "after", "terminal"] as const;

/**
 * Failures as one error, with the code and the time of the one that is tried again first.
 * @param failures at least one
 */
export function combined(failures: readonly Error[]): OperatorError {
  const all = failures.map(toOperatorError);
  const [lead, ...others] = all.toSorted((a, b) => ORDER.indexOf(a.retry) - ORDER.indexOf(b.retry));
  if (lead === undefined) throw new Error("no failure to combine");
  if (others.length === 0) return lead;
  const times = all.flatMap(({ retryAfterSeconds }) => retryAfterSeconds ?? []);
  return new OperatorError(lead.code, all.map(({ code, message }) => `${code}: ${message}`).join("; "), {
    cause: new AggregateError(all),
    details: lead.details,
    ...(times.length === 0 ? {} : { retryAfterSeconds: Math.min(...times) }),
  });
}

/** The failures that an error stands for: itself, or those that `combined` put together. */
export function failuresOf(error: Error): readonly OperatorError[] {
  const { cause } = error;
  return cause instanceof AggregateError ? cause.errors.map(toOperatorError) : [toOperatorError(error)];
}
