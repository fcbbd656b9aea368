/**
 * Replays a journal and checks everything that it promises about itself. Pure: blocks come in, findings come out.
 *
 * Each invariant remembers how much it looked at and its first violation; a violation never stops the replay, so one run
 * tells everything.
 */

import { isOperatorError } from "../../lib/core/errors.ts";
import { CREDITS_MAX } from "../../lib/core/money.ts";
import { getInt64, viewOf } from "./int64.ts";
import {
  type BlockHeader,
  type DecodedBody,
  decodeBody,
  hashBlock,
  JOURNAL_FORMAT,
  type Opening,
  RECORD,
  RECORD_BYTES,
} from "./journal-codec.ts";
import { addAccount, emptyState, type LedgerState } from "./ledger-state.ts";

/** Every invariant, in the order of the report, with the words for people. */
export const INVARIANTS = {
  chain: "each block's hash follows from the block before and its own bytes",
  positions: "positions and blocks are gapless from 1",
  epochs: "epochs never fall, and the head's is the one that was claimed last",
  times: "recorded times rise strictly",
  balances: "each record's balances are the sum of the account's records so far",
  versions: "each account's versions are 1, 2, 3, ... and its records are linked",
  floors: "no account was below its limit after any event",
  conservation: "the balances of each asset add up to 0",
  events: "table event holds exactly the journal's records",
  accounts: "tables account and account_directory hold exactly what the journal opened",
  current: "table balance holds exactly the replayed state",
  snapshots: "every snapshot equals the replayed state at its position, and none that was written is missing",
  refusals: "every refusal has the key of its id and a code that is kept, and no key was also posted",
  seals: "refusals, assets, API keys, takeovers and steps of the schema are the rows that were sealed when they came",
  head: "table head is the end of the journal",
  memory: "the log has all that was ever seen of it, in the database where it was seen",
} as const;
export type Invariant = keyof typeof INVARIANTS;

/** What was found about one invariant. */
export interface Finding {
  readonly invariant: Invariant;
  /** How many things were looked at. */
  checked: number;
  violations: number;
  /** The first violation in words, with its position or block. */
  first: string | undefined;
  /** Position of the first violation, when it has one. */
  firstPosition: number | undefined;
}

export interface Snapshot {
  readonly account: number;
  readonly version: number;
  readonly position: number;
  readonly posted: number;
}

/** A journal row. */
export interface JournalRow {
  readonly header: BlockHeader;
  readonly previousHash: Buffer;
  readonly hash: Buffer;
  readonly body: Buffer;
}

/** A replay under way. */
export interface Replay {
  readonly state: LedgerState;
  readonly shard: number;
  /** Accounts in the order of their numbers, and the block that opened each. */
  readonly openings: Opening[];
  readonly openedBlocks: number[];
  /** Block that noted a pointer, by its id. */
  readonly pointerBlocks: Map<string, number>;
  /** False where the database does not seal yet what the journal does not hold. */
  isSealed: boolean;
  /** Epoch and time of the last block; 0 before the first. */
  lastBlock: { epoch: number; recordedAtMicros: number };
  readonly findings: Readonly<Record<Invariant, Finding>>;
  /** Snapshots in the order of their positions, and the next one to be compared. */
  readonly snapshots: readonly Snapshot[];
  nextSnapshot: number;
  /** A snapshot must exist at each multiple; 0 = not checked. */
  readonly snapshotEvery: number;
}

export interface ReplayOptions {
  readonly shard: number;
  readonly assets: readonly string[];
  readonly snapshots: readonly Snapshot[];
  readonly snapshotEvery: number;
}

export function beginReplay(options: ReplayOptions): Replay {
  const findings = Object.fromEntries(
    Object.keys(INVARIANTS).map((invariant) => [
      invariant,
      { invariant, checked: 0, violations: 0, first: undefined, firstPosition: undefined },
    ]),
  ) as unknown as Record<Invariant, Finding>;
  return {
    state: emptyState(options.assets),
    shard: options.shard,
    openings: [],
    openedBlocks: [],
    pointerBlocks: new Map(),
    isSealed: false,
    lastBlock: { epoch: 0, recordedAtMicros: 0 },
    findings,
    snapshots: options.snapshots,
    nextSnapshot: 0,
    snapshotEvery: options.snapshotEvery,
  };
}

/** Notes a violation. */
export function violate(replay: Replay, invariant: Invariant, found: { what: string; position?: number }): void {
  const finding = replay.findings[invariant];
  finding.violations += 1;
  if (finding.first !== undefined) return;
  finding.first = found.position === undefined ? found.what : `position ${found.position}: ${found.what}`;
  finding.firstPosition = found.position;
}

/** Notes that `count` more things were looked at. */
export function check(replay: Replay, invariant: Invariant, count = 1): void {
  replay.findings[invariant].checked += count;
}

