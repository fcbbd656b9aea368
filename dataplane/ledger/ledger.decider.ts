/**
 * Decides transfers one after another, in arrival order, on the state in memory. Pure: time, ids and limits come in.
 *
 *   beginDraft ──► decideTransfer / openAccount / notePointer ... ──► sealDraft ──► (store commits) ──► acknowledged
 *
 * The state moves ahead of the database while a draft is open or being committed; when a commit fails the writer throws
 * the state away and loads it again. What holds at every prefix of the log:
 *   - the sum of all balances of an asset is 0 (each transfer takes from one account what it gives to another);
 *   - posted >= floor for every account (the floor is -creditLimit);
 *   - versions of an account are 1, 2, 3, ...; positions are 1, 2, 3, ...; recorded_at rises strictly.
 */
import { hash } from "node:crypto";
import type { ErrorCode } from "../../lib/core/errors.ts";
import { CREDITS_MAX } from "../../lib/core/money.ts";
import { IDENTITY_BYTES, KEY_BYTES } from "./fingerprint.ts";
import { putInt64, viewOf } from "./int64.ts";
import {
  type AccountEntry,
  type BlockHeader,
  encodeBody,
  hashBlock,
  JOURNAL_FORMAT,
  KIND_TRANSFER,
  RECORD,
  RECORD_BYTES,
} from "./journal-codec.ts";
import { addAccount, type LedgerState, type NewAccount } from "./ledger-state.ts";

/** Outcome of a decision; 0 is acceptance. */
export const POSTED = 0;

/** Refusals that depend on balances: they are stored, so that the key answers the same for ever. */
export const STORED_REFUSALS = ["INSUFFICIENT_CREDIT", "BALANCE_OVERFLOW"] as const satisfies readonly ErrorCode[];

/** All refusals of the decider; the outcome is the index + 1. */
export const REFUSALS = [...STORED_REFUSALS, "SAME_ACCOUNT", "ASSET_MISMATCH"] as const satisfies readonly ErrorCode[];
const INSUFFICIENT_CREDIT = 1;
const BALANCE_OVERFLOW = 2;
const SAME_ACCOUNT = 3;
const ASSET_MISMATCH = 4;

/** The code of a refusal's outcome. */
export function refusalCode(outcome: number): (typeof REFUSALS)[number] {
  return REFUSALS[outcome - 1] as (typeof REFUSALS)[number];
}

/** One transfer with its accounts resolved. The writer reuses one object for a whole batch. */
export interface TransferCommand {
  debit: number;
  credit: number;
  amount: number;
  /** Microseconds since 1970; NaN = the time of recording. */
  effectiveAtMicros: number;
  /** The client's id, ASCII. */
  id: string;
  /** JSON text, "" = none. */
  metadata: string;
  /** Key and fingerprint, `IDENTITY_BYTES` from `identityOffset` on. */
  identities: Uint8Array;
  identityOffset: number;
}

/** A batch that is being decided. */
export interface Draft {
  readonly state: LedgerState;
  readonly snapshotEvery: number;
  /** Head that the draft builds on. */
  readonly base: {
    readonly position: number;
    readonly block: number;
    readonly accounts: number;
    readonly hash: Buffer;
  };
  /** Wall clock at the start of the draft; entries get times from here on, a microsecond apart. */
  readonly nowMicros: number;
  events: number;
  readonly entries: AccountEntry[];
  records: Buffer;
  recordsView: DataView;
  payload: Buffer;
  payloadLength: number;
  /** Accounts that the draft changes, each with its version before. */
  readonly touchedAccounts: number[];
  readonly touchedVersions: number[];
  readonly snapshots: { account: number[]; version: number[]; position: number[]; posted: number[] };
}

export interface DraftOptions {
  /** Most transfers that will be decided. */
  readonly capacity: number;
  readonly snapshotEvery: number;
  readonly nowMicros: number;
}

/** Bytes of payload to start with per transfer; the buffer grows when ids and metadata are longer. */
const PAYLOAD_BYTES_GUESS = 40;

/** Opens a batch on the state's head. At most one draft per state is open. */
export function beginDraft(state: LedgerState, options: DraftOptions): Draft {
  state.draft += 1;
  const records = Buffer.allocUnsafeSlow(options.capacity * RECORD_BYTES);
  return {
    state,
    snapshotEvery: options.snapshotEvery,
    base: { position: state.position, block: state.block, accounts: state.accounts, hash: state.hash },
    nowMicros: options.nowMicros,
    events: 0,
    entries: [],
    records,
    recordsView: viewOf(records),
    payload: Buffer.allocUnsafeSlow(options.capacity * PAYLOAD_BYTES_GUESS),
    payloadLength: 0,
    touchedAccounts: [],
    touchedVersions: [],
    snapshots: { account: [], version: [], position: [], posted: [] },
  };
}

