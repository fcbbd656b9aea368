/**
 * All SQL of the write path. A store belongs to one takeover of one shard: it is opened, claims the epoch, loads the
 * state and commits blocks; after any failure it is closed and another one is opened, so no half-known connection is
 * ever used again.
 *
 * Two connections take turns. Block k+1 copies its events while block k is still being flushed to disk; only then does
 * it ask for the head row, which block k holds until its COMMIT.
 */
import type { Client } from "pg";
import { OperatorError } from "../../lib/core/errors.ts";
import { closeClient, openClient, type PostgresTarget, sqlState, toWriteError } from "../../lib/node/postgres.ts";
import { EVENT_COLUMNS, encodeCopy } from "./copy-codec.ts";
import { readRowsPromptly } from "./copy-reader.ts";
import { copyIn } from "./copy-writer.ts";
import type { Opening } from "./journal-codec.ts";
import { lookupKeys, readKeys, type StoredOutcome } from "./key-reads.ts";
import type { SealedBlock } from "./ledger.decider.ts";
import { addAccount, emptyState, type LedgerState } from "./ledger-state.ts";
import { byteaArray, int8Array, rawInt8Array, textArray, timestamp, timestampArray, uuidArray } from "./pg-binary.ts";

/** A command that was refused, as it will be stored. */
export interface Refusal {
  readonly key: Buffer;
  readonly fingerprint: Buffer;
  readonly id: string;
  readonly code: string;
  readonly detail: string;
}

/** A key of this shard that a payload is bound to, and the shard on which it may be used. */
export interface KeyClaim {
  readonly key: Buffer;
  readonly fingerprint: Buffer;
  readonly bucket: number;
  readonly shard: number;
}

/** Whose events a run of positions is. */
export interface ActedRun {
  /** Id of the API key. */
  readonly actor: string;
  readonly first: number;
  readonly last: number;
}

/** A block and what goes with it into one transaction. */
export interface CommitRequest {
  readonly block: SealedBlock;
  readonly refusals: readonly Refusal[];
  readonly claims?: readonly KeyClaim[];
  /** Which API keys sent the block's events. */
  readonly acted?: readonly ActedRun[];
  /** Version of the shard map that routed the commands. */
  readonly mapVersion: number;
  /** Resolves once the block before holds the head row (or has failed). */
  readonly turn: Promise<void>;
}

/** A commit under way. Both promises fail with the same error. */
export interface CommitTicket {
  /** The head row is locked and compared: the next block may ask for it. */
  readonly applied: Promise<void>;
  /** Durable. @throws OperatorError FENCED, SHARD_MAP_STALE, SHARD_DISK_FULL, SHARD_UNAVAILABLE, LEDGER_CORRUPT, INTERNAL */
  readonly committed: Promise<void>;
}

/** State of a shard as of a takeover. */
export interface LoadedLedger {
  readonly state: LedgerState;
  readonly mapVersion: number;
}

export interface LedgerStore {
  /** PostgreSQL's identifier of the cluster; changes nothing. */
  systemIdentifier(): Promise<string>;
  /** Position at which the log ends; changes nothing. */
  headPosition(): Promise<number>;
  /**
   * Looks whether every table is there with the writer's rights on it, and whether the end of the log is; changes nothing.
   * @throws OperatorError LEDGER_CORRUPT; INTERNAL with the server's words
   */
  inspect(): Promise<void>;
  /** Makes `epoch` the shard's, ending every other writer's session. @returns the former epoch; not below `epoch` = refused */
  claim(epoch: number): Promise<number>;
  /** @param onRow told of each row: a large shard takes its time */
  load(onRow: () => void): Promise<LoadedLedger>;
  /** Outcomes by key (16 bytes as a latin1 string) of the keys that are known. */
  lookup(keys: readonly Buffer[]): Promise<Map<string, StoredOutcome>>;
  commit(request: CommitRequest): CommitTicket;
  /** Hash of a journal block, for a COMMIT whose answer was lost. */
  blockHash(block: number): Promise<Buffer | undefined>;
  /**
   * Every key of the shard that was there at the call, in no order, for the filter. Reads on a connection of its own, so
   * that nothing else waits for it. @returns false when the store was closed before the last one
   */
  readKeys(onKey: (key: Buffer) => void): Promise<boolean>;
  close(): Promise<void>;
}

