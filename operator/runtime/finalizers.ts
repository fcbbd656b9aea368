import { FINALIZER } from "../../crds/group.ts";
import type { KubeObject, ResourceType } from "../../lib/kube/types.ts";
import type { Action, Plan } from "./types.ts";

/*
 * A finalizer goes on with the first write for an object, before any effect that would outlive it, and comes off with the
 * last one, when the clean-up has succeeded. An object that is deleted and does not carry it is not ours any more.
 */

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

/** Finalizers of others, which hold the object also without ours. */
export function otherFinalizers(object: KubeObject): readonly string[] {
  return (object.metadata.finalizers ?? []).filter((finalizer) => finalizer !== FINALIZER);
}

/** True for an object that is being deleted and that we have nothing to do with any more. */
export function isLetGo(object: KubeObject): boolean {
  return object.metadata.deletionTimestamp !== undefined && !hasFinalizer(object);
}

/** True when carrying the plan out for `object` takes our finalizer off: the object may be gone after it. */
export function letsGo(object: KubeObject, plan: Plan): boolean {
  return object.metadata.deletionTimestamp !== undefined && plan.isCleanedUp === true;
}

/**
 * The plan with our finalizer around it: on before everything else while the object lives, off after everything else when
 * the plan says that the clean-up ends with it. Neither step says what it needs, so nothing is done without the first, and the
 * last is done only after all others.
 */
export function withFinalizer(object: KubeObject, resource: ResourceType, plan: Plan): Plan {
  const off = letsGo(object, plan) ? removeFinalizer(object, resource) : [];
  return { ...plan, actions: [...ensureFinalizer(object, resource), ...plan.actions, ...off] };
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
