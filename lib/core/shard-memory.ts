// What is remembered of a shard's log outside of its database: a database that was emptied, restored to an earlier state or
// taken from somewhere else is whole in itself, and only somebody who has seen more can tell.

/** What was seen of the log of one shard. */
export interface ShardMemory {
  /** Highest position. */
  readonly position: number | undefined;
  /** PostgreSQL's identifier of the cluster that holds it. */
  readonly systemIdentifier: string | undefined;
}

/** Why a database is not the one that is remembered; `undefined` when it is, or when nothing is remembered. */
export function otherDatabase(shard: number, memory: ShardMemory, systemIdentifier: string): string | undefined {
  const { systemIdentifier: known, position } = memory;
  if (known === undefined || known === systemIdentifier) return undefined;
  const reached = position === undefined ? "" : `, where its log reached position ${position}`;
  return `shard ${shard} is PostgreSQL cluster ${systemIdentifier}, but the ledger's data is in cluster ${known}${reached}`;
}

/** Why a log is not all that is remembered of it; `undefined` when it is. */
export function shorterLog(shard: number, memory: ShardMemory, position: number): string | undefined {
  if (memory.position === undefined || position >= memory.position) return undefined;
  return `the log of shard ${shard} ends at position ${position}, but it has reached position ${memory.position}`;
}
