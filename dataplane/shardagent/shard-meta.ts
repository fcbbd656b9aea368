import type { ClientBase } from "pg";
import { contentHash } from "../../lib/core/canonical.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import { inTransaction } from "../../lib/node/postgres.ts";

// Schema `shard_meta`: what a shard knows about itself, inside the database that the data is in. Everything here
// belongs to a role without login, so that only the superuser on the local socket can change it; the roles of a
// database read the map and run the guard.

/** Owner of all `shard_meta` objects: no login, no privileges, a member of nothing. */
export const META_OWNER = "shieldx_meta";

/** The agent's own few rows are written also while the server refuses the writes of others. */
const BEGIN_WRITING = "BEGIN READ WRITE";

/** In database `postgres`: what the agent itself keeps. */
const AGENT_SQL = `
CREATE SCHEMA IF NOT EXISTS shard_meta AUTHORIZATION ${META_OWNER};

CREATE TABLE IF NOT EXISTS shard_meta.primary_epoch (
  epoch bigint NOT NULL,
  holder text NOT NULL,
  since timestamptz NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS primary_epoch_one_row ON shard_meta.primary_epoch ((true));
ALTER TABLE shard_meta.primary_epoch OWNER TO ${META_OWNER};

CREATE OR REPLACE FUNCTION shard_meta.readiness() RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
  IF pg_catalog.pg_is_in_recovery() THEN
    RETURN 'InRecovery';
  END IF;
  IF pg_catalog.current_setting('transaction_read_only')::boolean THEN
    RETURN 'ReadOnly';
  END IF;
  RETURN 'Ready';
END
$function$;
ALTER FUNCTION shard_meta.readiness() OWNER TO ${META_OWNER};
REVOKE ALL ON FUNCTION shard_meta.readiness() FROM PUBLIC;

REVOKE CONNECT, TEMPORARY ON DATABASE postgres FROM PUBLIC;
REVOKE CONNECT, TEMPORARY ON DATABASE template1 FROM PUBLIC;
`;

/** In each requested database: the map, and the guard that writers call first in each transaction. */
const DATABASE_SQL = `
DO $block$
BEGIN
  -- It belongs to the owner of the database, who may have dropped it.
  IF EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'public') THEN
    REVOKE ALL ON SCHEMA public FROM PUBLIC;
  END IF;
END
$block$;

CREATE SCHEMA IF NOT EXISTS shard_meta AUTHORIZATION ${META_OWNER};
REVOKE ALL ON SCHEMA shard_meta FROM PUBLIC;

CREATE TABLE IF NOT EXISTS shard_meta.map (
  version bigint NOT NULL CHECK (version >= 1),
  epoch bigint NOT NULL CHECK (epoch >= 1),
  shard int NOT NULL CHECK (shard >= 0)
);
CREATE UNIQUE INDEX IF NOT EXISTS map_one_row ON shard_meta.map ((true));
ALTER TABLE shard_meta.map OWNER TO ${META_OWNER};

CREATE TABLE IF NOT EXISTS shard_meta.owner (
  bucket int PRIMARY KEY CHECK (bucket >= 0),
  shard int NOT NULL CHECK (shard >= 0),
  epoch bigint NOT NULL CHECK (epoch >= 1)
);
ALTER TABLE shard_meta.owner OWNER TO ${META_OWNER};

CREATE OR REPLACE FUNCTION shard_meta.guard(expected_version bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
  found_version bigint;
BEGIN
  -- The row lock makes a change of the map wait for us, and us for it. Under REPEATABLE READ a plain read would pass
  -- with the version of an old snapshot; the lock fails with 40001 instead.
  SELECT m.version INTO found_version FROM shard_meta.map AS m FOR SHARE;
  IF found_version IS DISTINCT FROM expected_version THEN
    RAISE EXCEPTION USING
      ERRCODE = 'SH001',
      MESSAGE = pg_catalog.format('the shard map has version %s, not %s', coalesce(found_version::text, 'none'), expected_version);
  END IF;
END
$function$;
ALTER FUNCTION shard_meta.guard(bigint) OWNER TO ${META_OWNER};
REVOKE ALL ON FUNCTION shard_meta.guard(bigint) FROM PUBLIC;
`;

