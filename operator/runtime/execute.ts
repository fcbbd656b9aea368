import { assertNever } from "../../lib/core/assert.ts";
import { OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import type { Logger } from "../../lib/node/logger.ts";
import type { Applier, WriteResult } from "../kube/apply.ts";
import type { EventRecorder } from "../kube/events.ts";
import type { Action, Outcome, Plan } from "./types.ts";

export interface ExecuteOptions {
  readonly applier: Applier;
  readonly recorder: EventRecorder;
  /** Counts actions for metrics. */
  readonly onAction?: (action: Action["type"], result: WriteResult | "failed") => void;
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

/**
 * An executor: actions in order, each at most one write, stop at the first failure and keep what succeeded. Any prefix
 * of a plan leaves a state from which the next plan goes on.
 */
export function createExecutor(options: ExecuteOptions): Execute {
  const { applier, recorder } = options;

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
      case "delete":
        return applier.remove(action, how);
      case "patch":
        return applier.patch(action, how);
      default:
        return assertNever(action);
    }
  };

  return async (run) => {
    let written = 0;
    for (const action of run.plan.actions) {
      try {
        if (run.signal.aborted) throw new OperatorError("ABORTED", "the reconcile was stopped between two writes");
        const result = await carryOut(action, run);
        options.onAction?.(action.type, result);
        if (result === "unchanged") continue;
        written += 1;
        run.log.info({ action: action.type, object: nameOf(action), note: action.note }, "written");
      } catch (thrown) {
        const error = toOperatorError(thrown);
        options.onAction?.(action.type, "failed");
        run.log.warn(
          { action: action.type, object: nameOf(action), note: action.note, code: error.code, error: error.message },
          "action failed",
        );
        return { written, error };
      }
    }
    return { written };
  };
}

function nameOf(action: Action): string {
  switch (action.type) {
    case "apply":
    case "create":
      return `${action.object.kind}/${action.object.metadata.name}`;
    case "delete":
    case "patch":
      return `${action.resource.kind}/${action.name}`;
    case "event":
      return action.reason;
    default:
      return assertNever(action);
  }
}
