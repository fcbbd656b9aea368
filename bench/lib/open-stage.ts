import type { Stage } from "./stage.ts";

/**
 * The cluster, or this machine alone for development; only the one that is asked for is loaded.
 * @param settings of the local PostgreSQL, over those of a shard
 */
export async function openStage(local: boolean, settings: Readonly<Record<string, string>> = {}): Promise<Stage> {
  if (local) return (await import("./local-stage.ts")).openLocalStage({ settings });
  if (Object.keys(settings).length > 0) throw new Error("PostgreSQL takes settings from here with --local only");
  return (await import("./cluster-stage.ts")).openClusterStage();
}
