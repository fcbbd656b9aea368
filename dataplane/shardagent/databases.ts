import type { ClientBase } from "pg";
import { type DatabaseRequest, requestHash } from "../../crds/database-request.ts";
import { toOperatorError } from "../../lib/core/errors.ts";
import type { ShardMap } from "../../lib/core/shard-map.ts";
import type { Logger } from "../../lib/node/logger.ts";
import {
  DISK_FULL_SQLSTATE,
  type PostgresTarget,
  READ_ONLY_SQLSTATE,
  sqlState,
  withClient,
} from "../../lib/node/postgres.ts";
import { TENANT_SESSION } from "./agent-session.ts";
import { type ClusterFacts, markOf, planRequest, rolesOf } from "./database-plan.ts";
import { applyShardMap } from "./shard-map.ts";
import { ensureDatabaseSchema, ensureStatistics } from "./shard-meta.ts";

// Carries out database requests over the local socket.

/** What became of one request. */
export interface DatabaseState {
  readonly database: string;
  /** True when the request is carried out as a whole. */
  readonly ready: boolean;
  readonly requestHash: string;
  /** Why it is not, without secrets. */
  readonly message?: string;
}

/** Making a database copies a template and syncs it; on a slow disk that takes a while. */
const CREATE_TIMEOUT_MS = 60_000;

/** What a reconcile of the requests needs. */
export interface DatabasesDeps {
  /** The local socket as superuser, for a database. */
  readonly target: (database: string) => PostgresTarget;
  readonly log: Logger;
  /** Index of this shard. */
  readonly shard: number;
}

/** What became of all requests. */
export interface DatabasesOutcome {
  /** One for each request, in their order. */
  readonly states: readonly DatabaseState[];
  /** True when every database that exists has the map that was given, so that the shard works with it. */
  readonly mapApplied: boolean;
}

/**
 * Carries out all requests, each by itself: one that fails does not hold up the others.
 * @param map copied into each database
 * @throws OperatorError SHARD_UNAVAILABLE when the server itself does not answer
 */
export async function reconcileDatabases(
  deps: DatabasesDeps,
  requests: readonly DatabaseRequest[],
  map: ShardMap | undefined,
): Promise<DatabasesOutcome> {
  return withClient(patient(deps.target("postgres")), async (client) => {
    await keepSecretsOutOfTheLog(client);
    const states: DatabaseState[] = [];
    let mapApplied = map !== undefined;
    for (const request of requests) {
      const { message, hasMap } = await carryOut(deps, client, { request, map });
      const base = { database: request.database, requestHash: requestHash(request), ready: message === undefined };
      states.push(message === undefined ? base : { ...base, message });
      mapApplied &&= hasMap;
    }
    return { states, mapApplied };
  });
}

/** @returns why the request is not carried out, and whether its database, if there is one, works with the map */
async function carryOut(
  deps: DatabasesDeps,
  client: ClientBase,
  wanted: { readonly request: DatabaseRequest; readonly map: ShardMap | undefined },
): Promise<{ message: string | undefined; hasMap: boolean }> {
  const { request } = wanted;
  try {
    const refusal = await reconcileRequest(deps, client, request);
    if (refusal !== undefined || request.drop === true) return { message: refusal, hasMap: true };
    const stale = await reconcileInside(deps, request, wanted.map);
    return { message: stale, hasMap: stale === undefined };
  } catch (error) {
    const { message, code } = toOperatorError(error);
    // The server's own words may quote the statement, and with it a verifier; its SQLSTATE says enough.
    const state = sqlState(error);
    const text = state === undefined ? message : refusalText(state);
    deps.log.warn({ database: request.database, code, sqlState: state }, "a database request failed");
    return { message: text, hasMap: false };
  }
}

function refusalText(state: string): string {
  const why = state === DISK_FULL_SQLSTATE || state === READ_ONLY_SQLSTATE ? "; the volume takes no writes now" : "";
  return `PostgreSQL refused a statement (SQLSTATE ${state})${why}`;
}

async function reconcileRequest(
  deps: DatabasesDeps,
  client: ClientBase,
  request: DatabaseRequest,
): Promise<string | undefined> {
  const plan = planRequest(request, await readFacts(client, request));
  if (plan.type === "refuse") return plan.message;
  if (plan.statements.length === 0) return undefined;
  // Dropping a database is a way out of a full volume; making one is not.
  await client.query(`SET default_transaction_read_only = ${request.drop === true ? "off" : "DEFAULT"}`);
  for (const statement of plan.statements) await client.query(statement);
  const done =
    request.drop === true ? "dropped a database and its roles" : "made a database or brought its roles up to date";
  deps.log.info({ database: request.database, statements: plan.statements.length }, done);
  // Said to be carried out only when it is: a right that another role has granted cannot be taken back like this.
  const left = planRequest(request, await readFacts(client, request));
  if (left.type === "refuse") return left.message;
  if (left.statements.length === 0) return undefined;
  return `database ${request.database} or its roles are changed by somebody else at the same time, or PUBLIC has rights on it that a role other than its owner granted; they are set again`;
}

