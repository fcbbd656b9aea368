/**
 * Verifies one shard against its journal. Everything is read in one database snapshot, on two connections, so that the
 * journal is replayed while the rows of its events are compared; writes go on meanwhile.
 */
import type { Client } from "pg";
import { OperatorError } from "../../lib/core/errors.ts";
import { otherDatabase, type ShardMemory, shorterLog } from "../../lib/core/shard-memory.ts";
import { openClient, type PostgresTarget, toPostgresError } from "../../lib/node/postgres.ts";
import { EVENT_COLUMNS } from "./copy-codec.ts";
import { type BinaryRow, breakConnection, bytesReceived, copyOut, pauseConnection, readRows } from "./copy-reader.ts";
import { createRowComparator } from "./row-comparator.ts";
import {
  beginReplay,
  check,
  finishReplay,
  type JournalRow,
  type Replay,
  replayBlock,
  type Snapshot,
  violate,
} from "./verify-fold.ts";

export interface VerifyOptions {
  readonly shard: number;
  /** Reader role; its time limits are switched off here. */
  readonly target: PostgresTarget;
  /**
   * A second way to the same database, by default the first. The two connections wait for each other, so they must not
   * share a port-forward: there, a connection that is not read from holds up every other one, and nothing ever moves.
   */
  readonly rowsTarget?: PostgresTarget;
  /** A snapshot must exist at each multiple of this version; 0 = only compare those that exist. */
  readonly snapshotEvery: number;
  /** What is remembered of the shard's log outside of its database; nothing when absent. */
  readonly memory?: ShardMemory;
  /** How long nothing may arrive on either connection; STALL_MS when absent. */
  readonly stallMs?: number;
  /** Called after each part of the journal. */
  readonly onProgress?: (positions: { done: number; total: number }) => void;
}

/** Replays and compares. Findings are in the answer, not thrown. @throws OperatorError SHARD_UNAVAILABLE */
export async function verifyShard(options: VerifyOptions): Promise<Replay> {
  const clients: Client[] = [];
  const guard = endWhenStalled(clients, options.stallMs ?? STALL_MS);
  try {
    const journal = await openClient(withoutLimits(options.target));
    clients.push(journal);
    const rows = await openClient(withoutLimits(options.rowsTarget ?? options.target));
    clients.push(rows);
    await shareSnapshot(journal, rows);
    return await verify({ journal, rows }, options);
  } catch (error) {
    throw guard.stalled() ?? toPostgresError(error, `shard ${options.shard}`);
  } finally {
    guard.release();
    // An error here says only that the connection was gone already.
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  }
}

/** Nothing for this long: the network is silent. A server that sorts nothing sends its first row within milliseconds. */
const STALL_MS = 120_000;

/** Looks within this time; a long computation between two looks counts as one look. */
const LOOKS_MAX = 60;

/**
 * Ends the connections when no byte arrives on any of them for `stallMs`: statements of any length are allowed here, so
 * nothing else would ever notice.
 */
function endWhenStalled(
  clients: readonly Client[],
  stallMs: number,
): { stalled(): OperatorError | undefined; release(): void } {
  let seen = 0;
  let quietLooks = 0;
  let failure: OperatorError | undefined;
  const timer = setInterval(() => {
    const bytes = clients.reduce((sum, client) => sum + bytesReceived(client), 0);
    quietLooks = bytes === seen ? quietLooks + 1 : 0;
    seen = bytes;
    if (quietLooks < LOOKS_MAX || failure !== undefined) return;
    failure = new OperatorError("SHARD_UNAVAILABLE", `the database sent nothing for ${Math.round(stallMs / 1000)} s`);
    for (const client of clients) breakConnection(client);
  }, stallMs / LOOKS_MAX);
  return { stalled: () => failure, release: () => clearInterval(timer) };
}

function withoutLimits(target: PostgresTarget): PostgresTarget {
  return { ...target, timeouts: { ...target.timeouts, statementMs: 0, answerMs: 0, idleInTransactionMs: 0 } };
}

const BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/** Rows lie in the order of their positions: walking the primary key beats sorting, which a table without statistics may get. */
const IN_KEY_ORDER = "SET LOCAL enable_sort = off; SET LOCAL max_parallel_workers_per_gather = 0";

async function shareSnapshot(first: Client, second: Client): Promise<void> {
  await first.query(`${BEGIN}; ${IN_KEY_ORDER}`);
  const { rows } = await first.query<{ snapshot: string }>("SELECT pg_export_snapshot() AS snapshot");
  await second.query(BEGIN);
  await second.query(`SET TRANSACTION SNAPSHOT '${(rows[0] as { snapshot: string }).snapshot}'`);
  await second.query(IN_KEY_ORDER);
}

interface Connections {
  readonly journal: Client;
  readonly rows: Client;
}

interface Head {
  readonly shard: number;
  readonly position: number;
  readonly block: number;
  readonly accounts: number;
  readonly hash: Buffer;
}

async function verify(connections: Connections, options: VerifyOptions): Promise<Replay> {
  const { journal, rows } = connections;
  const head = (await journal.query<Head>("SELECT shard, position, block, accounts, hash FROM ledger.head")).rows[0];
  const assets = await journal.query<{ code: string }>("SELECT code FROM ledger.asset ORDER BY code");
  const replay = beginReplay({
    shard: options.shard,
    assets: assets.rows.map((row) => row.code),
    snapshots: await readSnapshots(journal),
    snapshotEvery: options.snapshotEvery,
  });

  await replayAndCompare(connections, replay, (done) => options.onProgress?.({ done, total: head?.position ?? 0 }));
  finishReplay(replay);
  await compareAccounts(rows, replay);
  await compareBalances(rows, replay);
  compareHead(replay, head);
  if (options.memory !== undefined) await compareMemory(rows, replay, options.memory);
  return replay;
}

// --- journal and table event ---

/** Two long streams side by side: the journal is replayed, and the table's rows are compared with what it says. */
async function replayAndCompare(
  { journal, rows }: Connections,
  replay: Replay,
  onProgress: (position: number) => void,
): Promise<void> {
  const comparator = createRowComparator({
    onDifference: (position) =>
      violate(replay, "events", {
        what: "the row is missing, too much or differs from the journal's record",
        position,
      }),
    pauseActual: (paused) => pauseConnection(rows, paused),
    pauseExpected: (paused) => pauseConnection(journal, paused),
  });
  const compared = copyOut(
    rows,
    `SELECT ${EVENT_COLUMNS.join(", ")} FROM ledger.event ORDER BY position`,
    comparator.actual,
  ).then(comparator.actualEnd);
  // Waited for below; a failure of the journal's stream must not leave this one without a listener.
  compared.catch(() => undefined);
  await readRows(
    journal,
    `SELECT block, shard, epoch, format, first_position, events, accounts, recorded_at, previous_hash, hash, body
       FROM ledger.journal ORDER BY block`,
    (row) => {
      const found = toJournalRow(row);
      const body = replayBlock(replay, found);
      const { events, firstPosition } = found.header;
      check(replay, "events", events);
      if (body !== undefined)
        comparator.expect({ firstPosition, events, records: body.records, payload: body.payload });
      onProgress(replay.state.position);
    },
  );
  comparator.expectEnd();
  await compared;
}

/** The bytes are those of the stream: hashes are kept by the replay, so they are copied; the body is not. */
function toJournalRow(row: BinaryRow): JournalRow {
  return {
    header: {
      block: row.int64(0),
      shard: row.int32(1),
      epoch: row.int64(2),
      firstPosition: row.int64(4),
      events: row.int32(5),
      accounts: row.int32(6),
      recordedAtMicros: row.micros(7),
    },
    format: row.int16(3),
    previousHash: Buffer.from(row.bytes(8)),
    hash: Buffer.from(row.bytes(9)),
    body: row.bytes(10),
  };
}

// --- the other tables ---