function tick(draft: Draft): number {
  const state = draft.state;
  state.recordedAtMicros = Math.max(draft.nowMicros, state.recordedAtMicros + 1);
  return state.recordedAtMicros;
}

/** What `decideTransfer` would answer for these accounts, without changing anything. */
export function judgeTransfer(state: LedgerState, debit: number, credit: number, amount: number): number {
  if (debit === credit) return SAME_ACCOUNT;
  if (state.asset[debit] !== state.asset[credit]) return ASSET_MISMATCH;
  // A sum beyond 2^53 is rounded, but never to below the bound: the comparisons stay right.
  if ((state.posted[debit] as number) - amount < (state.floor[debit] as number)) return INSUFFICIENT_CREDIT;
  if ((state.posted[credit] as number) + amount > CREDITS_MAX) return BALANCE_OVERFLOW;
  return POSTED;
}

/**
 * Decides one transfer; when it is accepted the state changes and the draft gets its record.
 * The new balances are then in `state.posted`, the position in `state.position`, the time in `state.recordedAtMicros`.
 * @returns POSTED or the outcome of a refusal
 */
export function decideTransfer(draft: Draft, command: TransferCommand): number {
  const { state } = draft;
  const { debit, credit, amount } = command;
  const outcome = judgeTransfer(state, debit, credit, amount);
  if (outcome !== POSTED) return outcome;

  touch(draft, debit);
  touch(draft, credit);
  const view = draft.recordsView;
  const at = draft.events * RECORD_BYTES;
  draft.events += 1;
  state.position += 1;
  const { position } = state;
  const recordedAt = tick(draft);

  draft.records.set(command.identities.subarray(command.identityOffset, command.identityOffset + IDENTITY_BYTES), at);
  putInt64(view, at + RECORD.debitAccount, debit);
  putInt64(view, at + RECORD.creditAccount, credit);
  putInt64(view, at + RECORD.amount, amount);
  putInt64(view, at + RECORD.debitPrevious, state.lastPosition[debit] as number);
  putInt64(view, at + RECORD.creditPrevious, state.lastPosition[credit] as number);
  putInt64(view, at + RECORD.debitBalance, move(draft, debit, -amount));
  putInt64(view, at + RECORD.creditBalance, move(draft, credit, amount));
  putInt64(view, at + RECORD.debitVersion, state.version[debit] as number);
  putInt64(view, at + RECORD.creditVersion, state.version[credit] as number);
  putInt64(view, at + RECORD.recordedAt, recordedAt);
  putInt64(
    view,
    at + RECORD.effectiveAt,
    Number.isNaN(command.effectiveAtMicros) ? recordedAt : command.effectiveAtMicros,
  );
  writePayload(draft, at, command);
  state.lastPosition[debit] = position;
  state.lastPosition[credit] = position;
  return POSTED;
}

function touch(draft: Draft, account: number): void {
  const { state } = draft;
  if (state.touched[account] === state.draft) return;
  state.touched[account] = state.draft;
  draft.touchedAccounts.push(account);
  draft.touchedVersions.push(state.version[account] as number);
}

/** Changes a balance, raises the version, takes a snapshot when it is due. @returns the new balance */
function move(draft: Draft, account: number, delta: number): number {
  const { state, snapshots } = draft;
  const posted = (state.posted[account] as number) + delta;
  const version = (state.version[account] as number) + 1;
  state.posted[account] = posted;
  state.version[account] = version;
  if (version % draft.snapshotEvery === 0) {
    snapshots.account.push(account);
    snapshots.version.push(version);
    snapshots.position.push(state.position);
    snapshots.posted.push(posted);
  }
  return posted;
}

function writePayload(draft: Draft, at: number, command: TransferCommand): void {
  const idLength = command.id.length;
  const metadataMost = command.metadata.length * 3;
  const start = draft.payloadLength;
  if (start + idLength + metadataMost > draft.payload.length) growPayload(draft, idLength + metadataMost);
  draft.payload.write(command.id, start, "latin1");
  const metadataLength = metadataMost === 0 ? 0 : draft.payload.write(command.metadata, start + idLength, "utf8");
  draft.payloadLength = start + idLength + metadataLength;
  const view = draft.recordsView;
  view.setUint32(at + RECORD.payloadOffset, start);
  view.setUint16(at + RECORD.idLength, idLength);
  view.setUint16(at + RECORD.kind, KIND_TRANSFER << 8);
  view.setUint32(at + RECORD.metadataLength, metadataLength);
  view.setUint32(at + RECORD.reserved2, 0);
}