/** Replays one block. @returns its parts; `undefined` when its body cannot be taken apart */
export function replayBlock(replay: Replay, row: JournalRow): DecodedBody | undefined {
  const { state } = replay;
  const { header } = row;
  check(replay, "chain");
  if (!row.previousHash.equals(state.hash)) {
    violate(replay, "chain", {
      what: `block ${header.block} of table journal does not follow the block before`,
      position: header.firstPosition,
    });
  }
  if (header.format !== JOURNAL_FORMAT) {
    const what = `block ${header.block} of table journal says format ${header.format}; formats up to ${JOURNAL_FORMAT} are known`;
    violate(replay, "chain", { what, position: header.firstPosition });
  }
  if (!hashBlock(row.previousHash, header, row.body).equals(row.hash)) {
    const what = `block ${header.block} of table journal does not have its hash`;
    violate(replay, "chain", { what, position: header.firstPosition });
  }
  check(replay, "epochs");
  if (header.epoch < replay.lastBlock.epoch) {
    const what = `block ${header.block} of table journal has epoch ${header.epoch} after ${replay.lastBlock.epoch}`;
    violate(replay, "epochs", { what, position: header.firstPosition });
  }
  replay.lastBlock = { epoch: header.epoch, recordedAtMicros: header.recordedAtMicros };
  check(replay, "positions", 1 + header.events);
  if (header.block !== state.block + 1) {
    violate(replay, "positions", { what: `block ${header.block} of table journal follows block ${state.block}` });
  }
  if (header.firstPosition !== state.position + 1) {
    const what = `block ${header.block} of table journal starts here, the one before ends at ${state.position}`;
    violate(replay, "positions", { what, position: header.firstPosition });
  }
  if (header.shard !== replay.shard) {
    violate(replay, "positions", { what: `block ${header.block} of table journal belongs to shard ${header.shard}` });
  }
  state.block = header.block;
  state.hash = row.hash;
  state.position = header.firstPosition - 1;
  const body = decode(replay, row);
  if (body === undefined) {
    state.position += header.events;
    return undefined;
  }
  replayEntries(replay, header, body);
  replayRecords(replay, header, body);
  return body;
}

function decode(replay: Replay, row: JournalRow): DecodedBody | undefined {
  try {
    return decodeBody(row.header, row.body);
  } catch (error) {
    if (!isOperatorError(error, "LEDGER_CORRUPT")) throw error;
    violate(replay, "chain", { what: error.message, position: row.header.firstPosition });
    return undefined;
  }
}

function replayEntries(replay: Replay, header: BlockHeader, body: DecodedBody): void {
  const { state } = replay;
  for (const entry of body.entries) {
    check(replay, "accounts");
    if (entry.type === "pointer") {
      if (state.pointers.has(entry.extId)) {
        violate(replay, "accounts", { what: `block ${header.block} notes pointer "${entry.extId}" again` });
      }
      state.pointers.set(entry.extId, entry.placementKey);
      replay.pointerBlocks.set(entry.extId, header.block);
      continue;
    }
    if (entry.account !== state.accounts + 1 || state.numbers.has(entry.extId) || !state.assets.includes(entry.asset)) {
      violate(replay, "accounts", { what: outOfTurn(state, header.block, entry) });
      if (!state.assets.includes(entry.asset)) continue;
    }
    addAccount(state, entry);
    replay.openings.push(entry);
    replay.openedBlocks.push(header.block);
  }
}

function outOfTurn(state: LedgerState, block: number, { account, extId, asset }: Opening): string {
  if (!state.assets.includes(asset))
    return `block ${block} opens account ${account} with ${asset}, which table asset lacks`;
  if (state.numbers.has(extId)) return `block ${block} opens "${extId}" again, as account ${account}`;
  return `block ${block} opens account ${account} after account ${state.accounts}`;
}

/** One side of a record. One object for a whole block, so that the hot loop makes none. */
interface Side {
  account: number;
  position: number;
  /** The balance that follows from the account's records so far. */
  posted: number;
  /** What the record says. */
  balance: number;
  version: number;
  previous: number;
}

