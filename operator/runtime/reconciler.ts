import { ANNOTATIONS } from "../../crds/group.ts";
import type { KubeObject, ResourceType } from "../../lib/kube/types.ts";
import { createAsideRunner, isRefusal } from "./aside.ts";
import { isLetGo, letsGo, withFinalizer } from "./finalizers.ts";
import type { Action, Controller, Plan, ReconcileContext, Result } from "./types.ts";

/*
 * The reconcile that every kind has, drawn in docs/lifecycle.md. A kind says what it reads, what it wants and what it
 * tells; that the finalizer is on first and off last, that a paused resource is left alone, that the status is written
 * once and also after a failure, that an event follows the status and that the failure is thrown at the end, is here.
 */

/** What a kind decides. `Scope` is all that its decisions are made from. */
export interface Kind<T extends KubeObject, Scope> {
  readonly resource: ResourceType<T>;
  /**
   * Reads everything once, and makes what must be made (keys, certificates). Writes nothing.
   * @param now milliseconds since the epoch, here and below
   */
  observe(object: T, context: ReconcileContext, now: number): Scope | Promise<Scope>;
  /** What to do next, without the finalizer. For an object that is being deleted: the clean-up. */
  plan(scope: Scope, now: number): Plan;
  /** Work that nothing waits for and that the server may refuse; done after the plan, whatever became of that. */
  aside?(scope: Scope): Plan;
  /** The whole status, and what to tell. */
  report(scope: Scope, run: Run, context: ReconcileContext): Report;
}

/** What became of the reconcile that a report is about. */
export interface Run {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Annotation `shieldx.dev/paused` is "true": nothing was planned. */
  readonly paused: boolean;
  /** The failure that stopped the plan; `failureState` says what it means for the conditions. */
  readonly error: Error | undefined;
  /** Why the work aside was not done. */
  readonly asideError: Error | undefined;
}

export interface Report {
  readonly status: Readonly<Record<string, unknown>>;
  /** Events, told after the status was written. */
  readonly events: readonly Action[];
  /** Look again after this time, if that is sooner than the plan's. */
  readonly requeueAfterSeconds?: number;
}

/** The reconcile of a kind. It has nothing to remember between two runs but what was refused. */
export function createReconciler<T extends KubeObject, Scope>(kind: Kind<T, Scope>): Controller<T>["reconcile"] {
  const aside = createAsideRunner();
  return async (key, context): Promise<Result> => {
    const object = context.cache.get(kind.resource, key.namespace, key.name);
    // Gone, or held by somebody else's finalizer: our part is done.
    if (object === undefined || isLetGo(object)) return {};
    const now = context.clock.now();
    const scope = await kind.observe(object, context, now);
    const paused = isPaused(object);
    const plan = paused ? NOTHING : withFinalizer(object, kind.resource, kind.plan(scope, now));
    const { error } = await context.execute(object, plan);
    // The object may be gone with its finalizer: there is no status to write.
    if (error === undefined && letsGo(object, plan)) return {};
    const asideError = paused ? undefined : await aside.run(object, kind.aside?.(scope) ?? NOTHING, context);

    const { status, events, requeueAfterSeconds } = kind.report(scope, { now, paused, error, asideError }, context);
    await context.patchStatus(object, status);
    const told = await context.execute(object, { actions: events });

    const failure = error ?? (isRefusal(asideError) ? undefined : asideError) ?? told.error;
    if (failure !== undefined) throw failure;
    return soonest(plan.requeueAfterSeconds, requeueAfterSeconds);
  };
}

const NOTHING: Plan = { actions: [] };

/** True for a resource that its user takes out of our hands for a while. */
export function isPaused({ metadata }: KubeObject): boolean {
  return metadata.annotations?.[ANNOTATIONS.paused] === "true";
}

/** The soonest of the times that somebody asked for; 0 asks for nothing. */
function soonest(...wanted: readonly (number | undefined)[]): Result {
  const asked = wanted.filter((seconds) => seconds !== undefined && seconds > 0) as number[];
  return asked.length === 0 ? {} : { requeueAfterSeconds: Math.min(...asked) };
}
