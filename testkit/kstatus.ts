import type { KubeObject } from "../lib/kube/types.ts";

/** What kstatus makes of a resource (sigs.k8s.io/cli-utils, pkg/kstatus/status). */
export type KStatus = "Current" | "InProgress" | "Failed" | "Terminating";

interface Told {
  readonly observedGeneration?: number;
  readonly conditions?: readonly { readonly type: string; readonly status: string }[];
}

/**
 * The published rules of kstatus for a kind that it does not know, in their order: deletion, generation, the first of
 * Reconciling and Stalled that is True, then Ready; whatever says nothing is Current.
 */
export function kstatusOf({ metadata, ...object }: KubeObject): KStatus {
  const { observedGeneration, conditions = [] } = (object["status"] ?? {}) as Told;
  if (metadata.deletionTimestamp !== undefined) return "Terminating";
  if (observedGeneration !== undefined && observedGeneration !== metadata.generation) return "InProgress";
  for (const { type, status } of conditions) {
    if (type === "Reconciling" && status === "True") return "InProgress";
    if (type === "Stalled" && status === "True") return "Failed";
  }
  const ready = conditions.find(({ type }) => type === "Ready");
  return ready === undefined || ready.status === "True" ? "Current" : "InProgress";
}
