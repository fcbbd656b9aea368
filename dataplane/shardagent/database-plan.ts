import { escapeIdentifier, escapeLiteral } from "pg";
import type { DatabaseRequest, RequestedRole } from "../../crds/database-request.ts";

// What a request needs at the level of the cluster: roles, the database, and who may connect to it. What exists is read
// first and only differences are written, so that an agent at rest writes nothing. Each role that was made here carries
// a comment that says for which request; nobody but a superuser can write such a comment, so a role without it was made
// by somebody else and is never touched, and a database is ours when its owner is. The comment of a database only says
// that it is complete: its owner can change it.

/** A role as the cluster has it. */
export interface RoleFacts {
  readonly verifier: string | undefined;
  /** Comment of the role. */
  readonly mark: string | undefined;
  readonly canLogin: boolean;
  /** CONNECT on the requested database was granted to the role itself. */
  readonly mayConnect: boolean;
  /** Sessions of the role are open. */
  readonly isConnected: boolean;
}

/** A database as the cluster has it. */
export interface DatabaseFacts {
  readonly owner: string;
  /** Comment of the database. */
  readonly mark: string | undefined;
  readonly acceptsConnections: boolean;
  /** -1: none; -2: a DROP DATABASE of it was interrupted. */
  readonly connectionLimit: number;
  readonly isTemplate: boolean;
  /** PUBLIC may connect or make temporary tables. */
  readonly isPublic: boolean;
}

/** What the cluster holds, as far as a request is concerned. */
export interface ClusterFacts {
  /** The roles of the request, and those that were made for it under other names. */
  readonly roles: ReadonlyMap<string, RoleFacts>;
  readonly databases: ReadonlyMap<string, DatabaseFacts>;
}

/** What to do for a request at the level of the cluster, or why not. */
export type RequestPlan =
  | { readonly type: "run"; readonly statements: readonly string[] }
  | { readonly type: "refuse"; readonly message: string };

const NO_LIMIT = -1;
const HALF_DROPPED = -2;

/** The comment that says for which request a role or database was made. */
export function markOf(database: string): string {
  return `shieldx database ${database}`;
}

/** The roles that a request names. */
export function rolesOf(request: DatabaseRequest): readonly RequestedRole[] {
  return [request.owner, request.writer, request.reader];
}

/** Decides what is missing. Names and verifiers were checked by the request's schema. */
export function planRequest(request: DatabaseRequest, facts: ClusterFacts): RequestPlan {
  return request.drop === true ? planDrop(request, facts) : planCreate(request, facts);
}

function planCreate(request: DatabaseRequest, facts: ClusterFacts): RequestPlan {
  const message = whyNot(request, facts);
  if (message !== undefined) return { type: "refuse", message };
  const found = facts.databases.get(request.database);
  return {
    type: "run",
    statements: [
      ...rolesOf(request).flatMap((role) => bringRole(role, facts.roles.get(role.name), markOf(request.database))),
      ...(found === undefined ? [createDatabase(request)] : openDatabase(request.database, found)),
      ...grantAccess(request, facts),
      ...retireFormerRoles(request, facts),
      // Written last: an interrupted run is taken up again.
      ...(found?.mark === markOf(request.database) ? [] : [markDatabase(request.database)]),
    ],
  };
}

function whyNot(request: DatabaseRequest, facts: ClusterFacts): string | undefined {
  const { database, owner } = request;
  for (const { name } of rolesOf(request)) {
    const found = facts.roles.get(name);
    if (found !== undefined && found.mark !== markOf(database)) {
      return `role ${name} exists and belongs to somebody else`;
    }
  }
  const found = facts.databases.get(database);
  if (found === undefined) return undefined;
  if (found.owner !== owner.name) {
    const text = `database ${database} belongs to role ${found.owner}, not ${owner.name}`;
    const wasOurs = facts.roles.get(found.owner)?.mark === markOf(database);
    return wasOurs ? `${text}; name ${found.owner} as its owner, since everything in the database belongs to it` : text;
  }
  if (found.connectionLimit !== HALF_DROPPED) return undefined;
  return `database ${database} is half dropped and cannot be used; a request with "drop": true ends it, then it can be made anew`;
}

function bringRole(role: RequestedRole, found: RoleFacts | undefined, mark: string): string[] {
  if (found === undefined) return [createRole(role, mark)];
  if (found.verifier === role.verifier && found.canLogin) return [];
  return [`ALTER ROLE ${escapeIdentifier(role.name)} LOGIN PASSWORD ${escapeLiteral(role.verifier)}`];
}