export interface StoreOptions {
  readonly shard: number;
  /** The writer role. */
  readonly target: PostgresTarget;
  /** Distinguishes this store's sessions from those of a former writer, which `claim` ends. */
  readonly instance: string;
}

/** Blocks in flight: one commits while the next one copies. More would only add to what a failure must undo. */
export const PIPELINE_DEPTH = 2;

/** `transaction_timeout` (17 and later): a stopped process cannot keep the head row for longer. */
const TRANSACTION_TIMEOUT_MS = 15_000;

/**
 * Rows are found by key, always: a plan made while a table was small must not scan it when it is large.
 * synchronous_commit = on is the default; it is stated because everything rests on it.
 */
const WRITING = `
  SET synchronous_commit = on;
  SET enable_seqscan = off;
  SET enable_hashjoin = off;
  SET enable_mergejoin = off;
  SELECT set_config('transaction_timeout', '${TRANSACTION_TIMEOUT_MS}', false)
   WHERE current_setting('server_version_num')::int >= 170000`;

/** Loading a large shard takes longer than any commit may; these sessions hold no lock that a writer needs. */
const READING = "SET statement_timeout = 0; SET enable_seqscan = off";

/** SQLSTATEs of ours, see 0001_init.sql. */
const WRONG_SHARD = "SX002";
const FENCED = "SX003";

/** unique_violation, serialization_failure, deadlock: only another writer can cause them. */
const FENCE_STATES = new Set([FENCED, "23505", "40001", "40P01"]);
/** check_violation: the database refuses what memory allowed. */
const CHECK_VIOLATION = "23514";

const COPY_EVENTS = `BEGIN; COPY ledger.event (${EVENT_COLUMNS.join(", ")}) FROM STDIN (FORMAT binary)`;

/** In one round trip: who sent the events, keys that are lent, and the block. */
const COMMIT_BLOCK = `
  WITH acted AS (
    INSERT INTO ledger.acting_key (first_position, last_position, api_key)
    SELECT * FROM unnest($37::bigint[], $38::bigint[], $39::uuid[])
  ), claimed AS (
    INSERT INTO ledger.key_claim (key, fingerprint, bucket, shard, batch)
    SELECT u.*, (SELECT nextval('ledger.key_claim_batch'))
      FROM unnest($40::uuid[], $41::bigint[], $42::bigint[], $43::bigint[]) AS u(key, fingerprint, bucket, shard)
  )
  SELECT ledger.commit_block(${Array.from({ length: 36 }, (_, index) => `$${index + 1}`).join(", ")})`;

interface HeadRow {
  readonly position: number;
  readonly block: number;
  readonly hasEvent: boolean;
  readonly hasBlock: boolean;
  readonly hasSealEnd: boolean;
  /** Rights that the writer does not have. */
  readonly lacking: string | null;
}

