/** Whether a Service of the user's could answer requests without the pods of a Rollout. */
import { isOperatorError } from "../../../lib/core/errors.ts";
import { type KubeObject, RESOURCES } from "../../../lib/kube/types.ts";
import type { ReconcileContext } from "../../../operator/runtime/types.ts";
import { ownLabels } from "../../kit/objects.ts";
import type { Target } from "../rollout.names.ts";

type Asking = Pick<ReconcileContext, "live" | "log" | "signal" | "cache">;

/** Label by which the slices of a Service are found. */
const SERVICE_LABEL = "kubernetes.io/service-name";

interface SliceShape {
  readonly endpoints?: readonly {
    readonly conditions?: { readonly ready?: boolean };
    readonly targetRef?: { readonly kind?: string; readonly name?: string };
  }[];
}

/** Services of which it is known that they could answer. What cannot be read is asked for again by the next reconcile. */
export async function readServing(
  services: readonly string[],
  { owner }: Target,
  { live, log, signal, cache }: Asking,
): Promise<ReadonlySet<string>> {
  const { namespace } = owner;
  // A Service may select by labels that the pods of both versions have as well.
  const own = new Set(cache.list(RESOURCES.Pod, namespace, ownLabels(owner)).map(({ metadata }) => metadata.name));
  const answers = await Promise.all(
    [...new Set(services)].map(async (service) => {
      try {
        const labelSelector = `${SERVICE_LABEL}=${service}`;
        const { items } = await live.list(RESOURCES.EndpointSlice, { namespace, labelSelector, signal });
        return items.some((slice) => hasEndpoint(slice, own)) ? [service] : [];
      } catch (error) {
        if (!isOperatorError(error)) throw error;
        log.warn({ service, code: error.code, error: error.message }, "endpoints cannot be read");
        return [];
      }
    }),
  );
  return new Set(answers.flat());
}

function hasEndpoint(slice: KubeObject, own: ReadonlySet<string>): boolean {
  const { endpoints = [] } = slice as SliceShape & KubeObject;
  return endpoints.some(
    // As the API says: what is not told is ready.
    ({ conditions, targetRef }) => conditions?.ready !== false && !own.has(targetRef?.name ?? ""),
  );
}
