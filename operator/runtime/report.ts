import { omitUndefined } from "../../lib/core/objects.ts";
import { warn } from "./actions.ts";
import { conditionsOf, setCondition, type WithConditions } from "./conditions.ts";
import { announceReady, failureState, HELD, isTold, type ResourceState, type Summary, summaryOf } from "./summary.ts";
import type { Action, Condition, Statement } from "./types.ts";

/*
 * From what a kind reports to the status that users read and the event that goes with it. The three conditions that
 * every kind has, the precedence of a failure over all else, the generation and the event of a new Ready are the same
 * for all, so they are here.
 */

/** What became of the reconcile that a report is about. */
export interface Run {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Annotation `shieldx.dev/paused` is "true": nothing was planned. */
  readonly paused: boolean;
  /** The failure that stopped the plan; it takes the place of the report's state. */
  readonly error: Error | undefined;
  /** Why the work aside was not done. */
  readonly asideError: Error | undefined;
}

/** What a kind tells of a resource. */
export interface Report<Type extends string = string, Reason extends string = string> {
  /** Where the resource stands when no step failed. */
  readonly state: ResourceState<Reason>;
  /** The conditions of the kind beside Ready, Reconciling and Stalled, in the order in which they are shown. */
  readonly conditions: Readonly<Record<Type, Statement<Reason>>>;
  /** The other members of the status; `undefined` ones are left out. */
  readonly status: Readonly<Record<string, unknown>>;
  /** Conditions that get an event of their own, a Warning, whenever they say something new, whatever Ready says. */
  readonly warnings?: readonly Type[];
  /** Look again after this time, if that is sooner than the plan's. */
  readonly requeueAfterSeconds?: number;
}

/** A status to write, and what to tell after it. */
export interface Told {
  readonly status: Readonly<Record<string, unknown>>;
  readonly events: readonly Action[];
}

/** The whole status of a reported resource. */
export function tellReport(object: WithConditions, report: Report, run: Run): Told {
  const isHeld = run.paused && object.metadata.deletionTimestamp !== undefined;
  const state = failureState(run.error) ?? (isHeld ? HELD : report.state);
  const summary = summaryOf(state, run);
  const status = {
    observedGeneration: object.metadata.generation ?? 0,
    conditions: conditionsOf(object, { ...threeOf(summary), ...report.conditions }, run.now),
    ...omitUndefined(report.status),
  };
  const before = object.status?.conditions;
  const warnings = (report.warnings ?? []).flatMap((type): Action[] => {
    const says = report.conditions[type];
    if (says === undefined || isTold(before, type, { says, deep: true })) return [];
    return [warn(says.reason, says.message)];
  });
  return { status, events: [...announceReady(before, summary, state.news), ...warnings] };
}

/**
 * The status after a step that threw: only the failure is known, so everything else stays as it was told before.
 * @returns `undefined` for a failure that nobody needs to hear of
 */
export function tellFailure(object: WithConditions, error: Error, run: Pick<Run, "now" | "paused">): Told | undefined {
  const state = failureState(error);
  if (state === undefined) return undefined;
  const summary = summaryOf(state, run);
  const observedGeneration = object.metadata.generation ?? 0;
  const before = object.status?.conditions ?? [];
  const conditions = Object.entries(threeOf(summary)).reduce<readonly Condition[]>(
    (all, [type, says]) => setCondition(all, { type, ...says, observedGeneration }, run.now),
    before,
  );
  return { status: { ...object.status, observedGeneration, conditions }, events: announceReady(before, summary) };
}

function threeOf({ ready, reconciling, stalled }: Summary<string>): Record<string, Statement> {
  return { Ready: ready, Reconciling: reconciling, Stalled: stalled };
}