/** Reads nothing of the tables that it only names: each of them has to be there. */
const INSPECT = `
  SELECT h.position, h.block,
         EXISTS (SELECT FROM ledger.event e WHERE e.position = h.position) AS "hasEvent",
         EXISTS (SELECT FROM ledger.journal j WHERE j.block = h.block) AS "hasBlock",
         EXISTS (SELECT FROM ledger.seal_end) AS "hasSealEnd",
         (SELECT string_agg(r.privilege || ' on ' || r.name, ', ')
            FROM (VALUES ('ledger.journal', 'INSERT'), ('ledger.event', 'INSERT'), ('ledger.account', 'INSERT'),
                         ('ledger.account_directory', 'INSERT'), ('ledger.balance', 'INSERT'), ('ledger.rejection', 'INSERT'),
                         ('ledger.snapshot', 'INSERT'), ('ledger.acting_key', 'INSERT'), ('ledger.term', 'INSERT'),
                         ('ledger.key_claim', 'INSERT'),
                         ('ledger.head', 'UPDATE'), ('ledger.balance', 'UPDATE'))
                 AS r (name, privilege)
           WHERE NOT has_table_privilege(r.name, r.privilege)) AS lacking
    FROM ledger.head h
   WHERE NOT EXISTS (SELECT FROM ledger.account, ledger.account_directory, ledger.asset, ledger.balance, ledger.rejection,
                                 ledger.snapshot, ledger.acting_key, ledger.api_key, ledger.api_key_revocation, ledger.seal,
                                 ledger.term, ledger.key_claim LIMIT 0)`;

function corrupt(shard: number, what: string): OperatorError {
  return new OperatorError("LEDGER_CORRUPT", `shard ${shard}: ${what}`);
}

/** Application name of all writer sessions of a shard; `claim` finds them by it. */
function applicationPrefix(shard: number): string {
  return `shieldx-writer-${shard}-`;
}

/** Opens the connections of one takeover. @throws OperatorError SHARD_UNAVAILABLE */
export async function openStore(options: StoreOptions): Promise<LedgerStore> {
  const clients: Client[] = [];
  let isClosed = false;
  const close = async (): Promise<void> => {
    isClosed = true;
    await Promise.all(clients.map(closeClient));
  };
  try {
    clients.push(await openSession(options, READING));
    while (clients.length <= PIPELINE_DEPTH) clients.push(await openSession(options, WRITING));
  } catch (error) {
    await close();
    throw error;
  }
  const [reader, ...writers] = clients as [Client, ...Client[]];
  const convert: Convert = (error, client = reader) => storeError(error, options.shard, client);
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw await convert(error);
    }
  };
  let turnOf = 0;

  return {
    systemIdentifier: () =>
      guarded(async () => {
        const sql = "SELECT system_identifier::text AS id FROM pg_control_system()";
        const { rows } = await reader.query<{ id: string }>(sql);
        return (rows[0] as { id: string }).id;
      }),
    headPosition: () =>
      guarded(async () => {
        const { rows } = await reader.query<{ position: number }>("SELECT position FROM ledger.head");
        return rows[0]?.position ?? 0;
      }),
    inspect: () =>
      guarded(async () => {
        const { rows } = await reader.query<HeadRow>(INSPECT);
        const [head] = rows;
        if (head === undefined) throw corrupt(options.shard, "table ledger.head has no row");
        const { position, block, hasEvent, hasBlock, hasSealEnd, lacking } = head;
        if (lacking !== null) throw corrupt(options.shard, `the writer's role lacks ${lacking}`);
        if (!hasSealEnd) throw corrupt(options.shard, "table ledger.seal_end has no row");
        if (position > 0 && !hasEvent) {
          throw corrupt(options.shard, `the log ends at position ${position}, which table ledger.event does not have`);
        }
        if (block > 0 && !hasBlock) {
          throw corrupt(options.shard, `the log ends with block ${block}, which table ledger.journal does not have`);
        }
      }),
    claim: (epoch) =>
      guarded(async () => {
        const { rows } = await reader.query<{ former: number }>("SELECT ledger.claim($1, $2, $3) AS former", [
          options.shard,
          epoch,
          applicationPrefix(options.shard),
        ]);
        return (rows[0] as { former: number }).former;
      }),
    load: (onRow) => guarded(() => loadLedger(reader, onRow)),
    lookup: (keys) => guarded(() => lookupKeys(reader, keys)),
    commit: (request) => {
      turnOf = (turnOf + 1) % writers.length;
      return commitOn(writers[turnOf] as Client, request, convert);
    },
    blockHash: (block) =>
      guarded(async () => {
        const { rows } = await reader.query<{ hash: Buffer }>("SELECT hash FROM ledger.journal WHERE block = $1", [
          block,
        ]);
        return rows[0]?.hash;
      }),
    readKeys: async (onKey) => {
      const scanner = await openSession(options, READING);
      clients.push(scanner);
      try {
        if (isClosed) return false;
        await readKeys(scanner, onKey);
        return true;
      } catch (error) {
        if (isClosed) return false;
        throw await convert(error, scanner);
      } finally {
        await closeClient(scanner);
      }
    },
    close,
  };
}

