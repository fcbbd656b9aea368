import type { Stage } from "./stage.ts";

/** The cluster, or this machine alone for development; only the one that is asked for is loaded. */
export async function openStage(local: boolean): Promise<Stage> {
  if (local) return (await import("./local-stage.ts")).openLocalStage();
  return (await import("./cluster-stage.ts")).openClusterStage();
}