/** The hot loop. */
function replayRecords(replay: Replay, header: BlockHeader, body: DecodedBody): void {
  const { state } = replay;
  const view = viewOf(body.records);
  const side: Side = { account: 0, position: 0, posted: 0, balance: 0, version: 0, previous: 0 };
  for (const invariant of ["times", "balances", "versions", "floors"] as const) check(replay, invariant, header.events);
  for (let index = 0, at = 0; index < header.events; index += 1, at += RECORD_BYTES) {
    const position = header.firstPosition + index;
    state.position = position;
    const amount = getInt64(view, at + RECORD.amount);
    const debit = getInt64(view, at + RECORD.debitAccount);
    const credit = getInt64(view, at + RECORD.creditAccount);
    const recordedAt = getInt64(view, at + RECORD.recordedAt);
    if (recordedAt <= state.recordedAtMicros) {
      violate(replay, "times", { what: "recorded no later than the event before", position });
    }
    state.recordedAtMicros = recordedAt;
    if (debit < 1 || credit < 1 || debit > state.accounts || credit > state.accounts || debit === credit) {
      violate(replay, "balances", { what: `accounts ${debit} and ${credit} are not two open accounts`, position });
      continue;
    }
    if (state.asset[debit] !== state.asset[credit]) {
      violate(replay, "conservation", { what: `accounts ${debit} and ${credit} keep different assets`, position });
    }
    if (amount < 1 || amount > CREDITS_MAX) violate(replay, "balances", { what: `amount ${amount}`, position });
    side.position = position;
    side.account = debit;
    side.posted = (state.posted[debit] as number) - amount;
    side.balance = getInt64(view, at + RECORD.debitBalance);
    side.version = getInt64(view, at + RECORD.debitVersion);
    side.previous = getInt64(view, at + RECORD.debitPrevious);
    apply(replay, side);
    side.account = credit;
    side.posted = (state.posted[credit] as number) + amount;
    side.balance = getInt64(view, at + RECORD.creditBalance);
    side.version = getInt64(view, at + RECORD.creditVersion);
    side.previous = getInt64(view, at + RECORD.creditPrevious);
    apply(replay, side);
    if ((replay.snapshots[replay.nextSnapshot]?.position ?? Infinity) <= position) compareSnapshots(replay, position);
  }
}

function apply(replay: Replay, side: Side): void {
  const { state } = replay;
  const { account, posted, position } = side;
  const version = (state.version[account] as number) + 1;
  if (side.balance !== posted) {
    const what = `account ${account} has ${posted}, the record says ${side.balance}`;
    violate(replay, "balances", { what, position });
  }
  if (side.version !== version || side.previous !== state.lastPosition[account]) {
    const what = `account ${account} is at version ${version} after position ${state.lastPosition[account]}, the record says version ${side.version} after ${side.previous}`;
    violate(replay, "versions", { what, position });
  }
  if (posted < (state.floor[account] as number)) {
    const what = `account ${account} has ${posted}, its floor is ${state.floor[account]}`;
    violate(replay, "floors", { what, position });
  }
  state.posted[account] = posted;
  state.version[account] = version;
  state.lastPosition[account] = position;
  if (replay.snapshotEvery > 0 && version % replay.snapshotEvery === 0) expectSnapshot(replay, account, position);
}

function expectSnapshot(replay: Replay, account: number, position: number): void {
  for (let next = replay.nextSnapshot; ; next += 1) {
    const snapshot = replay.snapshots[next];
    if (snapshot === undefined || snapshot.position > position) break;
    if (snapshot.position === position && snapshot.account === account) return;
  }
  violate(replay, "snapshots", { what: `account ${account} has no snapshot here`, position });
}

/** At most two snapshots belong to a position; those before it belong to none. */
function compareSnapshots(replay: Replay, position: number): void {
  const { state, snapshots } = replay;
  for (;;) {
    const snapshot = snapshots[replay.nextSnapshot];
    if (snapshot === undefined || snapshot.position > position) return;
    replay.nextSnapshot += 1;
    check(replay, "snapshots");
    const { account, version, posted } = snapshot;
    const same =
      snapshot.position === position &&
      state.lastPosition[account] === position &&
      state.version[account] === version &&
      state.posted[account] === posted;
    if (same) continue;
    const what = `snapshot of account ${account} says ${posted} at version ${version}, the replay ${state.posted[account]} at version ${state.version[account]}`;
    violate(replay, "snapshots", { what, position: snapshot.position });
  }
}

/** What only the end of the journal can tell. */
export function finishReplay(replay: Replay): void {
  const { state, snapshots } = replay;
  if (replay.nextSnapshot < snapshots.length) {
    const { account, position } = snapshots[replay.nextSnapshot] as Snapshot;
    violate(replay, "snapshots", { what: `snapshot of account ${account} lies beyond the journal`, position });
  }
  const sums = state.assets.map(() => 0n);
  for (let account = 1; account <= state.accounts; account += 1) {
    const asset = state.asset[account] as number;
    sums[asset] = (sums[asset] as bigint) + BigInt(state.posted[account] as number);
  }
  check(replay, "conservation", state.assets.length);
  sums.forEach((sum, asset) => {
    if (sum !== 0n) violate(replay, "conservation", { what: `${state.assets[asset]} adds up to ${sum}` });
  });
}

/** True when no invariant was violated. */
export function isIntact(replay: Replay): boolean {
  return Object.values(replay.findings).every((finding) => finding.violations === 0);
}
