import { contentHash } from "../../lib/core/canonical.ts";
import { isOperatorError } from "../../lib/core/errors.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { createThrottle } from "./throttle.ts";
import type { Outcome, Plan, ReconcileContext } from "./types.ts";

/** Work beside the plan that nothing waits for, and that the server may refuse by its own rules. */
export interface AsideRunner {
  /**
   * Carries the actions out. A refusal is an answer rather than a failure: it is remembered, and the same actions are not
   * tried again for five minutes, in which somebody may have changed what refuses (a StorageClass, a quota, an RBAC rule).
   * @returns why they were not carried out, if so
   */
  run(owner: KubeObject, plan: Plan, context: ReconcileContext): Promise<Pick<Outcome, "error" | "steps">>;
}

const RETRY_SECONDS = 300;

/** A runner of one controller. */
export function createAsideRunner(): AsideRunner {
  const refusals = createThrottle<{ readonly asked: string; readonly error: Error }>(RETRY_SECONDS);
  return {
    run: async (owner, plan, context) => {
      const { uid = "" } = owner.metadata;
      if (plan.actions.length === 0) {
        refusals.forget(uid);
        return {};
      }
      const asked = contentHash(plan.actions);
      const last = refusals.last(uid, context.clock);
      if (last?.asked === asked) return { error: last.error };
      const outcome = await context.execute(owner, plan);
      const { error } = outcome;
      if (error !== undefined && isRefusal(error)) refusals.mark(uid, context.clock, { asked, error });
      return outcome;
    },
  };
}

/** The server understood and does not allow it; asking again at once would change nothing. */
export function isRefusal(error: Error | undefined): boolean {
  return isOperatorError(error, "KUBE_FORBIDDEN") || isOperatorError(error, "KUBE_INVALID");
}
