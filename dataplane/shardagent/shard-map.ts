import type { ClientBase } from "pg";
import { OperatorError } from "../../lib/core/errors.ts";
import type { ShardMap } from "../../lib/core/shard-map.ts";
import { inTransaction, sqlState } from "../../lib/node/postgres.ts";

/** What became of a map. */
export type MapOutcome =
  /** The database had this version already. */
  | "current"
  /** It was written. */
  | "applied"
  /** The database has a newer one: an older map never takes over. */
  | "stale";

/**
 * Writers that come later wait behind a change of the map, so a transaction that does not end must not hold it up for
 * longer: the agent gives way, says who stands in the way, and tries again.
 */
const WRITERS_WAIT_MAX_MS = 1_000;

/** SQLSTATE of `lock_timeout`. */
const LOCK_TIMEOUT_SQLSTATE = "55P03";

/**
 * Copies the map into the connected database, in one transaction. A writer whose guard holds the map is waited for, and
 * a writer that comes later sees the new version or fails with 40001.
 * @param shard index of this shard
 * @throws OperatorError SHARD_UNAVAILABLE naming the transaction that has held the map for too long
 */
export async function applyShardMap(client: ClientBase, map: ShardMap, shard: number): Promise<MapOutcome> {
  const before = compareMaps(await readStored(client), map, shard);
  if (before !== "applied") return before;
  return inTransaction(client, async () => {
    await lockMap(client, map);
    const outcome = compareMaps(await readStored(client), map, shard);
    if (outcome !== "applied") return outcome;
    await client.query(
      `INSERT INTO shard_meta.map (version, epoch, shard) VALUES ($1, $2, $3)
       ON CONFLICT ((true)) DO UPDATE SET version = excluded.version, epoch = excluded.epoch, shard = excluded.shard`,
      [map.version, map.epoch, shard],
    );
    // A bucket's own epoch rises when, and only when, its owner changes.
    await client.query(
      `INSERT INTO shard_meta.owner AS o (bucket, shard, epoch)
       SELECT (position - 1)::int, owner, 1 FROM unnest($1::int[]) WITH ORDINALITY AS given(owner, position)
       ON CONFLICT (bucket) DO UPDATE SET shard = excluded.shard, epoch = o.epoch + 1 WHERE o.shard <> excluded.shard`,
      [map.owners],
    );
    return outcome;
  });
}

/**
 * The guard's FOR SHARE holds ROW SHARE on the table for as long as its transaction, and the queue of table locks is
 * fair. That of row locks is not: sharers overtake whoever wants to change the row, and 16 of them kept it waiting for a
 * minute. Only the owner of `shard_meta` may ask for ROW SHARE, so no role of a tenant can hold the map but by the guard.
 */
async function lockMap(client: ClientBase, map: ShardMap): Promise<void> {
  try {
    await client.query(`SET LOCAL lock_timeout = ${WRITERS_WAIT_MAX_MS}; LOCK TABLE shard_meta.map IN EXCLUSIVE MODE`);
  } catch (error) {
    if (sqlState(error) !== LOCK_TIMEOUT_SQLSTATE) throw error;
    await client.query("ROLLBACK; BEGIN");
    throw new OperatorError(
      "SHARD_UNAVAILABLE",
      `shard map version ${map.version} waits for ${(await findHolder(client)) ?? "a transaction that has ended"}; it is tried again`,
    );
  }
}

/** The oldest transaction that holds the map, in words. */
async function findHolder(client: ClientBase): Promise<string | undefined> {
  const found = await client.query<{ pid: number; role: string | null; began: string; state: string | null }>(
    `SELECT a.pid, a.usename::text AS role, a.state,
            to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS began
     FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
     WHERE l.granted AND l.relation = 'shard_meta.map'::regclass AND l.mode <> 'AccessShareLock' AND a.pid <> pg_backend_pid()
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
     ORDER BY a.xact_start NULLS LAST LIMIT 1`,
  );
  const [holder] = found.rows;
  if (holder === undefined) return undefined;
  const who = `role ${holder.role ?? "unknown"} (process ${holder.pid}, ${holder.state ?? "state unknown"})`;
  return `a transaction of ${who} that began at ${holder.began} and holds the map`;
}

interface StoredMap {
  readonly version: number;
  readonly epoch: number;
  readonly shard: number;
}

async function readStored(client: ClientBase): Promise<StoredMap | undefined> {
  const found = await client.query<StoredMap>("SELECT version, epoch, shard FROM shard_meta.map");
  return found.rows[0];
}

/** A map with a higher epoch was made anew after a loss and wins over any version; else the higher version wins. */
function compareMaps(stored: StoredMap | undefined, map: ShardMap, shard: number): MapOutcome {
  if (stored === undefined) return "applied";
  if (stored.epoch !== map.epoch) return stored.epoch < map.epoch ? "applied" : "stale";
  if (stored.version !== map.version) return stored.version < map.version ? "applied" : "stale";
  return stored.shard === shard ? "current" : "applied";
}