/** Makes the owner role of all `shard_meta` objects. */
export async function ensureMetaOwner(client: ClientBase): Promise<void> {
  const found = await client.query("SELECT 1 FROM pg_roles WHERE rolname = $1", [META_OWNER]);
  if (found.rowCount === 0) await client.query(`CREATE ROLE ${META_OWNER} NOLOGIN`);
}

/** Makes the agent's own objects in database `postgres`. @returns true when something had to be made */
export function ensureAgentSchema(client: ClientBase): Promise<boolean> {
  return ensureSchema(client, AGENT_SQL);
}

/**
 * Makes pg_stat_statements in the connected database, where nobody but the superuser may plant objects. Its library is
 * loaded by the configuration.
 * @returns true when it was made now
 */
export async function ensureStatistics(client: ClientBase): Promise<boolean> {
  const found = await client.query("SELECT 1 FROM pg_extension WHERE extname = 'pg_stat_statements'");
  if (found.rowCount !== 0) return false;
  await client.query("CREATE EXTENSION IF NOT EXISTS pg_stat_statements SCHEMA shard_meta");
  return true;
}

/** The roles of one database that use `shard_meta`; names are checked by the request's schema. */
export interface MetaUsers {
  readonly owner: string;
  readonly writer: string;
  readonly reader: string;
}

/** Makes `shard_meta` in the connected database and grants it to its roles. @returns true when something had to be made */
export function ensureDatabaseSchema(client: ClientBase, users: MetaUsers): Promise<boolean> {
  const all = `"${users.owner}", "${users.writer}", "${users.reader}"`;
  return ensureSchema(
    client,
    `${DATABASE_SQL}
GRANT USAGE ON SCHEMA shard_meta TO ${all};
GRANT SELECT ON shard_meta.map, shard_meta.owner TO ${all};
GRANT EXECUTE ON FUNCTION shard_meta.guard(bigint) TO "${users.owner}", "${users.writer}";
`,
  );
}

/** Records who is primary with which epoch. Written at a change only, so a restart in place leaves no trace. */
export async function recordEpoch(client: ClientBase, primary: { epoch: number; holder: string }): Promise<void> {
  const values = [primary.epoch, primary.holder];
  const updated = await client.query("SELECT 1 FROM shard_meta.primary_epoch WHERE epoch = $1 AND holder = $2", values);
  if (updated.rowCount !== 0) return;
  const record = `INSERT INTO shard_meta.primary_epoch (epoch, holder, since) VALUES ($1, $2, now())
     ON CONFLICT ((true)) DO UPDATE SET epoch = excluded.epoch, holder = excluded.holder, since = excluded.since`;
  await inTransaction(client, () => client.query(record, values), BEGIN_WRITING);
}

/**
 * Runs the statements in one transaction, once: their hash is kept as the schema's comment. At rest nothing is written,
 * and a newer program's statements run by themselves.
 * @throws OperatorError DATABASE_REQUEST_INVALID when somebody else made the schema: as superuser we would run what
 *   its owner put behind the names that we use
 */
async function ensureSchema(client: ClientBase, sql: string): Promise<boolean> {
  const hash = contentHash(sql);
  const found = await client.query<{ owner: string; hash: string | null }>(
    `SELECT r.rolname::text AS owner, obj_description(n.oid, 'pg_namespace') AS hash
     FROM pg_namespace AS n JOIN pg_roles AS r ON r.oid = n.nspowner WHERE n.nspname = 'shard_meta'`,
  );
  const [schema] = found.rows;
  if (schema !== undefined && schema.owner !== META_OWNER) {
    throw new OperatorError("DATABASE_REQUEST_INVALID", `schema shard_meta belongs to role ${schema.owner}; rename it`);
  }
  if (schema?.hash === hash) return false;
  await inTransaction(
    client,
    async () => {
      await client.query(sql);
      await client.query(`COMMENT ON SCHEMA shard_meta IS '${hash}'`);
    },
    BEGIN_WRITING,
  );
  return true;
}
