import type { KubeObject, ObjectIdentity } from "../../lib/kube/types.ts";
import type { Action, Write } from "./types.ts";

// The steps that a plan is made of. Each stands on its own: it is left out only when one of the steps that it `needs` was not
// done, and its failure stops only what needs it.

/** Server-side apply of the whole desired object. */
export function apply(object: KubeObject, note: string, needs: readonly Action[] = []): Write {
  return { type: "apply", object, note, needs: needs.map(nameOf) };
}

/** Create once; what exists stays as it is. */
export function create(object: KubeObject, note: string, needs: readonly Action[] = []): Write {
  return { type: "create", object, note, needs: needs.map(nameOf) };
}

/** Fields of an object that somebody else is to change from now on, as they are. */
export function handOver(object: KubeObject, note: string, needs: readonly Action[] = []): Write {
  return { type: "handOver", object, note, needs: needs.map(nameOf) };
}

/** Delete what was observed, and nothing that took its name meanwhile. */
export function remove(
  { resource, namespace, name, uid }: ObjectIdentity,
  note: string,
  needs: readonly Action[] = [],
): Write {
  return { type: "delete", resource, namespace, name, uid, note, needs: needs.map(nameOf) };
}

/** The same deletion, refused when somebody has changed the object since it was observed (KUBE_CONFLICT). */
export function removeUnchanged(
  object: ObjectIdentity & { readonly version?: string | undefined },
  note: string,
): Write {
  const { resource, namespace, name, uid, version } = object;
  return { type: "delete", resource, namespace, name, uid, resourceVersion: version, note, needs: [] };
}

/** Merge patch: only what `change` names, whoever's it is. */
export function patch(
  { resource, namespace, name }: Omit<ObjectIdentity, "uid">,
  { change, note }: { readonly change: Readonly<Record<string, unknown>>; readonly note: string },
  needs: readonly Action[] = [],
): Write {
  return { type: "patch", resource, namespace, name, patch: change, note, needs: needs.map(nameOf) };
}

/** The same write, waiting for nobody: one that undoes something, so that what it undoes cannot hold it up. */
export function urgent(action: Write): Write {
  return { ...action, urgent: true };
}

/** Tell the user once. */
export function tell(reason: string, note: string, needs: readonly Action[] = []): Action {
  return { type: "event", eventType: "Normal", reason, note, needs: needs.map(nameOf) };
}

/** Tell the user once what needs an eye. */
export function warn(reason: string, note: string, needs: readonly Action[] = []): Action {
  return { type: "event", eventType: "Warning", reason, note, needs: needs.map(nameOf) };
}

/** One stage after the other: each step needs all of the stages before its own. The steps of a list are one stage. */
export function inOrder(stages: readonly (Action | readonly Action[])[]): readonly Action[] {
  const before: Action[] = [];
  return stages.flatMap((stage) => {
    const needs = before.map(nameOf);
    const steps = [stage].flat();
    before.push(...steps);
    return steps.map((step) => ({ ...step, needs: [...needs, ...(step.needs ?? [])] }));
  });
}

/** What a step is about, by which others name it: `Kind/name`, or the reason of an event. */
export function nameOf(action: Action): string {
  switch (action.type) {
    case "apply":
    case "create":
      return `${action.object.kind}/${action.object.metadata.name}`;
    case "handOver":
      return `${action.object.kind}/${action.object.metadata.name}/handOver`;
    case "delete":
    case "patch":
      return `${action.resource.kind}/${action.name}`;
    case "event":
      return action.reason;
  }
}
