import { ANNOTATIONS } from "../../crds/group.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import type { Owner } from "./objects.ts";

// How people give up data that is lost: by an annotation whose value names exactly what is given up. Each token holds the
// epoch of the Lease under which the loss was seen, so it fits once: what stays on the resource, or in a repository that it
// is applied from, gives nothing up a second time.

/** A loss, and what became of it. */
export interface DataLoss {
  /** Somebody put its token on the resource. */
  readonly isGivenUp: boolean;
  /** What to run to give the data up, for messages. */
  readonly command: string;
}

/** @param named what names the loss, for example shard, system identifier and epoch; together they are its token */
export function dataLoss(
  { metadata }: KubeObject,
  { resource, namespace, name }: Owner,
  named: readonly (string | number)[],
): DataLoss {
  const token = named.join(":");
  const text = metadata.annotations?.[ANNOTATIONS.acceptDataLoss] ?? "";
  const what = `${resource.kind.toLowerCase()} ${name} -n ${namespace}`;
  return {
    isGivenUp: text.split(",").some((part) => part.trim() === token),
    command: `kubectl annotate --overwrite ${what} ${ANNOTATIONS.acceptDataLoss}=${token}`,
  };
}
