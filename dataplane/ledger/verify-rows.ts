/** Compares the tables of accounts, balances, snapshots and the head with a replayed journal, column by column. */
import type { Client } from "pg";
import { otherDatabase, type ShardMemory, shorterLog } from "../../lib/core/shard-memory.ts";
import { type BinaryRow, readRows } from "./copy-reader.ts";
import type { Opening } from "./journal-codec.ts";
import { snapshotHash } from "./ledger.decider.ts";
import { check, type Replay, type Snapshot, violate } from "./verify-fold.ts";

/** Snapshots in the order of their positions, and those whose hash does not fit their figures, in words. */
export async function readSnapshots(
  client: Client,
): Promise<{ snapshots: Snapshot[]; damaged: { what: string; position: number }[] }> {
  const snapshots: Snapshot[] = [];
  const damaged: { what: string; position: number }[] = [];
  await readRows(
    client,
    "SELECT account, version, position, posted, state_hash FROM ledger.snapshot ORDER BY position, account",
    (row) => {
      const snapshot = {
        account: row.int64(0),
        version: row.int64(1),
        position: row.int64(2),
        posted: row.int64(3),
      };
      snapshots.push(snapshot);
      if (snapshotHash(snapshot).equals(row.bytes(4))) return;
      const what = `snapshot of account ${snapshot.account}: its hash (column state_hash) does not fit its figures`;
      damaged.push({ what, position: snapshot.position });
    },
  );
  return { snapshots, damaged };
}

/** A column of a row beside what the replay has for it. */
type Compared = readonly [column: string, row: string | number, replayed: string | number | undefined];

/** The first column that differs, in words; `undefined` when none does. */
function firstDifference(columns: readonly Compared[]): string | undefined {
  const found = columns.find(([, row, replayed]) => row !== replayed);
  if (found === undefined) return undefined;
  const [column, row, replayed] = found;
  return `column ${column} says ${quoted(row)}, the journal ${quoted(replayed)}`;
}

function quoted(value: string | number | undefined): string {
  return typeof value === "string" ? `"${value}"` : String(value);
}

/** Rows with dense numbers from 1 beside what is expected for each: what is missing, what is too much, what differs. */
function walkNumbered(
  expected: number,
  tell: (what: string, number: number) => void,
): { row(number: number, differs: () => string | undefined): void; end(): void } {
  let next = 1;
  const missing = (until: number): void => {
    for (; next < until && next <= expected; next += 1) tell("the row is missing", next);
  };
  return {
    row: (number, differs) => {
      missing(number);
      if (number !== next || number > expected) return tell("the row is too much", number);
      next += 1;
      const what = differs();
      if (what !== undefined) tell(what, number);
    },
    end: () => missing(expected + 1),
  };
}

/** Table account against what the journal opened. */
export async function compareAccounts(client: Client, replay: Replay): Promise<void> {
  const walk = walkNumbered(replay.openings.length, (what, number) =>
    violate(replay, "accounts", { what: `table account, account ${number}: ${what}` }),
  );
  await readRows(
    client,
    "SELECT id, ext_id, placement_key, asset, floor, opened_at, opened_block FROM ledger.account ORDER BY id",
    (row) => {
      const account = row.int64(0);
      const opening = replay.openings[account - 1] as Opening;
      walk.row(account, () =>
        firstDifference([
          ["ext_id", row.text(1), opening.extId],
          ["placement_key", row.text(2), opening.placementKey],
          ["asset", row.text(3), opening.asset],
          ["floor", row.int64(4), opening.floor],
          ["opened_at", row.micros(5), opening.openedAtMicros],
          ["opened_block", row.int64(6), replay.openedBlocks[account - 1]],
        ]),
      );
    },
  );
  walk.end();
}

/** Table account_directory against the pointers that the journal noted. */
export async function comparePointers(client: Client, replay: Replay): Promise<void> {
  const left = new Map(replay.state.pointers);
  const told = (extId: string, what: string): void =>
    violate(replay, "accounts", { what: `table account_directory, pointer "${extId}": ${what}` });
  await readRows(
    client,
    "SELECT ext_id, placement_key, opened_block FROM ledger.account_directory ORDER BY ext_id",
    (row) => {
      const extId = row.text(0);
      const placementKey = left.get(extId);
      left.delete(extId);
      if (placementKey === undefined) return told(extId, "the row is too much");
      const what = firstDifference([
        ["placement_key", row.text(1), placementKey],
        ["opened_block", row.int64(2), replay.pointerBlocks.get(extId)],
      ]);
      if (what !== undefined) told(extId, what);
    },
  );
  for (const extId of left.keys()) told(extId, "the row is missing");
}

/** Table balance against the replayed state. */
export async function compareBalances(client: Client, replay: Replay): Promise<void> {
  const { state } = replay;
  const walk = walkNumbered(state.accounts, (what, number) => {
    const position = state.lastPosition[number];
    const found = { what: `table balance, account ${number}: ${what}` };
    violate(replay, "current", position === undefined ? found : { ...found, position });
  });
  const differs = (row: BinaryRow, account: number): string | undefined =>
    firstDifference([
      ["floor", row.int64(1), state.floor[account]],
      ["posted", row.int64(2), state.posted[account]],
      ["version", row.int64(3), state.version[account]],
      ["last_position", row.int64(4), state.lastPosition[account]],
    ]);
  await readRows(
    client,
    "SELECT account, floor, posted, version, last_position FROM ledger.balance ORDER BY account",
    (row) => {
      check(replay, "current");
      const account = row.int64(0);
      walk.row(account, () => differs(row, account));
    },
  );
  walk.end();
}

/** A row of table head. */
export interface Head {
  readonly shard: number;
  readonly epoch: number;
  readonly position: number;
  readonly block: number;
  readonly accounts: number;
  readonly hash: Buffer;
  readonly recordedAtMicros: number;
}

/** The rows of table head; one, when nobody tampered with it. */
export async function readHeads(client: Client): Promise<Head[]> {
  const { rows } = await client.query<Head>(
    `SELECT shard, epoch, position, block, accounts, hash, (extract(epoch FROM recorded_at) * 1000000)::bigint AS "recordedAtMicros"
       FROM ledger.head ORDER BY shard`,
  );
  return rows;
}

/** Table head against the end of the journal. Its epoch is compared where takeovers are noted. */
export function compareHead(replay: Replay, heads: readonly Head[]): void {
  const { state, shard, lastBlock } = replay;
  check(replay, "head");
  const [head] = heads;
  if (head === undefined) return violate(replay, "head", { what: "table head has no row" });
  if (heads.length > 1) {
    violate(replay, "head", {
      what: `table head has ${heads.length} rows, for shards ${heads.map((row) => row.shard).join(", ")}`,
    });
  }
  const what = firstDifference([
    ["shard", head.shard, shard],
    ["position", head.position, state.position],
    ["block", head.block, state.block],
    ["accounts", head.accounts, state.accounts],
    ["hash", head.hash.toString("hex"), state.hash.toString("hex")],
    ["recorded_at (microseconds since 1970)", head.recordedAtMicros, lastBlock.recordedAtMicros],
  ]);
  if (what !== undefined) violate(replay, "head", { what: `table head: ${what}` });
  check(replay, "epochs");
  if (head.epoch < lastBlock.epoch) {
    const what = `table head: column epoch says ${head.epoch}, the last block was written in epoch ${lastBlock.epoch}`;
    violate(replay, "epochs", { what });
  }
}

/** A log that was cut short, or begun anew, is whole in itself: only what was seen of it before tells. */
export async function compareMemory(client: Client, replay: Replay, memory: ShardMemory): Promise<void> {
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
