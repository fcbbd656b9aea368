import { assertNever } from "../../lib/core/assert.ts";
import { type ErrorCode, OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import type { Logger } from "../../lib/node/logger.ts";
import type { Applier, WriteResult } from "../kube/apply.ts";
import type { EventRecorder } from "../kube/events.ts";
import { nameOf } from "./actions.ts";
import { combined } from "./failures.ts";
import type { StepRetries } from "./step-retries.ts";
import type { Action, Outcome, Plan } from "./types.ts";

export interface ExecuteOptions {
  readonly applier: Applier;
  readonly recorder: EventRecorder;
  /** Keeps steps that failed from being sent again too soon; without it nothing waits. */
  readonly retries?: StepRetries;
  /** Counts what was tried. */
  readonly onAction?: (action: Action, result: WriteResult | "failed") => void;
}

/** One run of a plan. */
export interface ExecuteRun {
  /** On whose behalf; names of other owners are never written over. */
  readonly owner: KubeObject;
  readonly plan: Plan;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** Carries plans out. */
export type Execute = (run: ExecuteRun) => Promise<Outcome>;

/** Failures of the server or of this process: whatever else the plan asks for would fail too. */
const OF_ALL: readonly ErrorCode[] = ["ABORTED", "LEASE_LOST", "KUBE_THROTTLED", "KUBE_UNAUTHORIZED"];
/**
 * One step without an answer may wait for a webhook of its own; after this many in a row the server is away, and each further
 * one would cost its deadline.
 */
const UNREACHABLE_MAX = 2;

/** What became of the steps so far. */
interface Progress {
  written: number;
  /** Failures of steps, those that wait included. */
  readonly failures: OperatorError[];
  /** Names of the steps that failed or were left out. */
  readonly undone: Set<string>;
  readonly failed: Action[];
  /** A step that all after it need was not done. */
  isStopped: boolean;
  /** The namespace is being deleted: nothing new can be made in it, and what is in it goes. */
  isEnding: boolean;
  /** What ended the run: no failure of a step. */
  end: OperatorError | undefined;
  /** Something failed now, and not only waits. */
  isNews: boolean;
  unreachable: number;
}

/**
 * An executor: actions in order, each at most one write. One that fails stops those that need it, and no other; what
 * succeeded stays. Any part of a plan leaves a state from which the next plan goes on.
 */
export function createExecutor(options: ExecuteOptions): Execute {
  const { applier, recorder, retries } = options;

  const carryOut = (action: Action, run: ExecuteRun): Promise<WriteResult> => {
    const { owner, signal } = run;
    if (action.type === "event") {
      return recorder.record(owner, action, signal).then((wrote) => (wrote ? "written" : "unchanged"));
    }
    const how = { signal, urgent: action.urgent };
    switch (action.type) {
      case "apply":
        return applier.apply(owner, action.object, how);
      case "create":
        return applier.create(owner, action.object, how);
      case "handOver":
        return applier.handOver(owner, action.object, how);
      case "delete":
        return applier.remove(action, how);
      case "patch":
        return applier.patch(action, how);
      default:
        return assertNever(action);
    }
  };

  /** @returns what the step failed with */
  const attempt = async (action: Action, run: ExecuteRun, progress: Progress): Promise<OperatorError | undefined> => {
    const waits = retries?.waiting(run.owner, action);
    if (waits !== undefined) return waits;
    const line = { action: action.type, object: nameOf(action), note: action.note };
    try {
      if (run.signal.aborted) throw new OperatorError("ABORTED", "the reconcile was stopped between two writes");
      const result = await carryOut(action, run);
      options.onAction?.(action, result);
      retries?.succeeded(run.owner, action);
      progress.unreachable = 0;
      if (result === "written") {
        progress.written += 1;
        run.log.info(line, "written");
      }
      return undefined;
    } catch (thrown) {
      const error = toOperatorError(thrown);
      options.onAction?.(action, "failed");
      run.log.warn({ ...line, code: error.code, error: error.message }, "action failed");
      progress.isNews = true;
      progress.unreachable = error.code === "KUBE_UNREACHABLE" ? progress.unreachable + 1 : 0;
      const isOfAll = OF_ALL.includes(error.code) || progress.unreachable >= UNREACHABLE_MAX;
      if (isOfAll || action.type === "event") progress.end = error;
      else retries?.failed(run.owner, action, error);
      return error;
    }
  };

  return async (run) => {
    const { actions } = run.plan;
    const progress: Progress = {
      written: 0,
      failures: [],
      undone: new Set(),
      failed: [],
      isStopped: false,
      isEnding: false,
      end: undefined,
      isNews: false,
      unreachable: 0,
    };
    for (const action of actions) {
      const wanted = isWanted(action, progress);
      const error = wanted ? await attempt(action, run, progress) : undefined;
      if (wanted && error === undefined) continue;
      progress.undone.add(nameOf(action));
      if (action.needs === undefined) progress.isStopped = true;
      if (error === undefined) continue;
      if (error.code === "KUBE_NAMESPACE_ENDING") progress.isEnding = true;
      progress.failures.push(error);
      progress.failed.push(action);
      if (progress.end !== undefined) break;
    }
    return outcomeOf(progress, () => retries?.nextSeconds(run.owner, progress.failed));
  };
}

/** False for a step that needs one that was not done, and for what nobody can make any more. */
function isWanted({ type, needs }: Action, { undone, isStopped, isEnding }: Progress): boolean {
  if (isStopped || (isEnding && (type === "apply" || type === "create"))) return false;
  return needs === undefined ? undone.size === 0 : !needs.some((name) => undone.has(name));
}

function outcomeOf({ written, failures, end, isNews }: Progress, nextSeconds: () => number | undefined): Outcome {
  if (failures.length === 0) return { written };
  const error = combined(end === undefined ? failures : [end, ...failures.filter((failure) => failure !== end)]);
  if (end !== undefined) return { written, error };
  const after = nextSeconds();
  return { written, error, steps: { isNews, ...(after === undefined ? {} : { retryAfterSeconds: after }) } };
}
