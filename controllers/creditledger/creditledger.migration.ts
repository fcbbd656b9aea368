import { ANNOTATIONS } from "../../crds/group.ts";
import { formatRecord, type ObservedJob } from "./creditledger.facts.ts";
import { clustersOf, isOfOtherData } from "./creditledger.losses.ts";
import { migrationJob, migrationJobName } from "./creditledger.objects.ts";
import type { World } from "./creditledger.observe.ts";

/** The migration that belongs to this version of the ledger. */
export interface Migration {
  readonly name: string;
  readonly job: ObservedJob | undefined;
  /** The Job of this name, when it migrated databases that the shards have no more. */
  readonly former: ObservedJob | undefined;
  /** The Deployment says that it was done for the shards' present databases, whatever became of the Job. */
  readonly isRecorded: boolean;
  /** What the Deployment is to say of it, once it is done. */
  readonly record: string;
}

/**
 * A failed migration Job is made anew after this time: most causes are an outage that somebody ended meanwhile, and a person
 * who ended it watches for two minutes. Between its own attempts the Job waits up to 80 s.
 */
export const MIGRATION_RETRY_SECONDS = 60;

/** The current migration; its name is unknown until the admin key exists. */
export function currentMigration(world: World): Migration | undefined {
  const { adminKey, target, jobs } = world;
  if (adminKey?.value === undefined) return undefined;
  const name = migrationJobName(target, adminKey.value);
  const job = jobs.find((known) => known.name === name);
  const now = clustersOf(world);
  const isFormer = job !== undefined && isOfOtherData(job, now);
  const recorded = world.deployment?.migration;
  const isRecorded = recorded?.name === name && !isOfOtherData(recorded, now);
  const clusters = job === undefined || isFormer ? recorded?.clusters : job.clusters;
  return {
    name,
    job: isFormer ? undefined : job,
    former: isFormer ? job : undefined,
    isRecorded,
    record: formatRecord({ name, clusters: now.map((cluster, shard) => cluster ?? clusters?.[shard] ?? "") }),
  };
}

/**
 * True for a Job that runs, or tries to, with pods that the spec wants otherwise: elsewhere, with other pull secrets, other
 * limits. A Job cannot change its pods, and one that cannot run would keep the ledger waiting for ever.
 */
export function isOutdated({ target }: World, { state, configHash }: ObservedJob): boolean {
  if (state !== "running" || configHash === undefined) return false;
  return configHash !== migrationJob(target, "", []).metadata.annotations?.[ANNOTATIONS.configHash];
}

/** Whole seconds until a Job that failed may be made anew. @param now milliseconds since the epoch */
export function retryInSeconds({ failedAt }: ObservedJob, now: number): number {
  if (failedAt === undefined) return 0;
  return Math.max(0, Math.ceil((failedAt + MIGRATION_RETRY_SECONDS * 1_000 - now) / 1_000));
}
