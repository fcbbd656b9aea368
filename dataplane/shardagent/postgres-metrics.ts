import type { PostgresLook } from "./postgres-figures.ts";
import { type MetricLabels, metric } from "./shardagent.status.ts";

/**
 * What a look at the server shows, in the Prometheus text format; without one, `shard_postgres_up 0` alone.
 * @param shard labels of all series
 */
export function renderPostgresMetrics(shard: MetricLabels, look: PostgresLook | undefined): string {
  const up = metric("shard_postgres_up", [[shard, look === undefined ? 0 : 1]]);
  if (look === undefined) return up;
  const { figures, sizes } = look;
  const { connections } = figures;
  return [
    up,
    metric("shard_postgres_connections", [
      [{ ...shard, state: "active" }, connections.active],
      [{ ...shard, state: "idle" }, connections.idle],
      [{ ...shard, state: "idle_in_transaction" }, connections.idleInTransaction],
    ]),
    metric("shard_postgres_connections_max", [[shard, figures.connectionsMax]]),
    metric("shard_postgres_oldest_transaction_seconds", [[shard, figures.oldestTransactionSeconds]]),
    metric("shard_postgres_transactions_total", [
      [{ ...shard, result: "commit" }, figures.commits],
      [{ ...shard, result: "rollback" }, figures.rollbacks],
    ]),
    metric("shard_postgres_deadlocks_total", [[shard, figures.deadlocks]]),
    metric("shard_postgres_checkpoints_total", [
      [{ ...shard, cause: "timed" }, figures.checkpointsTimed],
      [{ ...shard, cause: "requested" }, figures.checkpointsRequested],
    ]),
    metric("shard_postgres_wal_bytes_total", [[shard, figures.walBytes]]),
    metric(
      "shard_postgres_database_bytes",
      sizes.map(({ database, bytes }) => [{ ...shard, database }, bytes]),
    ),
  ].join("");
}