async function openSession(options: StoreOptions, settings: string): Promise<Client> {
  const client = await openClient({
    ...options.target,
    applicationName: `${applicationPrefix(options.shard)}${options.instance}`,
  });
  try {
    await client.query(settings);
    return client;
  } catch (error) {
    await closeClient(client);
    throw error;
  }
}

type Convert = (error: unknown, client?: Client) => Promise<OperatorError>;

/** Converts at the wall: what only another writer can cause is FENCED. @param client the one whose statement failed */
async function storeError(error: unknown, shard: number, client: Client): Promise<OperatorError> {
  const state = sqlState(error);
  const text = error instanceof Error ? error.message : String(error);
  if (state !== undefined && FENCE_STATES.has(state)) {
    return new OperatorError("FENCED", `shard ${shard}: ${text}`, { cause: error, retryAfterSeconds: 1 });
  }
  if (state === CHECK_VIOLATION || state === WRONG_SHARD) {
    return new OperatorError("LEDGER_CORRUPT", `shard ${shard}: ${text}`, { cause: error });
  }
  return toWriteError(error, `shard ${shard}`, {
    query: async (text) => {
      await client.query("ROLLBACK");
      return client.query<Record<string, unknown>>(text);
    },
  });
}

function commitOn(client: Client, request: CommitRequest, convert: Convert): CommitTicket {
  const applied = (async () => {
    await copyEvents(client, request.block);
    await request.turn;
    await client.query({ name: "commit_block", text: COMMIT_BLOCK, values: commitParameters(request) });
  })().catch(async (error: unknown) => {
    throw await convert(error, client);
  });
  const committed = applied.then(async () => {
    const result = await client.query("COMMIT").catch(async (error: unknown) => {
      throw await convert(error, client);
    });
    if (result.command !== "COMMIT") {
      throw new OperatorError("INTERNAL", `COMMIT was answered with ${result.command}`);
    }
  });
  // Who waits for `committed` sees the error; `applied` has a waiter only when another block follows.
  applied.catch(() => undefined);
  return { applied, committed };
}

async function copyEvents(client: Client, block: SealedBlock): Promise<void> {
  const { events, firstPosition } = block.header;
  if (events === 0) {
    await client.query("BEGIN");
    return;
  }
  const { records, payload } = block;
  await copyIn(client, COPY_EVENTS, encodeCopy({ firstPosition, events, records, payload }));
}

