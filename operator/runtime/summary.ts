import type { ErrorCode, OperatorError } from "../../lib/core/errors.ts";
import { tell, warn } from "./actions.ts";
import { findCondition } from "./conditions.ts";
import { failuresOf } from "./failures.ts";
import type { Action, Condition, Statement } from "./types.ts";

/**
 * The three conditions that every kind has, as kstatus reads them: Ready says whether the resource does its work,
 * Reconciling that the controller is still at it, Stalled that somebody else must act. A controller finds one state; the
 * three follow from it, so that they never contradict each other.
 */

/** What of a condition is worth an event. */
export type News = "reason" | "message" | "none";

/** Where a resource stands. */
export interface ResourceState<Reason extends string> {
  readonly ready: Statement<Reason>;
  /** Nothing to do; getting there by itself; waiting for somebody's change. */
  readonly kind: "ready" | "working" | "stuck";
  /**
   * What makes an event of it: another status or reason, unless told; another message too, where it names what is being
   * waited for; or nothing.
   */
  readonly news?: News;
}

/** Reasons that belong to no kind in particular. */
export type SummaryReason = "Converged" | "Paused";

export interface Summary<Reason extends string> {
  readonly ready: Statement<Reason>;
  readonly reconciling: Statement<Reason | SummaryReason>;
  readonly stalled: Statement<Reason | SummaryReason>;
}

/** As its spec asks. */
export function ready(message: string): ResourceState<"Ready"> {
  return { kind: "ready", ready: { status: "True", reason: "Ready", message } };
}

/** Not ready, and nothing but a change by somebody else will help. */
export function stuck<Reason extends string>(reason: Reason, message: string): ResourceState<Reason> {
  return { kind: "stuck", ready: { status: "False", reason, message } };
}

/** Not ready yet, and on the way. */
export function working<Reason extends string>(reason: Reason, message: string): ResourceState<Reason> {
  return { kind: "working", ready: { status: "False", reason, message } };
}

/** Where a resource stands that is deleted while it is paused: nothing is done about it. */
export const HELD: ResourceState<SummaryReason> = working(
  "Paused",
  "it is being deleted, but annotation shieldx.dev/paused is true: nothing of it is removed until that is taken off",
);

/** Where a resource stands of which nothing of ours is left. @param holders finalizers of others */
export function leftTo(holders: readonly string[]): ResourceState<"Deleting"> {
  return working("Deleting", `nothing of ours is left; finalizers of others still hold it: ${holders.join(", ")}`);
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

/** Reasons that every kind has for a reconcile that failed. */
type FailureReason = "NameConflict" | "ReconcileFailed" | "Deleting";

/** Somebody wrote at the same time, or this process must stop: the world is read again, and nobody needs to hear of it. */
const QUIET_CODES: readonly ErrorCode[] = ["KUBE_CONFLICT", "KUBE_ALREADY_EXISTS", "ABORTED", "LEASE_LOST"];

/** Where a failure leaves the resource; `undefined` when there was none, or none that anybody needs to hear of. */
export function failureState(error: Error | undefined): ResourceState<FailureReason> | undefined {
  if (error === undefined) return undefined;
  const states = failuresOf(error).flatMap((failure) => stateOf(failure) ?? []);
  const [first, ...others] = states;
  if (first === undefined || others.length === 0) return first;
  // Somebody must act: what heals by itself beside it does not change that.
  const lead = states.find(({ kind }) => kind === "stuck") ?? first;
  const told = states.slice(0, TOLD_MAX).map(({ ready: { message } }) => message);
  const more = states.length > TOLD_MAX ? [`and ${states.length - TOLD_MAX} more`] : [];
  const message = `${states.length} steps failed: ${[...told, ...more].join("; ")}`;
  return { ...lead, ready: { ...lead.ready, message } };
}

/** Failures that are told in full: one of everything is an outage, and a message has its limit. */
const TOLD_MAX = 5;

/**
 * Refusals of admission that stand until somebody changes a quota, a limit range or a level of pod security. A missing right
 * may be on its way: the server knows a new one a moment later.
 */
const REFUSED_BY_POLICY = /(exceeded|failed) quota|violates PodSecurity|(minimum|maximum) \S+ usage per/;

function stateOf({ code, message, retry }: OperatorError): ResourceState<FailureReason> | undefined {
  if (QUIET_CODES.includes(code)) return undefined;
  if (code === "NAME_CONFLICT") return stuck("NameConflict", message);
  if (code === "KUBE_NAMESPACE_ENDING") {
    const says = "the namespace is being deleted: nothing is made in it any more, and what is in it goes with it";
    return { ...working("Deleting", says), news: "none" };
  }
  // The words of a foreign exception may repeat what it was reading, a Secret for example; the log has its stack.
  const sentence =
    code === "INTERNAL" ? `${code}: an unexpected error; the operator's log has it` : `${code}: ${message}`;
  const needsPerson = retry === "terminal" || (code === "KUBE_FORBIDDEN" && REFUSED_BY_POLICY.test(message));
  return needsPerson ? stuck("ReconcileFailed", sentence) : working("ReconcileFailed", sentence);
}

/** True when the condition of this type said the same before; with `deep` in the same words. */
export function isTold(
  before: readonly Condition[] | undefined,
  type: string,
  { says, deep = false }: { readonly says: Statement; readonly deep?: boolean },
): boolean {
  const known = findCondition(before, type);
  if (known?.status !== says.status || known.reason !== says.reason) return false;
  return !deep || known.message === says.message;
}

/**
 * The event that tells of a new Ready, with the same sentence that the condition has: once, when its status or reason is
 * another one than before. A warning when somebody must act, or when a step failed.
 */
export function announceReady(
  before: readonly Condition[] | undefined,
  { ready, stalled }: Summary<string>,
  news: News = "reason",
): Action[] {
  if (news === "none" || isTold(before, "Ready", { says: ready, deep: news === "message" })) return [];
  const isWarning = stalled.status === "True" || ready.reason === "ReconcileFailed";
  return [(isWarning ? warn : tell)(ready.reason, ready.message)];
}
