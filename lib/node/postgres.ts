import type { Duplex } from "node:stream";
import type { ConnectionOptions } from "node:tls";
import { Client, type ClientBase, type ClientConfig, type CustomTypesConfig, DatabaseError, Pool, types } from "pg";
import { isOperatorError, OperatorError } from "../core/errors.ts";

/** How to reach one PostgreSQL server: the local socket (peer authentication) or TCP with TLS 1.3 and full verification. */
export type PostgresAddress =
  | { readonly socketDir: string; readonly port: number }
  | {
      readonly host: string;
      readonly port: number;
      /**
       * Bundle of trusted CA certificates, PEM. The server's certificate must name `host`. A function is asked at each new
       * connection, so a changed file is picked up.
       */
      readonly caPem: string | (() => string);
    };

/** Who connects to what, and for how long anything may take. */
export interface PostgresTarget {
  readonly address: PostgresAddress;
  readonly database: string;
  readonly user: string;
  /** SCRAM password; none on the local socket. A function is asked at each new connection, so a changed file is picked up. */
  readonly password?: string | (() => string | Promise<string>);
  /** Shown in `pg_stat_activity`. */
  readonly applicationName: string;
  readonly timeouts?: Partial<PostgresTimeouts>;
  /** Settings of the session: they win over those of the database and the role, unlike what is SET for these. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Milliseconds; 0 switches a server-side limit off. */
export interface PostgresTimeouts {
  /** Name resolution, TCP, TLS and login together. */
  readonly connectMs: number;
  /** `statement_timeout` on the server. */
  readonly statementMs: number;
  /** `lock_timeout` on the server. */
  readonly lockMs: number;
  /** `idle_in_transaction_session_timeout` on the server: a stuck client cannot hold locks for ever. */
  readonly idleInTransactionMs: number;
  /** On the client, from sending a query to its answer: the only limit that notices a silent network. 0 switches it off. */
  readonly answerMs: number;
}

/** Limits for short transactions. Long scans name their own. */
export const DEFAULT_TIMEOUTS: PostgresTimeouts = {
  connectMs: 3_000,
  statementMs: 10_000,
  lockMs: 5_000,
  idleInTransactionMs: 15_000,
  answerMs: 15_000,
};

/** SQLSTATE that `shard_meta.guard` raises when the caller's shard map is not the database's. */
export const STALE_MAP_SQLSTATE = "SH001";

/** SQLSTATE of a file that could not be extended: the volume is full. */
export const DISK_FULL_SQLSTATE = "53100";

/** SQLSTATE of a write in a read-only transaction: the server's way to refuse writes while its volume fills up. */
export const READ_ONLY_SQLSTATE = "25006";

/** Setting in which a server that refuses writes says why; absent on one that accepts them. */
export const WRITES_REFUSED_SETTING = "shieldx.writes_refused";

/** Seconds after which a client should try a shard again: about the time of a crash restart. */
const RETRY_AFTER_SECONDS = 1;

/** A pool's upper bound of connections and how it reports the loss of idle ones. */
export interface PoolOptions {
  readonly max: number;
  /** Called when an idle connection breaks; the pool replaces it by itself. */
  readonly onIdleError: (error: OperatorError) => void;
}

/**
 * Opens one connection.
 * @throws OperatorError SHARD_UNAVAILABLE and others of `toPostgresError`
 */
export async function openClient(target: PostgresTarget): Promise<Client> {
  const client = new Client(clientConfig(target));
  // Without a listener a broken idle connection would end the process; the next query reports the loss.
  client.on("error", () => undefined);
  try {
    await client.connect();
    return client;
  } catch (error) {
    throw toPostgresError(error, describeTarget(target));
  }
}

/** Connections of each pool that are open. */
const clientsOf = new WeakMap<Pool, Set<ClientBase>>();

/** Makes a pool; it connects on demand, so this never fails. End it with `closePool`. */
export function openPool(target: PostgresTarget, options: PoolOptions): Pool {
  const pool = new Pool({ ...clientConfig(target), max: options.max, idleTimeoutMillis: 60_000 });
  const clients = new Set<ClientBase>();
  clientsOf.set(pool, clients);
  pool.on("connect", (client) => clients.add(client));
  pool.on("remove", (client) => clients.delete(client));
  pool.on("error", (error) => options.onIdleError(toPostgresError(error, describeTarget(target))));
  return pool;
}

/**
 * Runs `work` in one transaction: COMMIT when it returns, ROLLBACK when it throws. The error is passed on unchanged.
 * @param begin the opening statement, for isolation levels
 */
export async function inTransaction<T>(
  client: ClientBase,
  work: () => Promise<T>,
  begin: string = "BEGIN",
): Promise<T> {
  await client.query(begin);
  try {
    const result = await work();
    await client.query("COMMIT");
    return result;
  } catch (error) {
    // The first failure is the one to tell; a ROLLBACK that fails too means the connection is gone, and so is the transaction.
    await client.query("ROLLBACK").catch(() => undefined);
    throw error;
  }
}

/** Runs `work` with one connection that is closed afterwards, whatever happens. Errors are converted by `toPostgresError`. */
export async function withClient<T>(target: PostgresTarget, work: (client: Client) => Promise<T>): Promise<T> {
  const client = await openClient(target);
  try {
    return await work(client);
  } catch (error) {
    throw toPostgresError(error, describeTarget(target));
  } finally {
    await closeClient(client);
  }
}

/** A server takes a goodbye in a millisecond. */
const GOODBYE_MS = 1_000;

/** Ends a connection, also one whose server hangs: such a one would never answer the goodbye, and is cut off. */
export async function closeClient(client: Client): Promise<void> {
  const cut = setTimeout(() => streamOf(client).destroy(), GOODBYE_MS);
  // An error here says only that the connection was gone already.
  await client.end().catch(() => undefined);
  clearTimeout(cut);
}

/** Cuts off all connections of a pool: what waits on them fails at once. It connects anew on demand. */
export function cutPool(pool: Pool): void {
  for (const client of clientsOf.get(pool) ?? []) streamOf(client).destroy();
}

/** Ends a pool as `closeClient` ends a connection; queries that are under way have as long to end. */
export async function closePool(pool: Pool): Promise<void> {
  const cut = setTimeout(() => cutPool(pool), GOODBYE_MS);
  await pool.end();
  clearTimeout(cut);
}

/** The driver shows its socket to nobody; its types leave it out. */
function streamOf(client: ClientBase): Duplex {
  return (client as unknown as { readonly connection: { readonly stream: Duplex } }).connection.stream;
}

/** Errors of sockets and name resolution that say "not reachable now". */
const NETWORK_CODES = new Set([
  "ECONNREFUSED",
  // A Unix socket whose server takes no connections: its queue is full.
  "EAGAIN",
  "ECONNRESET",
  "ECONNABORTED",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENETDOWN",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EPIPE",
  "ENOENT",
  "ERR_STREAM_DESTROYED",
  "ERR_STREAM_WRITE_AFTER_END",
]);

/** Messages of the driver itself; it gives them no code. */
const DRIVER_LOSS =
  /^(Connection terminated|Query read timeout|timeout expired|timeout exceeded when trying to connect|The server does not support SSL|There was an error establishing an SSL|Client has encountered a connection error|Client was closed)/;

/**
 * SQLSTATEs (or classes of two characters) that heal by themselves: connection lost, resources, shutdown, start-up,
 * role or database not made yet, timeouts, serialization failures and deadlocks.
 */
const TRANSIENT_STATES = new Set([
  "08",
  "53",
  "28000",
  "28P01",
  "3D000",
  "57P01",
  "57P02",
  "57P03",
  "57P05",
  "57014",
  "55P03",
  "25006",
  "25P03",
  "25P04",
  "40001",
  "40P01",
  "58030",
]);

/** SQLSTATEs after which the connection is gone, so that the outcome of a COMMIT in flight is not known. */
const LOSS_STATES = new Set(["57P01", "57P02", "57P05", "25P03", "25P04"]);

/** The SQLSTATE of a server's error; `undefined` for network and driver errors. */
export function sqlState(error: unknown): string | undefined {
  if (error instanceof DatabaseError) return error.code;
  if (isOperatorError(error)) return sqlState(error.cause);
  return undefined;
}

/** True when the connection broke: what was sent may or may not have been carried out. */
export function isConnectionLoss(error: unknown): boolean {
  if (isOperatorError(error)) return error.cause !== undefined && isConnectionLoss(error.cause);
  const state = sqlState(error);
  if (state !== undefined) return LOSS_STATES.has(state) || state.startsWith("08");
  const { code, message } = error as { code?: unknown; message?: unknown };
  return isNetworkCode(code) || (typeof message === "string" && DRIVER_LOSS.test(message));
}

/** What the driver says when no answer came in time, and the SQLSTATE of the server's own limit. */
const NO_ANSWER = /(timeout expired|Query read timeout)$/;
const STATEMENT_TIMEOUT_SQLSTATE = "57014";

/** True when the server is there but does not answer: neither an error of its own nor a refused connection. */
export function isSilence(error: unknown): boolean {
  if (isOperatorError(error)) return error.cause !== undefined && isSilence(error.cause);
  const state = sqlState(error);
  if (state !== undefined) return state === STATEMENT_TIMEOUT_SQLSTATE;
  const { code, message } = error as { code?: unknown; message?: unknown };
  return code === "EAGAIN" || (typeof message === "string" && NO_ANSWER.test(message));
}

/** Seconds after which a client should try a full volume again: nobody makes room faster. */
const RETRY_FULL_AFTER_SECONDS = 5;

/** Shared memory that ends is told with the same SQLSTATE as a full volume, but it is not one. */
const SHARED_MEMORY = /shared memory segment/;

/**
 * True when the server has answered that there is no room. A backend that cannot go on (PANIC) says so too, but by then
 * a COMMIT may be on its way to the disk: that is a lost connection.
 */
function isDiskFull(error: unknown): boolean {
  if (sqlState(error) !== DISK_FULL_SQLSTATE || !(error instanceof DatabaseError)) return false;
  return error.severity === "ERROR" && !SHARED_MEMORY.test(error.message);
}

/**
 * As `toPostgresError`, for a statement that writes: one that met a read-only transaction is SHARD_DISK_FULL with the
 * server's own sentence, where the server refuses writes for that reason.
 * @param asked another connection to the same server, or the same one outside of a transaction
 */
export async function toWriteError(error: unknown, what: string, asked: Queryable): Promise<OperatorError> {
  const plain = toPostgresError(error, what);
  if (sqlState(error) !== READ_ONLY_SQLSTATE) return plain;
  try {
    const { rows } = await asked.query(`SELECT current_setting('${WRITES_REFUSED_SETTING}', true) AS why`);
    const why = (rows[0] as { why: string | null } | undefined)?.why ?? "";
    if (why === "") return plain;
    return new OperatorError("SHARD_DISK_FULL", `${what}: ${why}`, {
      cause: error,
      retryAfterSeconds: RETRY_FULL_AFTER_SECONDS,
    });
  } catch {
    // Who cannot be asked does not say why; the refusal itself stands.
    return plain;
  }
}

/** What can be asked a question: a client or a pool. */
export interface Queryable {
  query(text: string): Promise<{ rows: unknown[] }>;
}

/**
 * Any failure of the driver or the server as an `OperatorError`: SHARD_UNAVAILABLE for what heals by itself,
 * SHARD_DISK_FULL for a server without room, SHARD_MAP_STALE for the guard's SH001, INTERNAL for the rest. The server's DETAIL is left out: it may quote data.
 * @param what the target in words, for the message
 */
export function toPostgresError(error: unknown, what: string): OperatorError {
  if (isOperatorError(error)) return error;
  const state = sqlState(error);
  const text = error instanceof Error ? error.message : String(error);
  if (state === STALE_MAP_SQLSTATE) {
    return new OperatorError("SHARD_MAP_STALE", text, { cause: error, retryAfterSeconds: RETRY_AFTER_SECONDS });
  }
  const heals =
    state === undefined
      ? isConnectionLoss(error) || isTlsFailure(error)
      : TRANSIENT_STATES.has(state) || TRANSIENT_STATES.has(state.slice(0, 2));
  const message = state === undefined ? `${what}: ${text}` : `${what}: ${text} (SQLSTATE ${state})`;
  if (isDiskFull(error)) {
    return new OperatorError("SHARD_DISK_FULL", message, {
      cause: error,
      retryAfterSeconds: RETRY_FULL_AFTER_SECONDS,
    });
  }
  if (heals) {
    return new OperatorError("SHARD_UNAVAILABLE", message, { cause: error, retryAfterSeconds: RETRY_AFTER_SECONDS });
  }
  return new OperatorError("INTERNAL", message, { cause: error });
}

function isNetworkCode(code: unknown): boolean {
  return typeof code === "string" && NETWORK_CODES.has(code);
}

/** A certificate that is not valid (yet, or any more) is cured by the controller's renewal, not by the caller. */
function isTlsFailure(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" && /^(ERR_TLS_|ERR_SSL_|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_)/.test(code);
}

function describeTarget(target: PostgresTarget): string {
  const { address } = target;
  const where = "host" in address ? `${address.host}:${address.port}` : address.socketDir;
  return `PostgreSQL ${where}, database ${target.database}, user ${target.user}`;
}

const INT8_OID = 20;

/**
 * `bigint` columns arrive as numbers: every bigint of ours is a safe integer by its CHECK. One that is not is refused
 * rather than rounded; cast foreign ones (system identifiers) to text in the query. `sum(bigint)` is `numeric` and
 * arrives as text.
 */
function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) {
    throw new OperatorError("INTERNAL", "a bigint from the database is beyond 2^53-1");
  }
  return value;
}

