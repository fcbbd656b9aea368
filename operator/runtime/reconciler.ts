import { ANNOTATIONS } from "../../crds/group.ts";
import { isOperatorError, toOperatorError } from "../../lib/core/errors.ts";
import type { KubeObject, ResourceType } from "../../lib/kube/types.ts";
import { type AsideRunner, createAsideRunner, isRefusal } from "./aside.ts";
import type { WithConditions } from "./conditions.ts";
import { failuresOf } from "./failures.ts";
import { hasFinalizer, isLetGo, letsGo, otherFinalizers, removeFinalizer, withFinalizer } from "./finalizers.ts";
import { type Report, type Run, type Told, tellFailure, tellReport } from "./report.ts";
import { leftTo } from "./summary.ts";
import type { Controller, Outcome, Plan, ReconcileContext, Result, StepFailures } from "./types.ts";

/*
 * The reconcile that every kind has, drawn in docs/lifecycle.md:
 *
 *   observe ──► make ──► assess ──► plan ──► execute ──► aside ──► report ──► status ──► events
 *
 * A kind says what it reads, what it makes, what that means, what it wants and what it tells. What all kinds have in common
 * is here: the finalizer goes on first and off last, a paused resource is left alone, the status is written once (also
 * after a failure of any step), and events follow the status.
 */

/** What a kind does in each step. */
export interface Kind<T extends KubeObject, Observed, Assessment, Made = undefined> {
  readonly resource: ResourceType<T>;
  /**
   * False for a kind of which nothing is left to do when an object goes: all that it makes carries an owner reference. It
   * gets no finalizer, which is one write less for each object, unless a plan asks for one. True unless told.
   */
  readonly holdsDeletion?: boolean;
  /** Reads everything once, from memory and from whoever is asked for his state. Writes and decides nothing. */
  observe(object: T, context: ReconcileContext): Observed | Promise<Observed>;
  /**
   * What takes randomness or keys (passwords, certificates), where it is missing or due.
   * @param now milliseconds since the epoch, here and below
   */
  make?(observed: Observed, now: number): Made | Promise<Made>;
  /** What is so: states, problems, sizes, wanted objects. Pure, and the one place where they are computed. */
  assess(observed: Observed, made: Made, now: number): Assessment;
  /** What to do next, without the finalizer. For an object that is being deleted: the clean-up. Pure. */
  plan(assessment: Assessment, now: number): Plan;
  /** Work that nothing waits for and that the server may refuse; done after the plan, whatever became of that. Pure. */
  aside?(assessment: Assessment): Plan;
  /** Where the resource stands, and its status. */
  report(assessment: Assessment, run: Run, context: ReconcileContext): Report;
}

/** One reconcile of one object. */
interface Visit<T extends KubeObject> {
  readonly object: T & WithConditions;
  readonly context: ReconcileContext;
  readonly now: number;
  /** Annotation `shieldx.dev/paused` is "true". */
  readonly paused: boolean;
}

/** What a visit has decided and done, before anybody is told. */
interface Done {
  readonly plan: Plan;
  readonly report: Report;
  readonly run: Run;
  /** What became of the plan, and of the work aside. */
  readonly outcomes: readonly [Pick<Outcome, "error" | "steps">, Pick<Outcome, "error" | "steps">];
}

/** The reconcile of a kind. Between two runs it remembers only which work aside the server refused. */
export function createReconciler<T extends KubeObject, Observed, Assessment, Made = undefined>(
  kind: Kind<T, Observed, Assessment, Made>,
): Controller<T>["reconcile"] {
  const aside = createAsideRunner();
  return async (key, context): Promise<Result> => {
    const object = context.cache.get(kind.resource, key.namespace, key.name);
    // Gone, or held by somebody else's finalizer: our part is done.
    if (object === undefined || isLetGo(object)) return {};
    const visit: Visit<T> = { object, context, now: context.clock.now(), paused: isPaused(object) };
    let done: Done | undefined;
    try {
      done = await carryOut(kind, visit, aside);
    } catch (thrown) {
      // A broken invariant or an input that nobody expected: the user reads of it as of any other failure.
      await tellOf(visit, thrown);
      throw thrown;
    }
    // The object may be gone with its finalizer: there is no status to write.
    if (done === undefined) return {};
    const { plan, report, outcomes } = done;
    const { run } = done;
    const untold = await tell(visit, tellReport(object, report, run)).catch(async (thrown: unknown) => {
      // The server refuses the whole status for one of its values, which somebody else wrote: the conditions tell of it.
      if (!isOperatorError(thrown, "KUBE_INVALID")) throw thrown;
      await tellOf(visit, thrown);
      return thrown;
    });
    return {
      ...soonest(plan.requeueAfterSeconds, report.requeueAfterSeconds),
      ...failureOf(outcomes, untold),
    };
  };
}

