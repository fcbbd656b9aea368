import { assertNever } from "../../lib/core/assert.ts";
import type { KubeObject, ObjectIdentity } from "../../lib/kube/types.ts";
import type { Action, Write } from "./types.ts";

/** Server-side apply of the whole desired object. */
export function apply(object: KubeObject, note: string): Write {
  return { type: "apply", object, note };
}

/** Create once; what exists stays as it is. */
export function create(object: KubeObject, note: string): Write {
  return { type: "create", object, note };
}

/** Delete what was observed, and nothing that took its name meanwhile. */
export function remove({ resource, namespace, name, uid }: ObjectIdentity, note: string): Write {
  return { type: "delete", resource, namespace, name, uid, note };
}

/** The same deletion, refused when somebody has changed the object since it was observed (KUBE_CONFLICT). */
export function removeUnchanged(
  object: ObjectIdentity & { readonly version?: string | undefined },
  note: string,
): Write {
  const { resource, namespace, name, uid, version } = object;
  return { type: "delete", resource, namespace, name, uid, resourceVersion: version, note };
}

/** The same write, waiting for nobody: one that undoes something, so that what it undoes cannot hold it up. */
export function urgent(action: Write): Write {
  return { ...action, urgent: true };
}

/** Tell the user once. */
export function tell(eventType: "Normal" | "Warning", reason: string, note: string): Action {
  return { type: "event", eventType, reason, note };
}

/**
 * The same step on its own: it is left out only when one of `needs` was not done, and its failure stops only what needs it.
 * Any other step needs all before it, and is needed by all after it.
 */
export function onItsOwn<A extends Action>(action: A, needs: readonly Action[] = []): A {
  return { ...action, needs: needs.map(nameOf) };
}

/** Steps on their own as a whole, one after the other: each needs those before it. */
export function inOrder(actions: readonly Action[]): readonly Action[] {
  return actions.map((action, index) => onItsOwn(action, actions.slice(0, index)));
}

/** What a step is about, by which others name it: `Kind/name`, or the reason of an event. */
export function nameOf(action: Action): string {
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
