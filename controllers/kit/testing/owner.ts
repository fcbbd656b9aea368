import { SHARD_SET } from "../../../crds/shardset.ts";
import { type KubeObject } from "../../../lib/kube/types.ts";
import type { Action } from "../../../operator/runtime/types.ts";
import { type Owner, ownerOf } from "../objects.ts";

/** Some resource that owns objects. */
export const OWNER: Owner = ownerOf(
  SHARD_SET,
  { apiVersion: "v1", kind: "ShardSet", metadata: { name: "bank", namespace: "demo", uid: "uid-bank" } },
  "shard",
);

/** Actions as lines: what is done to what, and why. */
export function linesOf(actions: readonly Action[]): string[] {
  return actions.map((action) => {
    if (action.type === "event") return `event ${action.reason}: ${action.note}`;
    const what =
      "object" in action
        ? `${action.object.kind} ${action.object.metadata.name}`
        : `${action.resource.kind} ${action.name}`;
    return `${action.type} ${what}: ${action.note}`;
  });
}

/** The object of an action that writes one. @throws Error for another action */
export function objectOf(action: Action | undefined): KubeObject {
  if (action === undefined || !("object" in action)) throw new Error("the action writes no object");
  return action.object;
}
