/** Who has written the rules of a route: memory keeps no managed fields, so the server is asked, and only where somebody has. */
import { FIELD_MANAGER } from "../../../crds/group.ts";
import { isOperatorError } from "../../../lib/core/errors.ts";
import type { KubeObject, ObjectIdentity } from "../../../lib/kube/types.ts";
import type { ReconcileContext } from "../../../operator/runtime/types.ts";

type Asking = Pick<ReconcileContext, "live" | "log" | "signal">;

interface ManagedFields {
  readonly manager?: string;
  readonly time?: string;
  readonly fieldsV1?: { readonly "f:spec"?: { readonly "f:rules"?: unknown } };
}

/** Field manager of the last write to the rules that is not ours. Never fails: a reconcile does other things too. */
export async function readWriter(
  { resource, namespace, name }: ObjectIdentity,
  { live, log, signal }: Asking,
): Promise<string | undefined> {
  try {
    const { items } = await live.list(resource, { namespace, fieldSelector: `metadata.name=${name}`, signal });
    return items[0] && writerOf(items[0]);
  } catch (error) {
    if (!isOperatorError(error)) throw error;
    log.warn({ object: `${resource.kind}/${name}`, code: error.code, error: error.message }, "writers cannot be read");
    return undefined;
  }
}

export function writerOf({ metadata }: KubeObject): string | undefined {
  const managed = (metadata["managedFields"] ?? []) as readonly ManagedFields[];
  return managed
    .filter(({ manager, fieldsV1 }) => manager !== FIELD_MANAGER && fieldsV1?.["f:spec"]?.["f:rules"] !== undefined)
    .sort((a, b) => ((a.time ?? "") < (b.time ?? "") ? 1 : -1))[0]?.manager;
}