/** @returns why the database cannot work with the map, when that is so */
async function reconcileInside(
  deps: DatabasesDeps,
  request: DatabaseRequest,
  map: ShardMap | undefined,
): Promise<string | undefined> {
  const target = { ...patient(deps.target(request.database)), settings: TENANT_SESSION };
  return withClient(target, async (client) => {
    await ensureDatabaseSchema(client, {
      owner: request.owner.name,
      writer: request.writer.name,
      reader: request.reader.name,
    });
    await keepStatistics(client, deps, request.database);
    if (map === undefined) return undefined;
    const outcome = await applyShardMap(client, map, deps.shard);
    if (outcome === "stale")
      return `shard map version ${map.version} (epoch ${map.epoch}) is older than the database's`;
    if (outcome === "applied") deps.log.info({ database: request.database, version: map.version }, "shard map applied");
    return undefined;
  });
}

/** Figures about statements are a help, not a need: a database without them is ready all the same. */
async function keepStatistics(client: ClientBase, { log }: DatabasesDeps, database: string): Promise<void> {
  try {
    if (await ensureStatistics(client)) log.info({ database }, "made extension pg_stat_statements");
  } catch (error) {
    log.warn({ database }, `extension pg_stat_statements cannot be made: ${toOperatorError(error).message}`);
  }
}

async function readFacts(client: ClientBase, request: DatabaseRequest): Promise<ClusterFacts> {
  const roles = await client.query<{
    name: string;
    verifier: string | null;
    mark: string | null;
    can_login: boolean;
    may_connect: boolean;
    is_connected: boolean;
  }>(
    `SELECT r.rolname::text AS name, r.rolpassword AS verifier, shobj_description(r.oid, 'pg_authid') AS mark,
            r.rolcanlogin AS can_login,
            EXISTS (SELECT FROM pg_database AS d, aclexplode(d.datacl) AS a
                    WHERE d.datname = $2 AND a.grantee = r.oid AND a.privilege_type = 'CONNECT') AS may_connect,
            EXISTS (SELECT FROM pg_stat_activity AS s WHERE s.usesysid = r.oid) AS is_connected
     FROM pg_authid AS r
     WHERE r.rolname = ANY ($1::text[]) OR shobj_description(r.oid, 'pg_authid') = $3`,
    [rolesOf(request).map(({ name }) => name), request.database, markOf(request.database)],
  );
  const databases = await client.query<{
    name: string;
    owner: string;
    mark: string | null;
    accepts: boolean;
    connection_limit: number;
    is_template: boolean;
    is_public: boolean;
  }>(
    `SELECT d.datname::text AS name, r.rolname::text AS owner, shobj_description(d.oid, 'pg_database') AS mark,
            d.datallowconn AS accepts, d.datconnlimit AS connection_limit, d.datistemplate AS is_template,
            EXISTS (SELECT FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS a
                    WHERE a.grantee = 0) AS is_public
     FROM pg_database AS d JOIN pg_roles AS r ON r.oid = d.datdba WHERE d.datname = $1`,
    [request.database],
  );
  return {
    roles: new Map(
      roles.rows.map((row) => [
        row.name,
        {
          verifier: row.verifier ?? undefined,
          mark: row.mark ?? undefined,
          canLogin: row.can_login,
          mayConnect: row.may_connect,
          isConnected: row.is_connected,
        },
      ]),
    ),
    databases: new Map(
      databases.rows.map((row) => [
        row.name,
        {
          owner: row.owner,
          mark: row.mark ?? undefined,
          acceptsConnections: row.accepts,
          connectionLimit: row.connection_limit,
          isTemplate: row.is_template,
          isPublic: row.is_public,
        },
      ]),
    ),
  };
}

/** The server's log settings say the same; this holds even when somebody runs the agent on other ones. */
async function keepSecretsOutOfTheLog(client: ClientBase): Promise<void> {
  await client.query(
    "SET log_statement = 'none'; SET log_min_error_statement = 'panic'; SET log_min_duration_statement = -1",
  );
}

function patient(target: PostgresTarget): PostgresTarget {
  return {
    ...target,
    timeouts: { ...target.timeouts, statementMs: CREATE_TIMEOUT_MS, answerMs: CREATE_TIMEOUT_MS + 5_000 },
  };
}
