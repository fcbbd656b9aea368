import { type DatabaseRequest, requestHash } from "../../crds/database-request.ts";
import type { Made } from "./creditledger.make.ts";
import type { World } from "./creditledger.observe.ts";

// The database of a ledger and what an earlier ledger of its name left: whose it is, and what a deletion does with it.

/** What is so with the data. */
export interface KeptData {
  /** Why data that an earlier ledger of this name left behind cannot be used. */
  readonly conflict: string | undefined;
  /** Kept data that this ledger never used: it lies on another ShardSet, or was refused before any migration. */
  readonly isForeign: boolean;
  /**
   * The request that drops the database; `undefined` when none was ever made, or when the ShardSet serves another one.
   */
  readonly drop: DatabaseRequest | undefined;
  /** State of the drop in words; `undefined` when nothing is being waited for. */
  readonly dropProgress: string | undefined;
}

/** @param wanted request of the ledger, once its passwords are in the cache */
export function keptData(world: World, made: Made, wanted: DatabaseRequest | undefined): KeptData {
  const { ledger, deployment, request, target } = world;
  const keptOn = request?.value?.shardSet;
  const isElsewhere = keptOn !== undefined && keptOn !== target.spec.shardSet;
  const conflict = isElsewhere
    ? `Secret ${request?.name ?? ""} keeps a database on ShardSet ${keptOn}, but spec.shardSet is ${target.spec.shardSet}`
    : made.problem;
  const wasUsed = ledger.status?.schemaVersion !== undefined || deployment !== undefined;
  const isForeign = isElsewhere || (!wasUsed && (conflict ?? made.pki.problem) !== undefined);
  const drop = dropRequest(world, wanted);
  return { conflict, isForeign, drop, dropProgress: isForeign ? undefined : progressOf(world, drop) };
}

/** Shards that have carried out exactly this request. */
export function shardsWithRequest({ shardSet, target }: World, request: DatabaseRequest): number {
  const reported = shardSet?.status?.databases?.find(({ name }) => name === request.database);
  const done = reported?.requestHash === requestHash(request) ? reported.shardsReady : 0;
  return Math.min(done, target.shards.length);
}

function dropRequest(
  { databaseTakenBy, request }: World,
  wanted: DatabaseRequest | undefined,
): DatabaseRequest | undefined {
  // The ShardSet serves somebody else's request for this database: ours would stay unanswered as long as that is there, and
  // drop his data when it goes.
  if (databaseTakenBy !== undefined) return undefined;
  // No request and no passwords to make one from: no database was ever asked for.
  const known = request?.value?.request ?? wanted;
  return known && { ...known, drop: true };
}

function progressOf(world: World, drop: DatabaseRequest | undefined): string | undefined {
  if (world.shardSet === undefined || drop === undefined) return undefined;
  // Its volumes go, and the database with them: shards that have ended already need not come back for it.
  const { metadata, spec } = world.shardSet;
  if (metadata.deletionTimestamp !== undefined && spec.deletionPolicy === "Delete") return undefined;
  const shards = world.target.shards.length;
  const gone = shardsWithRequest(world, drop);
  if (gone >= shards) return undefined;
  return `database ${drop.database} is dropped on ${String(gone)} of ${String(shards)} shards; deletionPolicy Retain would keep it`;
}
