/**
 * Verifies one shard against its journal. Everything is read in one database snapshot, on two connections, so that the
 * next part of the journal is replayed while the rows of the last one are compared; writes go on meanwhile.
 */
import type { Client } from "pg";
import { openClient, type PostgresTarget, toPostgresError } from "../../lib/node/postgres.ts";
import { COPY_HEADER, COPY_TRAILER, EVENT_COLUMNS, type EventRun, encodeRows, rowsLength } from "./copy-codec.ts";
import { copyOut, readRows } from "./copy-reader.ts";
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
  /** A snapshot must exist at each multiple of this version; 0 = only compare those that exist. */
  readonly snapshotEvery: number;
  /** Called after each part of the journal. */
  readonly onProgress?: (positions: { done: number; total: number }) => void;
}

/** Bytes of journal in memory at once; the rows made from them take about twice as much. */
const PART_BYTES = 8 * 1024 * 1024;
const PART_BLOCKS_FIRST = 4;
const PART_BLOCKS_MAX = 4_096;

/** Replays and compares. Findings are in the answer, not thrown. @throws OperatorError SHARD_UNAVAILABLE */
export async function verifyShard(options: VerifyOptions): Promise<Replay> {
  const target = {
    ...options.target,
    timeouts: { ...options.target.timeouts, statementMs: 0, answerMs: 0, idleInTransactionMs: 0 },
  };
  const clients: Client[] = [];
  try {
    const journal = await openClient(target);
    clients.push(journal);
    const rows = await openClient(target);
    clients.push(rows);
    await shareSnapshot(journal, rows);
    return await verify({ journal, rows }, options);
  } catch (error) {
    throw toPostgresError(error, `shard ${options.shard}`);
  } finally {
    // An error here says only that the connection was gone already.
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  }
}

const BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

async function shareSnapshot(first: Client, second: Client): Promise<void> {
  await first.query(BEGIN);
  const { rows } = await first.query<{ snapshot: string }>("SELECT pg_export_snapshot() AS snapshot");
  await second.query(BEGIN);
  await second.query(`SET TRANSACTION SNAPSHOT '${(rows[0] as { snapshot: string }).snapshot}'`);
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

  let part = await readPart(journal, { after: 0, blocks: PART_BLOCKS_FIRST });
  while (part.rows.length > 0) {
    const next = readPart(journal, { after: part.lastBlock, blocks: nextBlocks(part) });
    // Waited for below; a failure of the comparison must not leave this one without a listener.
    next.catch(() => undefined);
    await compareEvents(rows, replay, replayPart(replay, part));
    options.onProgress?.({ done: replay.state.position, total: head?.position ?? 0 });
    part = await next;
  }
  finishReplay(replay);
  await compareEventCount(rows, replay);
  await compareAccounts(rows, replay);
  await compareBalances(rows, replay);
  compareHead(replay, head);
  return replay;
}

// --- journal ---

interface Part {
  readonly rows: readonly JournalRow[];
  readonly lastBlock: number;
  readonly bytes: number;
  readonly blocks: number;
}

/** As many blocks as fill a part, judged by the part before: blocks hold between one event and thousands. */
function nextBlocks(part: Part): number {
  const blocks = Math.floor((part.rows.length * PART_BYTES) / Math.max(1, part.bytes));
  return Math.max(1, Math.min(PART_BLOCKS_MAX, blocks, part.blocks * 4));
}

async function readPart(client: Client, from: { after: number; blocks: number }): Promise<Part> {
  const rows: JournalRow[] = [];
  let bytes = 0;
  await readRows(
    client,
    `SELECT block, shard, epoch, format, first_position, events, accounts, recorded_at, previous_hash, hash, body
       FROM ledger.journal WHERE block > ${from.after} ORDER BY block LIMIT ${from.blocks}`,
    (row) => {
      const body = Buffer.from(row.bytes(10));
      bytes += body.length;
      rows.push({
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
        body,
      });
    },
  );
  return { rows, lastBlock: rows.at(-1)?.header.block ?? from.after, bytes, blocks: from.blocks };
}

function replayPart(replay: Replay, part: Part): EventRun[] {
  const runs: EventRun[] = [];
  for (const row of part.rows) {
    const body = replayBlock(replay, row);
    const { events, firstPosition } = row.header;
    if (body !== undefined && events > 0)
      runs.push({ firstPosition, events, records: body.records, payload: body.payload });
  }
  return runs;
}

// --- rows of events ---

/** Compares table event with the bytes that the records would have been copied in with. */
async function compareEvents(client: Client, replay: Replay, runs: readonly EventRun[]): Promise<void> {
  const first = runs[0];
  const last = runs.at(-1);
  if (first === undefined || last === undefined) return;
  const expected = encodeRuns(runs);
  const to = last.firstPosition + last.events - 1;
  check(replay, "events", to - first.firstPosition + 1);
  let at = 0;
  let difference: number | undefined;
  await copyOut(
    client,
    `SELECT ${EVENT_COLUMNS.join(", ")} FROM ledger.event
      WHERE position BETWEEN ${first.firstPosition} AND ${to} ORDER BY position`,
    (chunk) => {
      if (difference === undefined && chunk.compare(expected, at, Math.min(expected.length, at + chunk.length)) !== 0) {
        difference = at + firstDifference(chunk, expected.subarray(at));
      }
      at += chunk.length;
    },
  );
  if (difference === undefined && at < expected.length) difference = at;
  if (difference !== undefined) reportDifference(replay, runs, difference);
}

function encodeRuns(runs: readonly EventRun[]): Buffer {
  const length = runs.reduce((sum, run) => sum + rowsLength(run), COPY_HEADER.length + COPY_TRAILER.length);
  const target = Buffer.allocUnsafe(length);
  COPY_HEADER.copy(target);
  let offset = COPY_HEADER.length;
  for (const run of runs) offset = encodeRows(target, offset, run);
  COPY_TRAILER.copy(target, offset);
  return target;
}

function firstDifference(chunk: Buffer, expected: Buffer): number {
  let at = 0;
  while (at < chunk.length && chunk[at] === expected[at]) at += 1;
  return at;
}

/** Names the first row that differs. The rows before it are byte for byte those of the journal, so its place is known. */
function reportDifference(replay: Replay, runs: readonly EventRun[], difference: number): void {
  let offset = COPY_HEADER.length;
  for (const run of runs) {
    const runEnd = offset + rowsLength(run);
    if (difference >= runEnd) {
      offset = runEnd;
      continue;
    }
    for (let index = 0; index < run.events; index += 1) {
      const one = { ...run, records: run.records.subarray(index * 128, (index + 1) * 128), events: 1 };
      offset += rowsLength(one);
      if (difference < offset) {
        const position = run.firstPosition + index;
        return violate(replay, "events", { what: "the row is missing or differs from the journal's record", position });
      }
    }
  }
  const last = runs.at(-1) as EventRun;
  violate(replay, "events", { what: "there are more rows than records", position: last.firstPosition + last.events });
}

async function compareEventCount(client: Client, replay: Replay): Promise<void> {
  const { rows } = await client.query<{ position: number }>(
    "SELECT position FROM ledger.event WHERE position > $1 ORDER BY position LIMIT 1",
    [replay.state.position],
  );
  const position = rows[0]?.position;
  if (position !== undefined) violate(replay, "events", { what: "the row has no record in the journal", position });
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
