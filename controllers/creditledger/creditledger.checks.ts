import type { CreditLedgerReason } from "../../crds/conditions.ts";
import { type DatabaseRequest, requestHash } from "../../crds/database-request.ts";
import type { Statement } from "../../operator/runtime/summary.ts";
import { databaseRequest, migrationJobName, podConfigHash, shardIndexes, type Target } from "./creditledger.desired.ts";
import type { ObservedJob } from "./creditledger.facts.ts";
import type { Material } from "./creditledger.material.ts";
import type { Observed } from "./creditledger.observe.ts";

// The gates between a ledger and its data, one function each. The plan opens them in this order, the status reports
// them as conditions, and both read the same sentence:
//
//   ShardSetReady ──► DatabaseReady ──► Migrated ──► Available
//
// Each is computed from the world alone, never from an earlier condition.

/** What plan and status are computed from. */
export interface Scope {
  readonly observed: Observed;
  readonly target: Target;
  readonly material: Material;
}

/** State of one gate: the reason for programs, the message with the numbers for people. */
export type Check = Statement<CreditLedgerReason>;

/** All gates, in their order. */
export interface Checks {
  readonly shardSetReady: Check;
  readonly databaseReady: Check;
  readonly migrated: Check;
  readonly available: Check;
}

/** Computes all gates. */
export function checkAll(scope: Scope): Checks {
  const shardSetReady = checkShardSet(scope);
  const databaseReady = checkDatabase(scope);
  return {
    shardSetReady,
    databaseReady,
    migrated: checkMigrated(scope, databaseReady),
    available: checkAvailable(scope),
  };
}

/** The request that the ledger makes, once its passwords are in the cache. */
export function wantedRequest({ target, material }: Scope): DatabaseRequest | undefined {
  return material.verifiers && databaseRequest(target.ledger.name, material.verifiers);
}

/** The migration Job that belongs to this version of the ledger; its name is unknown until the admin key exists. */
export function currentJob({ observed, target }: Scope): { name: string; job: ObservedJob | undefined } | undefined {
  const adminKey = observed.adminKey?.value;
  if (adminKey === undefined) return undefined;
  const name = migrationJobName(target, adminKey);
  return { name, job: observed.jobs.find((job) => job.name === name) };
}

/** Shards that have carried out exactly this request. */
export function shardsWithRequest({ shardSet }: Observed, request: DatabaseRequest): number {
  const reported = shardSet?.status?.databases?.find(({ name }) => name === request.database);
  return reported?.requestHash === requestHash(request) ? reported.shardsReady : 0;
}

function checkShardSet({ observed, target }: Scope): Check {
  const { shardSet } = observed;
  const name = target.spec.shardSet;
  if (shardSet === undefined) {
    return no("ShardSetNotFound", `ShardSet ${name} does not exist in namespace ${target.ledger.namespace}`);
  }
  if (shardSet.metadata.deletionTimestamp !== undefined) {
    return no("ShardSetDeleting", `ShardSet ${name} is being deleted and waits for this ledger`);
  }
  const ready = Math.min(shardSet.status?.shardsReady ?? 0, target.shards);
  const count = `${String(ready)} of ${String(target.shards)} shards of ShardSet ${name} accept writes`;
  return ready < target.shards ? no("WaitingForShards", count) : yes("ShardSetReady", count);
}

function checkDatabase(scope: Scope): Check {
  const { observed, target } = scope;
  const request = wantedRequest(scope);
  if (observed.shardSet === undefined) {
    return no("WaitingForDatabase", `waits for ShardSet ${target.spec.shardSet}`);
  }
  if (request === undefined) return no("WaitingForDatabase", "the passwords of the database's roles are being made");
  if (observed.databaseTakenBy !== undefined) {
    return no("DatabaseNameConflict", `Secret ${observed.databaseTakenBy} asks for database ${request.database} too`);
  }
  const shards = Math.min(shardsWithRequest(observed, request), target.shards);
  const count = `database ${request.database} is ready on ${String(shards)} of ${String(target.shards)} shards`;
  return shards < target.shards ? no("WaitingForDatabase", count) : yes("DatabaseReady", count);
}

function checkMigrated(scope: Scope, databaseReady: Check): Check {
  const current = currentJob(scope);
  if (scope.observed.shardSet === undefined || current === undefined) {
    return no("WaitingForDatabase", "the migration waits for the database");
  }
  const { name, job } = current;
  switch (job?.state) {
    case undefined:
      return databaseReady.status === "True"
        ? no("Migrating", `Job ${name} is being created`)
        : no("WaitingForDatabase", "the migration waits for the database");
    case "running":
      return no("Migrating", `Job ${name} is running${lastWords(job)}`);
    case "failed":
      return no("MigrationFailed", `Job ${name} failed: ${job.message ?? "no reason given"}${lastWords(job)}`);
    case "succeeded":
      return yes("Migrated", `Job ${name} succeeded`);
  }
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

function checkAvailable(scope: Scope): Check {
  const { deployment, leases } = scope.observed;
  if (deployment === undefined) return no("Deploying", "no ledger pod was started yet");
  const pods = `${String(deployment.readyReplicas)} of ${String(deployment.replicas)} pods are ready`;
  if (deployment.readyReplicas === 0) return no("PodsUnavailable", pods);
  const held = new Set(leases.filter(({ holder }) => holder !== undefined).map(({ shard }) => shard));
  const without = shardIndexes(scope.target).filter((shard) => !held.has(shard));
  const writers = `${String(scope.target.shards - without.length)} of ${String(scope.target.shards)} shards have a writer`;
  return without.length > 0
    ? no("WritersUnavailable", `${writers}, none: ${without.join(", ")}; ${pods}`)
    : yes("Available", `${writers}; ${pods}`);
}

/** Why the pods are not yet as the spec asks; `undefined` when they are. */
export function unfinishedRollout({ observed, target }: Scope): string | undefined {
  const { deployment, roles } = observed;
  const passwords = roles?.value;
  if (deployment === undefined || passwords === undefined) return "no ledger pod was started yet";
  const pods = `${String(deployment.readyReplicas)} of ${String(target.spec.replicas)} pods are ready`;
  if (deployment.configHash !== podConfigHash(target, passwords))
    return `the pods still run the earlier version; ${pods}`;
  if (deployment.replicas !== target.spec.replicas || !deployment.rolledOut) return `pods are being replaced; ${pods}`;
  return deployment.readyReplicas < target.spec.replicas ? pods : undefined;
}

function yes(reason: CreditLedgerReason, message: string): Check {
  return { status: "True", reason, message };
}

function no(reason: CreditLedgerReason, message: string): Check {
  return { status: "False", reason, message };
}