function commitParameters(request: CommitRequest): unknown[] {
  const { block, refusals, claims = [], acted = [], mapVersion } = request;
  const { header, base, content, balances, snapshots } = block;
  const openings = block.entries.filter((entry): entry is Opening => entry.type === "opening");
  const pointers = block.entries.filter((entry) => entry.type === "pointer");
  return [
    header.shard,
    header.epoch,
    mapVersion,
    base.position,
    base.block,
    base.accounts,
    base.hash,
    header.format,
    header.events,
    header.accounts,
    timestamp(header.recordedAtMicros),
    content?.hash ?? null,
    content?.body ?? null,
    int8Array(openings.map((opening) => opening.account)),
    textArray(openings.map((opening) => opening.extId)),
    textArray(openings.map((opening) => opening.placementKey)),
    textArray(openings.map((opening) => opening.asset)),
    int8Array(openings.map((opening) => opening.floor)),
    timestampArray(openings.map((opening) => opening.openedAtMicros)),
    textArray(pointers.map((pointer) => pointer.extId)),
    textArray(pointers.map((pointer) => pointer.placementKey)),
    int8Array(balances.account),
    int8Array(balances.posted),
    int8Array(balances.version),
    int8Array(balances.expected),
    int8Array(balances.position),
    int8Array(snapshots.account),
    int8Array(snapshots.version),
    int8Array(snapshots.position),
    int8Array(snapshots.posted),
    byteaArray(snapshots.hash),
    uuidArray(refusals.map((refusal) => refusal.key)),
    rawInt8Array(refusals.map((refusal) => refusal.fingerprint)),
    textArray(refusals.map((refusal) => refusal.id)),
    textArray(refusals.map((refusal) => refusal.code)),
    textArray(refusals.map((refusal) => refusal.detail)),
    int8Array(acted.map((run) => run.first)),
    int8Array(acted.map((run) => run.last)),
    uuidArray(acted.map((run) => Buffer.from(run.actor.replaceAll("-", ""), "hex"))),
    uuidArray(claims.map((claim) => claim.key)),
    rawInt8Array(claims.map((claim) => claim.fingerprint)),
    int8Array(claims.map((claim) => claim.bucket)),
    int8Array(claims.map((claim) => claim.shard)),
  ];
}

/** Reads everything in one snapshot, so that head, balances and map version belong together. */
async function loadLedger(client: Client, onRow: () => void): Promise<LoadedLedger> {
  await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  const head = await client.query<{
    position: number;
    block: number;
    accounts: number;
    hash: Buffer;
    recorded_at: number;
  }>(
    "SELECT position, block, accounts, hash, (extract(epoch FROM recorded_at) * 1000000)::bigint AS recorded_at FROM ledger.head",
  );
  const map = await client.query<{ version: number }>("SELECT version FROM shard_meta.map");
  const assets = await client.query<{ code: string }>("SELECT code FROM ledger.asset ORDER BY code");
  const state = emptyState(assets.rows.map((row) => row.code));
  await readRowsPromptly(
    client,
    `SELECT a.id, a.ext_id, a.placement_key, a.asset, a.floor, b.posted, b.version, b.last_position
       FROM ledger.account a JOIN ledger.balance b ON b.account = a.id ORDER BY a.id`,
    (row) => {
      onRow();
      const number = addAccount(state, {
        extId: row.text(1),
        placementKey: row.text(2),
        asset: row.text(3),
        floor: row.int64(4),
      });
      if (number !== row.int64(0)) throw new OperatorError("LEDGER_CORRUPT", `account ${number} is missing`);
      state.posted[number] = row.int64(5);
      state.version[number] = row.int64(6);
      state.lastPosition[number] = row.int64(7);
    },
  );
  await readRowsPromptly(client, "SELECT ext_id, placement_key FROM ledger.account_directory", (row) => {
    onRow();
    state.pointers.set(row.text(0), row.text(1));
  });
  await client.query("COMMIT");

  const row = head.rows[0];
  const version = map.rows[0]?.version;
  if (row === undefined) throw new OperatorError("LEDGER_CORRUPT", "table ledger.head has no row");
  if (version === undefined) throw new OperatorError("SHARD_UNAVAILABLE", "the shard has no shard map yet");
  if (row.accounts !== state.accounts) {
    throw new OperatorError(
      "LEDGER_CORRUPT",
      `head counts ${row.accounts} accounts, the tables hold ${state.accounts}`,
    );
  }
  state.position = row.position;
  state.block = row.block;
  state.hash = row.hash;
  state.recordedAtMicros = row.recorded_at;
  return { state, mapVersion: version };
}
