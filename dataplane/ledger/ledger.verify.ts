/**
 * Verifies one shard against its journal. Everything is read in one database snapshot, on two connections, so that the
 * journal is replayed while the rows of its events are compared; writes go on meanwhile.
 */
import type { Client } from "pg";
import { OperatorError } from "../../lib/core/errors.ts";
import type { ShardMemory } from "../../lib/core/shard-memory.ts";
import { closeClient, openClient, type PostgresTarget, toPostgresError } from "../../lib/node/postgres.ts";
import { EVENT_COLUMNS } from "./copy-codec.ts";
import { type BinaryRow, breakConnection, bytesReceived, copyOut, pauseConnection, readRows } from "./copy-reader.ts";
import type { DecodedBody } from "./journal-codec.ts";
import { createRowComparator } from "./row-comparator.ts";
import { beginReplay, check, finishReplay, type JournalRow, type Replay, replayBlock, violate } from "./verify-fold.ts";
import {
  compareAccounts,
  compareBalances,
  compareHead,
  compareMemory,
  comparePointers,
  readHeads,
  readSnapshots,
} from "./verify-rows.ts";
import { compareRefusals, compareSeals, compareTerms, hasSeals } from "./verify-seals.ts";

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
  /** Replay the journal alone, compare no table. */
  readonly journalOnly?: boolean;
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
    await Promise.all(clients.map(closeClient));
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

async function verify(connections: Connections, options: VerifyOptions): Promise<Replay> {
  const { journal, rows } = connections;
  const heads = await readHeads(journal);
  const onProgress = (done: number): void => options.onProgress?.({ done, total: heads[0]?.position ?? 0 });
  const assets = await journal.query<{ code: string }>("SELECT code FROM ledger.asset ORDER BY code");
  const journalOnly = options.journalOnly === true;
  const { snapshots, damaged } = journalOnly ? { snapshots: [], damaged: [] } : await readSnapshots(journal);
  const replay = beginReplay({
    shard: options.shard,
    assets: assets.rows.map((row) => row.code),
    snapshots,
    snapshotEvery: journalOnly ? 0 : options.snapshotEvery,
  });
  if (journalOnly) {
    await replayJournal(journal, replay, ({ header }) => onProgress(header.firstPosition + header.events - 1));
    finishReplay(replay);
    return replay;
  }
  for (const found of damaged) violate(replay, "snapshots", found);

  await replayAndCompare(connections, replay, onProgress);
  finishReplay(replay);
  await compareAccounts(rows, replay);
  await comparePointers(rows, replay);
  await compareBalances(rows, replay);
  compareHead(replay, heads);
  await compareRefusals(rows, replay);
  replay.isSealed = await hasSeals(rows);
  if (replay.isSealed) {
    await compareSeals(rows, replay, snapshots.length);
    await compareTerms(rows, replay, heads[0]);
  }
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
    onDifference: ({ position, column }) => {
      const what =
        column === undefined ? "the row is missing or too much" : `column ${column} differs from the journal`;
      violate(replay, "events", { what: `table event: ${what}`, position });
    },
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
  await replayJournal(journal, replay, ({ header: { events, firstPosition } }, body) => {
    check(replay, "events", events);
    if (body !== undefined) comparator.expect({ firstPosition, events, records: body.records, payload: body.payload });
    onProgress(replay.state.position);
  });
  comparator.expectEnd();
  await compared;
}

/** Replays every block; `onBlock` gets it afterwards, with its parts when it could be taken apart. */
async function replayJournal(
  journal: Client,
  replay: Replay,
  onBlock: (row: JournalRow, body: DecodedBody | undefined) => void,
): Promise<void> {
  await readRows(
    journal,
    `SELECT block, shard, epoch, format, first_position, events, accounts, recorded_at, previous_hash, hash, body
       FROM ledger.journal ORDER BY block`,
    (row) => {
      const found = toJournalRow(row);
      onBlock(found, replayBlock(replay, found));
    },
  );
}

/** The bytes are those of the stream: hashes are kept by the replay, so they are copied; the body is not. */
function toJournalRow(row: BinaryRow): JournalRow {
  return {
    header: {
      block: row.int64(0),
      shard: row.int32(1),
      epoch: row.int64(2),
      format: row.int16(3),
      firstPosition: row.int64(4),
      events: row.int32(5),
      accounts: row.int32(6),
      recordedAtMicros: row.micros(7),
    },
    previousHash: Buffer.from(row.bytes(8)),
    hash: Buffer.from(row.bytes(9)),
    body: row.bytes(10),
  };
}
