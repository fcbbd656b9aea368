import { type ClientBase, escapeIdentifier, escapeLiteral } from "pg";
import { type DatabaseRequest, type RequestedRole, requestHash } from "../../crds/database-request.ts";
import { toOperatorError } from "../../lib/core/errors.ts";
import type { ShardMap } from "../../lib/core/shard-map.ts";
import type { Logger } from "../../lib/node/logger.ts";
import { type PostgresTarget, sqlState, withClient } from "../../lib/node/postgres.ts";
import { applyShardMap } from "./shard-map.ts";
import { ensureDatabaseSchema } from "./shard-meta.ts";

// Carries out database requests over the local socket. What exists is read first and only differences are written, so
// that an agent at rest writes nothing. Each role and database that was made here carries a comment that says for which
// request; what lacks it was made by somebody else and is never touched.

/** What became of one request. */
export interface DatabaseState {
  readonly database: string;
  /** True when the request is carried out as a whole. */
  readonly ready: boolean;
  readonly requestHash: string;
  /** Why it is not, without secrets. */
  readonly message?: string;
}

/** What the cluster holds, as far as requests are concerned. */
export interface ClusterFacts {
  readonly roles: ReadonlyMap<string, { readonly verifier: string | undefined; readonly mark: string | undefined }>;
  readonly databases: ReadonlyMap<string, { readonly owner: string; readonly mark: string | undefined }>;
}

/** What to do for a request at the level of the cluster, or why not. */
export type RequestPlan =
  | { readonly type: "run"; readonly statements: readonly string[] }
  | { readonly type: "refuse"; readonly message: string };

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
    const text = state === undefined ? message : `PostgreSQL refused a statement (SQLSTATE ${state})`;
    deps.log.warn({ database: request.database, code, sqlState: state }, "a database request failed");
    return { message: text, hasMap: false };
  }
}

/** Decides what is missing. Names and verifiers were checked by the request's schema. */
export function planRequest(request: DatabaseRequest, facts: ClusterFacts): RequestPlan {
  return request.drop === true ? planDrop(request, facts) : planCreate(request, facts);
}

function planCreate(request: DatabaseRequest, facts: ClusterFacts): RequestPlan {
  const mark = markOf(request.database);
  const statements: string[] = [];
  for (const role of rolesOf(request)) {
    const found = facts.roles.get(role.name);
    if (found !== undefined && found.mark !== mark) {
      return { type: "refuse", message: `role ${role.name} exists and belongs to somebody else` };
    }
    if (found === undefined) statements.push(...createRole(role, mark));
    else if (found.verifier !== role.verifier) statements.push(alterVerifier(role));
  }
  const database = escapeIdentifier(request.database);
  const found = facts.databases.get(request.database);
  if (found === undefined) {
    statements.push(
      `CREATE DATABASE ${database} OWNER ${escapeIdentifier(request.owner.name)} TEMPLATE template0 ENCODING 'UTF8'`,
    );
  } else if (found.mark !== undefined && found.mark !== mark) {
    return { type: "refuse", message: `database ${request.database} exists and belongs to somebody else` };
  } else if (found.owner !== request.owner.name) {
    return {
      type: "refuse",
      message: `database ${request.database} belongs to role ${found.owner}, not ${request.owner.name}`,
    };
  }
  if (found?.mark !== mark) {
    // Written last: an interrupted run is taken up here again.
    statements.push(
      `REVOKE ALL ON DATABASE ${database} FROM PUBLIC`,
      `GRANT CONNECT ON DATABASE ${database} TO ${escapeIdentifier(request.writer.name)}, ${escapeIdentifier(request.reader.name)}`,
      `COMMENT ON DATABASE ${database} IS ${escapeLiteral(mark)}`,
    );
  }
  return { type: "run", statements };
}