/** Every step up to the report. @returns `undefined` when the object was let go */
async function carryOut<T extends KubeObject, Observed, Assessment, Made>(
  kind: Kind<T, Observed, Assessment, Made>,
  visit: Visit<T>,
  aside: AsideRunner,
): Promise<Done | undefined> {
  const { object, context, now, paused } = visit;
  const observed = await kind.observe(object, context);
  const made = (await kind.make?.(observed, now)) as Made;
  const assessment = kind.assess(observed, made, now);
  const planned = paused ? NOTHING : kind.plan(assessment, now);
  const isHeld = !paused && (kind.holdsDeletion !== false || planned.holdsDeletion === true || hasFinalizer(object));
  const plan = isHeld ? withFinalizer(object, kind.resource, planned) : planned;
  const holders = letsGo(object, plan) ? otherFinalizers(object) : [];
  const cleaned = await context.execute(object, holders.length === 0 ? plan : planned);
  // Our finalizer went with the plan.
  if (holders.length === 0 && cleaned.error === undefined && letsGo(object, plan)) return undefined;
  const isLast = isHeld && isDone(object, { plan, error: cleaned.error });
  const outcome = isLast ? await release(visit, { kind, assessment, holders }) : cleaned;
  const { error } = outcome;
  if (error === undefined && isLast) return undefined;
  const beside = paused ? {} : await aside.run(object, kind.aside?.(assessment) ?? NOTHING, context);
  const run = { now, paused, error, asideError: beside.error };
  return { plan, report: kind.report(assessment, run, context), run, outcomes: [outcome, beside] };
}

/**
 * True when nothing is left to do for an object that is being deleted: the clean-up succeeded, or all that it still wanted
 * cannot be made in a namespace that is being deleted, with which everything goes.
 */
function isDone(
  object: KubeObject,
  { plan, error }: { readonly plan: Plan; readonly error: Error | undefined },
): boolean {
  if (object.metadata.deletionTimestamp === undefined) return false;
  if (error === undefined) return letsGo(object, plan);
  return failuresOf(error).every(({ code }) => code === "KUBE_NAMESPACE_ENDING");
}

/** Lets an object go. Where others still hold it, its status says so first: afterwards nobody writes it any more. */
async function release<T extends KubeObject, Observed, Assessment, Made>(
  { object, context, now, paused }: Visit<T>,
  about: {
    readonly kind: Kind<T, Observed, Assessment, Made>;
    readonly assessment: Assessment;
    readonly holders: readonly string[];
  },
): Promise<Outcome> {
  const { kind, assessment, holders } = about;
  if (holders.length > 0) {
    const run = { now, paused, error: undefined, asideError: undefined };
    const report = { ...kind.report(assessment, run, context), state: leftTo(holders) };
    await tell({ object, context }, tellReport(object, report, run));
  }
  const { namespace = "", name } = object.metadata;
  // The status has given it another version.
  const latest = context.cache.get(kind.resource, namespace, name);
  return latest === undefined
    ? { written: 0 }
    : context.execute(latest, { actions: removeFinalizer(latest, kind.resource) });
}

/** The failure of a run: what the plan or the work aside failed with, unless that was refused, else what was not told. */
function failureOf([planned, beside]: Done["outcomes"], untold: Error | undefined): Pick<Result, "error" | "steps"> {
  const outcomes = [planned, isRefusal(beside.error) ? {} : beside].filter(({ error }) => error !== undefined);
  const error = outcomes[0]?.error ?? untold;
  if (error === undefined) return {};
  // One that concerns more than a step makes the whole key wait.
  if (untold !== undefined || outcomes.some(({ steps }) => steps === undefined)) return { error };
  const { retryAfterSeconds } = soonestRetry(outcomes.flatMap(({ steps }) => steps ?? []));
  const isNews = outcomes.some(({ steps }) => steps?.isNews === true);
  return { error, steps: { isNews, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) } };
}

function soonestRetry(steps: readonly StepFailures[]): Pick<StepFailures, "retryAfterSeconds"> {
  const times = steps.flatMap(({ retryAfterSeconds }) => retryAfterSeconds ?? []);
  return times.length === 0 ? {} : { retryAfterSeconds: Math.min(...times) };
}

/** Writes the status, then tells. @returns what kept it from telling */
async function tell(
  { object, context }: Pick<Visit<KubeObject>, "object" | "context">,
  told: Told | undefined,
): Promise<Error | undefined> {
  if (told === undefined) return undefined;
  await context.patchStatus(object, told.status);
  return (await context.execute(object, { actions: told.events })).error;
}

/** Tells of a failure on top of what the status said before. */
async function tellOf({ object, context, now, paused }: Visit<KubeObject>, thrown: unknown): Promise<void> {
  const before = { ...object, status: context.statedStatus(object) };
  const told = tellFailure(before, toOperatorError(thrown), { now, paused });
  await tell({ object, context }, told).catch((untold: unknown) => {
    context.log.warn({ error: toOperatorError(untold).message }, "a failure could not be told in the status");
  });
}

const NOTHING: Plan = { actions: [] };

/** True for a resource that its user takes out of our hands for a while. */
export function isPaused({ metadata }: KubeObject): boolean {
  return metadata.annotations?.[ANNOTATIONS.paused] === "true";
}

/** The soonest of the times that somebody asked for; 0 asks for nothing. */
function soonest(...wanted: readonly (number | undefined)[]): Pick<Result, "requeueAfterSeconds"> {
  const asked = wanted.filter((seconds) => seconds !== undefined && seconds > 0) as number[];
  return asked.length === 0 ? {} : { requeueAfterSeconds: Math.min(...asked) };
}
