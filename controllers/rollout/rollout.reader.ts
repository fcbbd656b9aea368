/** Reads what is to be copied from the server: memory holds nothing of it. */
import { isOperatorError } from "../../lib/core/errors.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import type { ReconcileContext } from "../../operator/runtime/types.ts";
import type { ReadSources } from "./rollout.copies.ts";
import { idOf } from "./rollout.references.ts";
import { contentOf, digestOf, type SourceContent } from "./rollout.sources.ts";
import type { Copy } from "./rollout.template.ts";

type Asking = Pick<ReconcileContext, "live" | "log" | "signal">;

/**
 * Content for these copies. Never fails, for a reconcile does other things too; what cannot be read now is asked for again
 * by the next one.
 */
export async function readSources(copies: readonly Copy[], namespace: string, context: Asking): Promise<ReadSources> {
  const read = await Promise.all(copies.map((copy) => readSource(copy, namespace, context)));
  const contents = read.flatMap((answer, index) => {
    const copy = copies[index];
    return copy === undefined || typeof answer === "string" ? [] : [[idOf(copy), answer] as const];
  });
  return { contents: new Map(contents), trouble: read.find((answer) => typeof answer === "string") };
}

/** @returns a sentence where it cannot be read, or is not what memory says any more */
async function readSource(
  { kind, source, digest }: Copy,
  namespace: string,
  { live, log, signal }: Asking,
): Promise<SourceContent | string> {
  const fieldSelector = `metadata.name=${source}`;
  try {
    const { items } = await live.list(RESOURCES[kind], { namespace, fieldSelector, signal });
    const content = items[0] && contentOf(items[0]);
    // It was changed a moment ago: the watch is about to tell, and another version is wanted then.
    if (content === undefined || digestOf(content) !== digest) return `${kind} ${source} is being changed`;
    return content;
  } catch (error) {
    if (!isOperatorError(error)) throw error;
    log.warn({ object: `${kind}/${source}`, code: error.code, error: error.message }, "configuration cannot be read");
    return `${kind} ${source} cannot be read: ${error.code}`;
  }
}
