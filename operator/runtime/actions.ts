import type { KubeObject, ResourceType } from "../../lib/kube/types.ts";
import type { Action } from "./types.ts";

/** Something that exists and is to go: the very object that was observed. */
export interface Removable {
  readonly resource: ResourceType;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string | undefined;
}

/** Server-side apply of the whole desired object. */
export function apply(object: KubeObject, note: string): Action {
  return { type: "apply", object, note };
}

/** Create once; what exists stays as it is. */
export function create(object: KubeObject, note: string): Action {
  return { type: "create", object, note };
}

/** Delete what was observed, and nothing that took its name meanwhile. */
export function remove({ resource, namespace, name, uid }: Removable, note: string): Action {
  return { type: "delete", resource, namespace, name, uid, note };
}

/** Tell the user once. */
export function tell(eventType: "Normal" | "Warning", reason: string, note: string): Action {
  return { type: "event", eventType, reason, note };
}
