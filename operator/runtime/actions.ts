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

/** The same write, waiting for nobody: one that undoes something, so that what it undoes cannot hold it up. */
export function urgent(action: Write): Write {
  return { ...action, urgent: true };
}

/** Tell the user once. */
export function tell(eventType: "Normal" | "Warning", reason: string, note: string): Action {
  return { type: "event", eventType, reason, note };
}