function growPayload(draft: Draft, need: number): void {
  const wide = Buffer.allocUnsafeSlow(draft.payload.length * 2 + need);
  draft.payload.copy(wide, 0, 0, draft.payloadLength);
  draft.payload = wide;
}

/** Opens an account with balance 0. The caller has checked that the id is free. @returns the account's number */
export function openAccount(draft: Draft, account: NewAccount): number {
  const number = addAccount(draft.state, account);
  draft.entries.push({ type: "opening", account: number, ...account, openedAtMicros: tick(draft) });
  return number;
}

/** Notes where the account of an id of this shard lives. The caller has checked that the id is free. */
export function notePointer(draft: Draft, pointer: { extId: string; placementKey: string }): void {
  tick(draft);
  draft.state.pointers.set(pointer.extId, pointer.placementKey);
  draft.entries.push({ type: "pointer", ...pointer });
}

/** A decided batch, ready for the store. */
export interface SealedBlock {
  readonly header: BlockHeader;
  readonly base: Draft["base"];
  /** Absent when nothing changed (a batch of refusals only). */
  readonly content?: { readonly hash: Buffer; readonly body: Buffer };
  readonly entries: readonly AccountEntry[];
  readonly records: Uint8Array;
  readonly payload: Uint8Array;
  readonly balances: {
    readonly account: readonly number[];
    readonly expected: readonly number[];
    readonly posted: Float64Array;
    readonly version: Float64Array;
    readonly position: Float64Array;
  };
  readonly snapshots: Draft["snapshots"] & { readonly hash: readonly Buffer[] };
}

/** Closes the draft: chains the block and moves the state's head to it. */
export function sealDraft(draft: Draft, writer: { shard: number; epoch: number }): SealedBlock {
  const { state } = draft;
  const records = draft.records.subarray(0, draft.events * RECORD_BYTES);
  const payload = draft.payload.subarray(0, draft.payloadLength);
  const header: BlockHeader = {
    format: JOURNAL_FORMAT,
    ...writer,
    block: draft.base.block + 1,
    firstPosition: draft.base.position + 1,
    events: draft.events,
    accounts: draft.entries.length,
    recordedAtMicros: Math.max(draft.nowMicros, state.recordedAtMicros),
  };
  const sealed = {
    header,
    base: draft.base,
    entries: draft.entries,
    records,
    payload,
    balances: balancesOf(draft),
    snapshots: {
      ...draft.snapshots,
      hash: draft.snapshots.account.map((account, index) =>
        snapshotHash({
          account,
          version: draft.snapshots.version[index] as number,
          position: draft.snapshots.position[index] as number,
          posted: draft.snapshots.posted[index] as number,
        }),
      ),
    },
  };
  if (draft.events + draft.entries.length === 0) return sealed;
  const body = encodeBody(draft.entries, records, payload);
  const blockHash = hashBlock(draft.base.hash, header, body);
  state.block = header.block;
  state.hash = blockHash;
  return { ...sealed, content: { hash: blockHash, body } };
}

function balancesOf(draft: Draft): SealedBlock["balances"] {
  const { state, touchedAccounts } = draft;
  const count = touchedAccounts.length;
  const posted = new Float64Array(count);
  const version = new Float64Array(count);
  const position = new Float64Array(count);
  for (let index = 0; index < count; index += 1) {
    const account = touchedAccounts[index] as number;
    posted[index] = state.posted[account] as number;
    version[index] = state.version[account] as number;
    position[index] = state.lastPosition[account] as number;
  }
  return { account: touchedAccounts, expected: draft.touchedVersions, posted, version, position };
}

/** Binds the figures of a snapshot together, so that a change of one of them shows without a replay. */
export function snapshotHash(snapshot: { account: number; version: number; position: number; posted: number }): Buffer {
  const bytes = Buffer.allocUnsafe(32);
  const view = viewOf(bytes);
  putInt64(view, 0, snapshot.account);
  putInt64(view, 8, snapshot.version);
  putInt64(view, 16, snapshot.position);
  putInt64(view, 24, snapshot.posted);
  return hash("sha256", bytes, "buffer");
}

/** The key part of an identity. */
export function keyAt(identities: Buffer, offset: number): Buffer {
  return identities.subarray(offset, offset + KEY_BYTES);
}

/** The fingerprint part of an identity. */
export function fingerprintAt(identities: Buffer, offset: number): Buffer {
  return identities.subarray(offset + KEY_BYTES, offset + IDENTITY_BYTES);
}