function createRole(role: RequestedRole, mark: string): string {
  const name = escapeIdentifier(role.name);
  const attributes = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT";
  // One string, so one implicit transaction: a role without its mark would be taken for somebody else's.
  return `CREATE ROLE ${name} ${attributes} PASSWORD ${escapeLiteral(role.verifier)}; COMMENT ON ROLE ${name} IS ${escapeLiteral(mark)}`;
}

function createDatabase({ database, owner }: DatabaseRequest): string {
  return `CREATE DATABASE ${escapeIdentifier(database)} OWNER ${escapeIdentifier(owner.name)} TEMPLATE template0 ENCODING 'UTF8'`;
}

/** Its owner can close a database; then the map in it could not be changed any more. */
function openDatabase(database: string, found: DatabaseFacts): string[] {
  const name = escapeIdentifier(database);
  return [
    ...(found.acceptsConnections ? [] : [`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`]),
    ...(found.connectionLimit === NO_LIMIT ? [] : [`ALTER DATABASE ${name} CONNECTION LIMIT ${NO_LIMIT}`]),
  ];
}

function grantAccess({ database, writer, reader }: DatabaseRequest, facts: ClusterFacts): string[] {
  const name = escapeIdentifier(database);
  const missing = [writer, reader].filter((role) => facts.roles.get(role.name)?.mayConnect !== true);
  const grantees = missing.map((role) => escapeIdentifier(role.name)).join(", ");
  return [
    ...(facts.databases.get(database)?.isPublic === false ? [] : [`REVOKE ALL ON DATABASE ${name} FROM PUBLIC`]),
    ...(missing.length === 0 ? [] : [`GRANT CONNECT ON DATABASE ${name} TO ${grantees}`]),
  ];
}

/** A backend that is told to end has this long to be gone; without it a request would be found not to be carried out yet. */
const TERMINATE_WAIT_MS = 5_000;

/**
 * Roles that an earlier form of the request named. They are kept, since objects may belong to them, but whoever knows
 * their password must not get in any more.
 */
function retireFormerRoles(request: DatabaseRequest, facts: ClusterFacts): string[] {
  const named = new Set(rolesOf(request).map(({ name }) => name));
  const database = escapeIdentifier(request.database);
  return [...facts.roles]
    .filter(([name, { mark }]) => mark === markOf(request.database) && !named.has(name))
    .flatMap(([name, { canLogin, verifier, mayConnect, isConnected }]) => [
      ...(mayConnect ? [`REVOKE ALL ON DATABASE ${database} FROM ${escapeIdentifier(name)} CASCADE`] : []),
      ...(canLogin || verifier !== undefined ? [`ALTER ROLE ${escapeIdentifier(name)} NOLOGIN PASSWORD NULL`] : []),
      ...(isConnected || canLogin
        ? [
            `SELECT pg_terminate_backend(pid, ${String(TERMINATE_WAIT_MS)}) FROM pg_stat_activity WHERE usename = ${escapeLiteral(name)}`,
          ]
        : []),
    ]);
}

function markDatabase(database: string): string {
  return `COMMENT ON DATABASE ${escapeIdentifier(database)} IS ${escapeLiteral(markOf(database))}`;
}

/** Removes only what was made for the very request; what is gone already is success. */
function planDrop(request: DatabaseRequest, facts: ClusterFacts): RequestPlan {
  const mark = markOf(request.database);
  const database = facts.databases.get(request.database);
  const isOurs = database?.mark === mark || (database !== undefined && facts.roles.get(database.owner)?.mark === mark);
  if (database !== undefined && !isOurs) {
    return { type: "refuse", message: `database ${request.database} belongs to somebody else and is not dropped` };
  }
  const name = escapeIdentifier(request.database);
  const roles = [...facts.roles].filter(([, role]) => role.mark === mark);
  return {
    type: "run",
    statements: [
      ...(database?.isTemplate === true ? [`ALTER DATABASE ${name} IS_TEMPLATE false`] : []),
      ...(database === undefined ? [] : [`DROP DATABASE ${name} WITH (FORCE)`]),
      ...roles.map(([role]) => `DROP ROLE ${escapeIdentifier(role)}`),
    ],
  };
}
