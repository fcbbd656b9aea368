import type { z } from "zod";
import { OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import type { KubeObject, ResourceType } from "../../lib/kube/types.ts";
import type { Logger } from "../../lib/node/logger.ts";
import type { Operation } from "./reviews.ts";

/** What a webhook does for the API server. */
export type WebhookRole = "validating" | "mutating" | "conversion";

/** One path of the server: how a review that arrives there is answered. */
export interface Webhook {
  readonly role: WebhookRole;
  /** With a leading slash; also the value of the label `webhook` of the metrics. */
  readonly path: string;
  /** Kind in the version that its handler reads. */
  readonly type: ResourceType;
  /** When the API server asks; empty for a conversion. */
  readonly operations: readonly Operation[];
  /** Longest time for an answer: less than what the API server waits for it. */
  readonly deadlineMs: number;
  /** Longest body that is read. */
  readonly bodyBytesMax: number;
  /**
   * Answers a parsed review with a review.
   * @throws OperatorError when there is no answer; the API server then goes by the webhook's failure policy
   */
  answer(review: unknown, context: AnswerContext): Promise<object>;
}

/** What an answer may use. */
export interface AnswerContext {
  /** Aborted at the deadline, when the caller has gone, and when the server is cut off. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** A handler broke an invariant of the program: it threw something that is no OperatorError. */
  readonly onPanic: () => void;
}

/** A kind as webhooks see it: a `KindDefinition` of `crds` is one. */
export interface WebhookKind<Spec extends z.ZodType = z.ZodType> {
  readonly type: ResourceType;
  readonly spec: Spec;
}

/** An object whose spec is what the schema of its kind says; everything else is as it came. */
export type TypedObject<Spec extends z.ZodType> = KubeObject & { spec: z.output<Spec> };

/** `/validate-shieldx-dev-v1alpha1-shardset`, the form that kubebuilder made common. */
export function webhookPath(verb: string, { group, version, kind }: ResourceType, withVersion = true): string {
  const parts = [verb, group.replaceAll(".", "-"), ...(withVersion ? [version] : []), kind.toLowerCase()];
  return `/${parts.join("-")}`;
}

/**
 * Runs a handler and makes an OperatorError of whatever it throws. The words of a foreign error are for the log alone:
 * nobody has checked that they hold no secret.
 */
export async function guardHandler<T>(
  where: { readonly what: string; readonly uid: string; readonly context: AnswerContext },
  handler: () => T | Promise<T>,
): Promise<T> {
  const { what, uid, context } = where;
  try {
    return await handler();
  } catch (thrown) {
    if (thrown instanceof OperatorError) {
      context.log.warn({ uid, code: thrown.code, error: thrown.message }, `${what} failed`);
      throw thrown;
    }
    context.onPanic();
    context.log.error({ uid, error: toOperatorError(thrown).message, stack: (thrown as Error).stack }, `${what} broke`);
    throw new OperatorError("WEBHOOK_FAILED", `${what} broke; the operator's log has the cause under uid ${uid}`, {
      cause: thrown,
    });
  }
}
