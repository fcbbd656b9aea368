import type { CreditLedgerConditionType, CreditLedgerReason } from "../../crds/conditions.ts";
import type { DatabaseRequest } from "../../crds/database-request.ts";
import { type Meanings, type OwnConditions, type Says, statementsOf } from "../kit/conditions.ts";
import type { Trouble } from "../kit/explain/trouble.ts";
import { authorityCurrent } from "../kit/pki/conditions.ts";
import type { MadePki } from "../kit/pki/make.ts";
import type { ObservedJob } from "./creditledger.facts.ts";
import { shardsWithRequest } from "./creditledger.kept.ts";
import type { ShardLoss } from "./creditledger.losses.ts";
import type { Migration } from "./creditledger.migration.ts";
import type { World } from "./creditledger.observe.ts";
import { jobTrouble, withTrouble } from "./creditledger.troubles.ts";

// The gates between a ledger and its data, one function each. The plan opens them in this order, the status reports
// them as conditions, and both read the same sentence:
//
//   ShardSetReady ──► DatabaseReady ──► Migrated ──► Available

/** The conditions of a ledger beside the three that every kind has. */
export type LedgerConditions = OwnConditions<CreditLedgerConditionType, CreditLedgerReason>;

/** What the gates are computed from, besides the world. */
export interface GateFacts {
  /** The request that the ledger makes, once its passwords are in the cache. */
  readonly request: DatabaseRequest | undefined;
  readonly migration: Migration | undefined;
  /** Shards that have no writer. */
  readonly withoutWriter: readonly number[];
  readonly losses: readonly ShardLoss[];
  /** Why pods of the Deployment do not come up. */
  readonly podTrouble: Trouble | undefined;
  readonly pki: MadePki;
}

type Found = Says<CreditLedgerReason>;

const MEANINGS: Meanings<CreditLedgerReason> = {
  yes: ["ShardSetReady", "DatabaseReady", "Migrated", "Available", "AuthorityCurrent"],
};

/** All gates, in their order. */
export function ledgerConditions(world: World, facts: GateFacts): LedgerConditions {
  const { request, pki } = facts;
  const database = databaseReady(world, request);
  const found = {
    ShardSetReady: shardSetReady(world),
    DatabaseReady: database,
    Migrated: migrated(world, facts, database),
    Available: available(world, facts),
    AuthorityCurrent: authorityCurrent(pki),
  };
  return statementsOf(found, MEANINGS);
}

function shardSetReady({ shardSet, target }: World): Found {
  const name = target.spec.shardSet;
  if (shardSet === undefined) {
    return {
      reason: "ShardSetNotFound",
      message: `ShardSet ${name} does not exist in namespace ${target.owner.namespace}`,
    };
  }
  if (shardSet.metadata.deletionTimestamp !== undefined) {
    return { reason: "ShardSetDeleting", message: `ShardSet ${name} is being deleted and waits for this ledger` };
  }
  const own = shardSet.status?.conditions?.find(({ type }) => type === "Ready");
  if (own?.reason === "DataLost") return { reason: "DataLost", message: `ShardSet ${name}: ${own.message}` };
  const shards = target.shards.length;
  const ready = Math.min(shardSet.status?.shardsReady ?? 0, shards);
  const count = `${String(ready)} of ${String(shards)} shards of ShardSet ${name} accept writes`;
  if (ready >= shards) return { reason: "ShardSetReady", message: count };
  // What stands in the way is read here, not two resources further down.
  const down = shardSet.status?.shardStatuses?.find(({ ready: isReady, message }) => !isReady && message !== undefined);
  return {
    reason: "WaitingForShards",
    message: down === undefined ? count : `${count}; shard ${down.shard}: ${down.message}`,
  };
}

function databaseReady(world: World, request: DatabaseRequest | undefined): Found {
  const { shardSet, target, databaseTakenBy } = world;
  if (shardSet === undefined)
    return { reason: "WaitingForDatabase", message: `waits for ShardSet ${target.spec.shardSet}` };
  if (request === undefined)
    return { reason: "WaitingForDatabase", message: "the passwords of the database's roles are being made" };
  if (databaseTakenBy !== undefined) {
    return {
      reason: "DatabaseNameConflict",
      message: `Secret ${databaseTakenBy} asks for database ${request.database} too`,
    };
  }
  const shards = target.shards.length;
  const done = shardsWithRequest(world, request);
  const count = `database ${request.database} is ready on ${String(done)} of ${String(shards)} shards`;
  return done < shards ? { reason: "WaitingForDatabase", message: count } : { reason: "DatabaseReady", message: count };
}