async function readSnapshots(client: Client): Promise<Snapshot[]> {
  const snapshots: Snapshot[] = [];
  await readRows(
    client,
    "SELECT account, version, position, posted, state_hash FROM ledger.snapshot ORDER BY position, account",
    (row) => {
      snapshots.push({
        account: row.int64(0),
        version: row.int64(1),
        position: row.int64(2),
        posted: row.int64(3),
        stateHash: Buffer.from(row.bytes(4)),
      });
    },
  );
  return snapshots;
}

async function compareAccounts(client: Client, replay: Replay): Promise<void> {
  let next = 0;
  await readRows(
    client,
    "SELECT id, ext_id, placement_key, asset, floor, opened_at FROM ledger.account ORDER BY id",
    (row) => {
      const opening = replay.openings[next];
      next += 1;
      const same =
        opening !== undefined &&
        row.int64(0) === opening.account &&
        row.text(1) === opening.extId &&
        row.text(2) === opening.placementKey &&
        row.text(3) === opening.asset &&
        row.int64(4) === opening.floor &&
        row.micros(5) === opening.openedAtMicros;
      if (!same) violate(replay, "accounts", { what: `row of account ${row.int64(0)} differs from the journal` });
    },
  );
  if (next < replay.openings.length) violate(replay, "accounts", { what: `row of account ${next + 1} is missing` });

  const left = new Map(replay.state.pointers);
  await readRows(client, "SELECT ext_id, placement_key FROM ledger.account_directory", (row) => {
    const extId = row.text(0);
    if (left.get(extId) !== row.text(1))
      violate(replay, "accounts", { what: `pointer "${extId}" differs from the journal` });
    left.delete(extId);
  });
  for (const extId of left.keys()) violate(replay, "accounts", { what: `pointer "${extId}" is missing` });
}

async function compareBalances(client: Client, replay: Replay): Promise<void> {
  const { state } = replay;
  let next = 0;
  await readRows(
    client,
    "SELECT account, floor, posted, version, last_position FROM ledger.balance ORDER BY account",
    (row) => {
      next += 1;
      check(replay, "current");
      const same =
        row.int64(0) === next &&
        row.int64(1) === state.floor[next] &&
        row.int64(2) === state.posted[next] &&
        row.int64(3) === state.version[next] &&
        row.int64(4) === state.lastPosition[next];
      if (same) return;
      const what = `account ${row.int64(0)}: the row says ${row.int64(2)} at version ${row.int64(3)}, the replay ${state.posted[next]} at version ${state.version[next]}`;
      const position = state.lastPosition[next];
      violate(replay, "current", { what, ...(position === undefined ? {} : { position }) });
    },
  );
  if (next !== state.accounts) {
    violate(replay, "current", { what: `${next} rows for ${state.accounts} accounts` });
  }
}

function compareHead(replay: Replay, head: Head | undefined): void {
  const { state } = replay;
  check(replay, "head");
  const same =
    head !== undefined &&
    head.shard === replay.shard &&
    head.position === state.position &&
    head.block === state.block &&
    head.accounts === state.accounts &&
    head.hash.equals(state.hash);
  if (same) return;
  const what =
    head === undefined
      ? "the table has no row"
      : `head says position ${head.position}, block ${head.block}, ${head.accounts} accounts; the journal ends at position ${state.position}, block ${state.block}, ${state.accounts} accounts`;
  violate(replay, "head", { what });
}

/** A log that was cut short, or begun anew, is whole in itself: only what was seen of it before tells. */
async function compareMemory(client: Client, replay: Replay, memory: ShardMemory): Promise<void> {
  const { shard, state } = replay;
  if (memory.systemIdentifier !== undefined) {
    const { rows } = await client.query<{ id: string }>(
      "SELECT system_identifier::text AS id FROM pg_control_system()",
    );
    check(replay, "memory");
    const other = otherDatabase(shard, memory, rows[0]?.id ?? "");
    if (other !== undefined) violate(replay, "memory", { what: other });
  }
  if (memory.position === undefined) return;
  check(replay, "memory");
  const shorter = shorterLog(shard, memory, state.position);
  if (shorter !== undefined) violate(replay, "memory", { what: shorter, position: state.position });
}