const typeParsers: CustomTypesConfig = {
  getTypeParser: ((oid: number, format: "text" | "binary" = "text"): unknown =>
    oid === INT8_OID && format === "text" ? parseInt8 : getDefaultParser(oid, format)) as typeof types.getTypeParser,
};

/** The driver's own parsers; its types know only the ids that it names. */
const getDefaultParser = types.getTypeParser as (oid: number, format: string) => unknown;

/** Functions of the same name in another schema must never be picked up (CVE-2018-1058 and kin). */
const OUR_SEARCH_PATH = "pg_catalog";

/** As PostgreSQL reads `options` of a start-up packet: words end at white space, unless a backslash stands before it. */
function startupOptions(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value.replace(/[\\\s]/g, "\\$&")}`)
    .join(" ");
}

/** The driver copies these options at each connection, and with that asks for the bundle. */
function tlsOptions(caPem: string | (() => string)): ConnectionOptions {
  const how = { minVersion: "TLSv1.3", rejectUnauthorized: true } as const;
  if (typeof caPem === "string") return { ...how, ca: caPem };
  return Object.defineProperty({ ...how }, "ca", { enumerable: true, get: caPem });
}

function clientConfig(target: PostgresTarget): ClientConfig {
  const timeouts = { ...DEFAULT_TIMEOUTS, ...target.timeouts };
  const { address } = target;
  return {
    ...("host" in address
      ? {
          host: address.host,
          port: address.port,
          ssl: tlsOptions(address.caPem),
          enableChannelBinding: true,
        }
      : { host: address.socketDir, port: address.port, ssl: false }),
    database: target.database,
    user: target.user,
    ...(target.password === undefined ? {} : { password: target.password }),
    application_name: target.applicationName,
    connectionTimeoutMillis: timeouts.connectMs,
    statement_timeout: timeouts.statementMs,
    lock_timeout: timeouts.lockMs,
    idle_in_transaction_session_timeout: timeouts.idleInTransactionMs,
    ...(timeouts.answerMs > 0 ? { query_timeout: timeouts.answerMs } : {}),
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    options: startupOptions({ ...target.settings, search_path: OUR_SEARCH_PATH }),
    types: typeParsers,
  };
}