/** Removes only what was made for the very request; what is gone already is success. */
function planDrop(request: DatabaseRequest, facts: ClusterFacts): RequestPlan {
  const mark = markOf(request.database);
  const database = facts.databases.get(request.database);
  // One without a mark whose owner is ours was half made by an interrupted run.
  const isOurs = database?.mark === mark || (database?.mark === undefined && isMarked(facts, database?.owner, mark));
  if (database !== undefined && !isOurs) {
    return { type: "refuse", message: `database ${request.database} belongs to somebody else and is not dropped` };
  }
  const roles = rolesOf(request).filter(({ name }) => facts.roles.get(name)?.mark === mark);
  return {
    type: "run",
    statements: [
      ...(database === undefined ? [] : [`DROP DATABASE ${escapeIdentifier(request.database)} WITH (FORCE)`]),
      ...roles.map(({ name }) => `DROP ROLE ${escapeIdentifier(name)}`),
    ],
  };
}

function isMarked(facts: ClusterFacts, role: string | undefined, mark: string): boolean {
  return role !== undefined && facts.roles.get(role)?.mark === mark;
}

function createRole(role: RequestedRole, mark: string): string[] {
  const name = escapeIdentifier(role.name);
  const attributes = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT";
  // One string, so one implicit transaction: a role without its mark would be taken for somebody else's.
  return [
    `CREATE ROLE ${name} ${attributes} PASSWORD ${escapeLiteral(role.verifier)}; COMMENT ON ROLE ${name} IS ${escapeLiteral(mark)}`,
  ];
}

function alterVerifier(role: RequestedRole): string {
  return `ALTER ROLE ${escapeIdentifier(role.name)} PASSWORD ${escapeLiteral(role.verifier)}`;
}

function rolesOf(request: DatabaseRequest): readonly RequestedRole[] {
  return [request.owner, request.writer, request.reader];
}

/** The comment that says for which request a role or database was made. */
function markOf(database: string): string {
  return `shieldx database ${database}`;
}

async function reconcileRequest(
  deps: DatabasesDeps,
  client: ClientBase,
  request: DatabaseRequest,
): Promise<string | undefined> {
  const plan = planRequest(request, await readFacts(client, request));
  if (plan.type === "refuse") return plan.message;
  for (const statement of plan.statements) await client.query(statement);
  if (plan.statements.length > 0) {
    const done =
      request.drop === true ? "dropped a database and its roles" : "made a database or brought its roles up to date";
    deps.log.info({ database: request.database, statements: plan.statements.length }, done);
  }
  return undefined;
}

/** @returns why the database cannot work with the map, when that is so */
async function reconcileInside(
  deps: DatabasesDeps,
  request: DatabaseRequest,
  map: ShardMap | undefined,
): Promise<string | undefined> {
  return withClient(patient(deps.target(request.database)), async (client) => {
    await ensureDatabaseSchema(client, {
      owner: request.owner.name,
      writer: request.writer.name,
      reader: request.reader.name,
    });
    if (map === undefined) return undefined;
    const outcome = await applyShardMap(client, map, deps.shard);
    if (outcome === "stale")
      return `shard map version ${map.version} (epoch ${map.epoch}) is older than the database's`;
    if (outcome === "applied") deps.log.info({ database: request.database, version: map.version }, "shard map applied");
    return undefined;
  });
}

async function readFacts(client: ClientBase, request: DatabaseRequest): Promise<ClusterFacts> {
  const names = rolesOf(request).map(({ name }) => name);
  const roles = await client.query<{ name: string; verifier: string | null; mark: string | null }>(
    `SELECT rolname::text AS name, rolpassword AS verifier, shobj_description(oid, 'pg_authid') AS mark
     FROM pg_authid WHERE rolname = ANY ($1::text[])`,
    [names],
  );
  const databases = await client.query<{ name: string; owner: string; mark: string | null }>(
    `SELECT d.datname::text AS name, r.rolname::text AS owner, shobj_description(d.oid, 'pg_database') AS mark
     FROM pg_database AS d JOIN pg_roles AS r ON r.oid = d.datdba WHERE d.datname = $1`,
    [request.database],
  );
  return {
    roles: new Map(
      roles.rows.map(({ name, verifier, mark }) => [
        name,
        { verifier: verifier ?? undefined, mark: mark ?? undefined },
      ]),
    ),
    databases: new Map(databases.rows.map(({ name, owner, mark }) => [name, { owner, mark: mark ?? undefined }])),
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
