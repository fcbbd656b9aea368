import { expect, test } from "@jest/globals";
import type { PostgresLook } from "./postgres-figures.ts";
import { renderPostgresMetrics } from "./postgres-metrics.ts";

const SHARD = { shardset: "bank", shard: "2" };

const LOOK: PostgresLook = {
  figures: {
    connectionsMax: 100,
    connections: { active: 3, idle: 4, idleInTransaction: 1 },
    oldestTransactionSeconds: 1.5,
    commits: 10,
    rollbacks: 2,
    deadlocks: 0,
    checkpointsTimed: 5,
    checkpointsRequested: 6,
    walBytes: 4096,
  },
  sizes: [{ database: "ledger_bank", bytes: 8_000_000 }],
};

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

test("a look becomes series whose labels are the shard's and a fixed few", () => {
  expect(lines(renderPostgresMetrics(SHARD, LOOK))).toEqual([
    'shard_postgres_up{shardset="bank",shard="2"} 1',
    'shard_postgres_connections{shardset="bank",shard="2",state="active"} 3',
    'shard_postgres_connections{shardset="bank",shard="2",state="idle"} 4',
    'shard_postgres_connections{shardset="bank",shard="2",state="idle_in_transaction"} 1',
    'shard_postgres_connections_max{shardset="bank",shard="2"} 100',
    'shard_postgres_oldest_transaction_seconds{shardset="bank",shard="2"} 1.5',
    'shard_postgres_transactions_total{shardset="bank",shard="2",result="commit"} 10',
    'shard_postgres_transactions_total{shardset="bank",shard="2",result="rollback"} 2',
    'shard_postgres_deadlocks_total{shardset="bank",shard="2"} 0',
    'shard_postgres_checkpoints_total{shardset="bank",shard="2",cause="timed"} 5',
    'shard_postgres_checkpoints_total{shardset="bank",shard="2",cause="requested"} 6',
    'shard_postgres_wal_bytes_total{shardset="bank",shard="2"} 4096',
    'shard_postgres_database_bytes{shardset="bank",shard="2",database="ledger_bank"} 8000000',
  ]);
});

test("a server that does not answer is down, and nothing else is claimed of it", () => {
  expect(lines(renderPostgresMetrics(SHARD, undefined))).toEqual(['shard_postgres_up{shardset="bank",shard="2"} 0']);
});