function migrated(world: World, { migration, losses }: GateFacts, database: Found): Found {
  // Tables of a beginning in place of data that is lost would look like a ledger without a past.
  const elsewhere = losses.filter(({ isElsewhere }) => isElsewhere);
  if (elsewhere.length > 0) return { reason: "DataLost", message: inWords(elsewhere) };
  if (world.shardSet === undefined || migration === undefined) {
    return { reason: "WaitingForDatabase", message: "the migration waits for the database" };
  }
  const { name, job, former } = migration;
  if (former !== undefined) {
    const clusters = `PostgreSQL clusters ${former.clusters?.join(", ") ?? ""}`;
    return {
      reason: "Migrating",
      message: `Job ${name} was for ${clusters}, which the shards are not any more, and is made anew`,
    };
  }
  switch (job?.state) {
    case undefined:
      if (migration.isRecorded) return { reason: "Migrated", message: `Job ${name} succeeded` };
      return database.reason === "DatabaseReady"
        ? (failedBefore(world, name) ?? { reason: "Migrating", message: `Job ${name} is being created` })
        : { reason: "WaitingForDatabase", message: "the migration waits for the database" };
    case "running":
      return migrating(world, name, job);
    case "failed":
      return {
        reason: "MigrationFailed",
        message: `Job ${name} failed: ${job.message ?? "no reason given"}${lastWords(job)}`,
      };
    case "succeeded":
      return { reason: "Migrated", message: `Job ${name} succeeded` };
  }
}

function migrating(world: World, name: string, job: ObservedJob): Found {
  if (job.suspended) {
    const way = "set it to false, or delete the Job to have it made anew";
    return { reason: "StartBlocked", message: `Job ${name} is suspended (spec.suspend), so nothing migrates: ${way}` };
  }
  const before = failedBefore(world, name);
  const trouble = jobTrouble(job, world.clues);
  if (trouble !== undefined) {
    const reason = trouble.needsPerson ? "StartBlocked" : (before?.reason ?? "Migrating");
    return { reason, message: `Job ${name} waits: ${trouble.text}` };
  }
  if (before === undefined) return { reason: "Migrating", message: `Job ${name} is running${lastWords(job)}` };
  return job.failures === 0
    ? before
    : { reason: before.reason, message: `Job ${name} is tried again${lastWords(job)}` };
}

/**
 * What was told when a former Job of this name gave up. It stays told while the next one tries, so that nobody has to look
 * at the right moment to read why.
 */
function failedBefore({ ledger }: World, name: string): Found | undefined {
  const told = ledger.status?.conditions?.find(({ type }) => type === "Migrated");
  return told?.reason === "MigrationFailed" && told.message.startsWith(`Job ${name} `)
    ? { reason: "MigrationFailed", message: told.message }
    : undefined;
}

function lastWords({ failures, podMessage }: ObservedJob): string {
  if (failures === 0 && podMessage === undefined) return "";
  const words = podMessage === undefined ? "" : `, last: ${oneLine(podMessage)}`;
  return ` (failed attempts: ${String(failures)}${words})`;
}

/** Characters of a container's last words in a message: the log has the rest. */
const LAST_WORDS_MAX = 400;

function oneLine(text: string): string {
  return text.trim().replaceAll(/\s+/g, " ").slice(-LAST_WORDS_MAX);
}

function inWords(losses: readonly ShardLoss[]): string {
  return losses.map(({ message }) => message).join("; ");
}

/** What people do about a database that is not what the ledger left. */
const RESTORE_DATABASE =
  "nothing is written there until the database is as it was: restore what is missing, or the right that was taken; the writer goes on by itself";

/** Characters of a holder in a message: anybody may have written it. */
const HOLDER_MAX = 100;

function available({ deployment, target, leases }: World, { withoutWriter, losses, podTrouble }: GateFacts): Found {
  if (losses.length > 0) return { reason: "DataLost", message: inWords(losses) };
  const faults = leases.flatMap(({ fault }) => fault ?? []);
  if (faults.length > 0) return { reason: "DatabaseUnusable", message: `${faults.join("; ")}; ${RESTORE_DATABASE}` };
  if (deployment === undefined) return { reason: "Deploying", message: "no ledger pod was started yet" };
  const pods = `${String(deployment.readyReplicas)} of ${String(deployment.replicas)} pods are ready`;
  if (deployment.readyReplicas === 0) {
    const reason = podTrouble?.needsPerson === true ? "StartBlocked" : "PodsUnavailable";
    return { reason, message: withTrouble(pods, podTrouble) };
  }
  const shards = target.shards.length;
  const writers = `${String(shards - withoutWriter.length)} of ${String(shards)} shards have a writer`;
  if (withoutWriter.length === 0) return { reason: "Available", message: `${writers}; ${pods}` };
  const ghosts = leases.filter(({ shard, isHolderGone }) => isHolderGone === true && withoutWriter.includes(shard));
  const held = [...Map.groupBy(ghosts, ({ holder = "" }) => holder)].map(
    ([holder, those]) =>
      `; held by ${holder.slice(0, HOLDER_MAX)}, which is no pod of the ledger: Lease ${those.map(({ name }) => name).join(", ")}`,
  );
  return {
    reason: "WritersUnavailable",
    message: `${writers}, none: ${withoutWriter.join(", ")}; ${pods}${held.join("")}`,
  };
}
