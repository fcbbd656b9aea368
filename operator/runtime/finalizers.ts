import { FINALIZER } from "../../crds/group.ts";
import type { KubeObject, ResourceType } from "../../lib/kube/types.ts";
import type { Action } from "./types.ts";

/** True when our finalizer is on the object: deletion waits for us. */
export function hasFinalizer(object: KubeObject): boolean {
  return object.metadata.finalizers?.includes(FINALIZER) === true;
}

/** Adds our finalizer; nothing when it is there, or when the object is being deleted (the server would refuse). */
export function ensureFinalizer(object: KubeObject, resource: ResourceType): readonly Action[] {
  if (hasFinalizer(object) || object.metadata.deletionTimestamp !== undefined) return [];
  const finalizers = [...(object.metadata.finalizers ?? []), FINALIZER];
  return [patchOf(object, resource, { finalizers, note: "hold the deletion until the clean-up is done" })];
}

/** Removes our finalizer and leaves those of others; nothing when it is not there. */
export function removeFinalizer(object: KubeObject, resource: ResourceType): readonly Action[] {
  if (!hasFinalizer(object)) return [];
  const finalizers = (object.metadata.finalizers ?? []).filter((finalizer) => finalizer !== FINALIZER);
  return [patchOf(object, resource, { finalizers, note: "clean-up is done: let the deletion go on" })];
}

function patchOf(
  object: KubeObject,
  resource: ResourceType,
  change: { readonly finalizers: readonly string[]; readonly note: string },
): Action {
  const { namespace = "", name, resourceVersion } = object.metadata;
  return {
    type: "patch",
    resource,
    namespace,
    name,
    // The list is replaced as a whole: the version makes the server refuse when somebody changed it meanwhile.
    patch: {
      metadata: { finalizers: change.finalizers, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
    },
    note: change.note,
  };
}
