import type { KubeObject, ObjectIdentity } from "../../lib/kube/types.ts";
import type { Action } from "./types.ts";

/** Server-side apply of the whole desired object. */
export function apply(object: KubeObject, note: string): Action {
  return { type: "apply", object, note };
}

/** Create once; what exists stays as it is. */
export function create(object: KubeObject, note: string): Action {
  return { type: "create", object, note };
}

/** Delete what was observed, and nothing that took its name meanwhile. */
export function remove({ resource, namespace, name, uid }: ObjectIdentity, note: string): Action {
  return { type: "delete", resource, namespace, name, uid, note };
}

/** Tell the user once. */
export function tell(eventType: "Normal" | "Warning", reason: string, note: string): Action {
  return { type: "event", eventType, reason, note };
}
