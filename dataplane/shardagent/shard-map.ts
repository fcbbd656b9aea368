import type { ClientBase } from "pg";
import type { ShardMap } from "../../lib/core/shard-map.ts";
import { inTransaction } from "../../lib/node/postgres.ts";

/** What became of a map. */
export type MapOutcome =
  /** The database had this version already. */
  | "current"
  /** It was written. */
  | "applied"
  /** The database has a newer one: an older map never takes over. */
  | "stale";

/**
 * Copies the map into the connected database, in one transaction. The row of `shard_meta.map` is locked first: a writer
 * whose guard holds it is waited for, and a writer that comes later sees the new version or fails with 40001.
 * @param shard index of this shard
 */
export async function applyShardMap(client: ClientBase, map: ShardMap, shard: number): Promise<MapOutcome> {
  const before = compareMaps(await readStored(client, ""), map, shard);
  if (before !== "applied") return before;
  return inTransaction(client, async () => {
    const outcome = compareMaps(await readStored(client, "FOR UPDATE"), map, shard);
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

interface StoredMap {
  readonly version: number;
  readonly epoch: number;
  readonly shard: number;
}

async function readStored(client: ClientBase, lock: "" | "FOR UPDATE"): Promise<StoredMap | undefined> {
  const found = await client.query<StoredMap>(`SELECT version, epoch, shard FROM shard_meta.map ${lock}`);
  return found.rows[0];
}

/** A map with a higher epoch was made anew after a loss and wins over any version; else the higher version wins. */
function compareMaps(stored: StoredMap | undefined, map: ShardMap, shard: number): MapOutcome {
  if (stored === undefined) return "applied";
  if (stored.epoch !== map.epoch) return stored.epoch < map.epoch ? "applied" : "stale";
  if (stored.version !== map.version) return stored.version < map.version ? "applied" : "stale";
  return stored.shard === shard ? "current" : "applied";
}
