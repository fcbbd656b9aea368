import type { Clock } from "../../lib/core/clock.ts";
import { toOperatorError } from "../../lib/core/errors.ts";
import type { Logger } from "../../lib/node/logger.ts";
import { type PostgresTarget, withClient } from "../../lib/node/postgres.ts";

/** What the server counts of itself; numbers since its statistics were last reset. */
export interface PostgresFigures {
  readonly connectionsMax: number;
  readonly connections: { readonly active: number; readonly idle: number; readonly idleInTransaction: number };
  /** Seconds since the oldest open transaction of a client began; 0 without one. */
  readonly oldestTransactionSeconds: number;
  readonly commits: number;
  readonly rollbacks: number;
  readonly deadlocks: number;
  readonly checkpointsTimed: number;
  readonly checkpointsRequested: number;
  readonly walBytes: number;
}

/** Size of a requested database. */
export interface DatabaseSize {
  readonly database: string;
  readonly bytes: number;
}

/** One look at the server. */
export interface PostgresLook {
  readonly figures: PostgresFigures;
  readonly sizes: readonly DatabaseSize[];
}

/** However many scrape, and however often, the server is asked this often at most. */
const FIGURES_LIFETIME_MS = 5_000;

/** A size is the sum over all files of a database: thousands of them in a large one. */
const SIZES_LIFETIME_MS = 60_000;

/** Series of a shard stay bounded, whatever is requested. */
const DATABASES_MAX = 100;

/** Prometheus waits 10 s by default. */
const TIMEOUTS = { connectMs: 1_000, statementMs: 3_000, answerMs: 4_000, lockMs: 1_000 } as const;

const FIGURES_SQL = `
SELECT current_setting('max_connections')::int AS connections_max, a.*, d.*, c.*, w.*
FROM (SELECT count(*) FILTER (WHERE state IN ('active', 'fastpath function call'))::int AS active,
             count(*) FILTER (WHERE state = 'idle')::int AS idle,
             count(*) FILTER (WHERE state LIKE 'idle in transaction%')::int AS idle_in_transaction,
             coalesce(greatest(0, max(extract(epoch FROM clock_timestamp() - xact_start))), 0)::float8 AS oldest
      FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()) AS a,
     (SELECT sum(xact_commit)::float8 AS commits, sum(xact_rollback)::float8 AS rollbacks,
             sum(deadlocks)::float8 AS deadlocks FROM pg_stat_database) AS d,
     (SELECT num_timed::float8 AS timed, num_requested::float8 AS requested FROM pg_stat_checkpointer) AS c,
     (SELECT wal_bytes::float8 AS wal_bytes FROM pg_stat_wal) AS w`;

const SIZES_SQL = `
SELECT datname::text AS database, pg_database_size(oid)::float8 AS bytes
FROM pg_database WHERE datname = ANY ($1::text[]) ORDER BY datname LIMIT ${DATABASES_MAX}`;

interface FiguresRow {
  readonly connections_max: number;
  readonly active: number;
  readonly idle: number;
  readonly idle_in_transaction: number;
  readonly oldest: number;
  readonly commits: number;
  readonly rollbacks: number;
  readonly deadlocks: number;
  readonly timed: number;
  readonly requested: number;
  readonly wal_bytes: number;
}

/**
 * Makes a function that looks at the server, over a short connection of its own. All who ask at once share one look.
 * @param target database `postgres` over the local socket, as superuser
 * @returns the look; `undefined` when the server does not answer in time
 */
export function createPostgresLook(
  target: PostgresTarget,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): (databases: readonly string[]) => Promise<PostgresLook | undefined> {
  const bounded = { ...target, timeouts: { ...TIMEOUTS } };
  let looking: Promise<PostgresLook | undefined> | undefined;
  let last: { readonly look: PostgresLook | undefined; readonly at: number } | undefined;
  let sizes: { readonly found: readonly DatabaseSize[]; readonly at: number } | undefined;

  const look = async (databases: readonly string[]): Promise<PostgresLook | undefined> => {
    try {
      return await withClient(bounded, async (client) => {
        const { rows } = await client.query<FiguresRow>(FIGURES_SQL);
        const figures = figuresOf(rows[0] as FiguresRow);
        if (sizes === undefined || clock.monotonic() - sizes.at >= SIZES_LIFETIME_MS) {
          const found = await client.query<DatabaseSize>(SIZES_SQL, [databases]);
          sizes = { found: found.rows, at: clock.monotonic() };
        }
        return { figures, sizes: sizes.found };
      });
    } catch (error) {
      log.debug({ error: toOperatorError(error).message }, "no figures of PostgreSQL");
      return undefined;
    }
  };

  return (databases) => {
    if (last !== undefined && clock.monotonic() - last.at < FIGURES_LIFETIME_MS) return Promise.resolve(last.look);
    looking ??= look(databases).then((found) => {
      last = { look: found, at: clock.monotonic() };
      looking = undefined;
      return found;
    });
    return looking;
  };
}

function figuresOf(row: FiguresRow): PostgresFigures {
  return {
    connectionsMax: row.connections_max,
    connections: { active: row.active, idle: row.idle, idleInTransaction: row.idle_in_transaction },
    oldestTransactionSeconds: row.oldest,
    commits: row.commits,
    rollbacks: row.rollbacks,
    deadlocks: row.deadlocks,
    checkpointsTimed: row.timed,
    checkpointsRequested: row.requested,
    walBytes: row.wal_bytes,
  };
}
