/**
 * The three conditions that every kind has, as kstatus reads them: Ready says whether the resource does its work,
 * Reconciling that the controller is still at it, Stalled that somebody else must act. A controller finds one state; the
 * three follow from it, so that they never contradict each other.
 */

/** What a condition says, before it has a type, a generation and a time. */
export interface Statement<Reason extends string> {
  readonly status: "True" | "False" | "Unknown";
  readonly reason: Reason;
  readonly message: string;
}

/** Where a resource stands. */
export interface ResourceState<Reason extends string> {
  readonly ready: Statement<Reason>;
  /** Nothing to do; getting there by itself; waiting for somebody's change. */
  readonly kind: "ready" | "working" | "stuck";
}

/** Reasons that belong to no kind in particular. */
export type SummaryReason = "Converged" | "Paused";

export interface Summary<Reason extends string> {
  readonly ready: Statement<Reason>;
  readonly reconciling: Statement<Reason | SummaryReason>;
  readonly stalled: Statement<Reason | SummaryReason>;
}

/** Not ready, and nothing but a change by somebody else will help. */
export function stuck<Reason extends string>(reason: Reason, message: string): ResourceState<Reason> {
  return { kind: "stuck", ready: { status: "False", reason, message } };
}

/** Not ready yet, and on the way. */
export function working<Reason extends string>(reason: Reason, message: string): ResourceState<Reason> {
  return { kind: "working", ready: { status: "False", reason, message } };
}

/** The three conditions of a state. A paused resource keeps its Ready and is neither reconciling nor stalled. */
export function summaryOf<Reason extends string>(
  { ready, kind }: ResourceState<Reason>,
  options: { readonly paused: boolean },
): Summary<Reason> {
  if (options.paused) {
    const paused = { status: "False", reason: "Paused", message: "annotation shieldx.dev/paused is true" } as const;
    return { ready, reconciling: paused, stalled: paused };
  }
  const rest = { status: "False", reason: "Converged", message: "" } as const;
  const same = { status: "True", reason: ready.reason, message: ready.message } as const;
  const no = { status: "False", reason: ready.reason, message: "" } as const;
  switch (kind) {
    case "ready":
      return { ready, reconciling: rest, stalled: rest };
    case "working":
      return { ready, reconciling: same, stalled: no };
    case "stuck":
      return { ready, reconciling: no, stalled: same };
  }
}
