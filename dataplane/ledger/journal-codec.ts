/**
 * One batch as one immutable block of bytes.
 *
 *   hash = SHA-256(previous hash ‖ header ‖ body)
 *   body = u32 length of the accounts section ‖ accounts section ‖ records ‖ payload
 *
 * A record has 128 bytes, so the n-th event of a block is found without reading the others; what varies in length (the
 * client's id, metadata) is in the payload. All integers are big-endian. A change of layout is a new format number;
 * readers keep every format that was ever written.
 */
import { createHash } from "node:crypto";
import { OperatorError } from "../../lib/core/errors.ts";
import { getInt64, putInt64, viewOf } from "./int64.ts";

export const JOURNAL_FORMAT = 1;
export const RECORD_BYTES = 128;
export const HASH_BYTES = 32;

/** Where the fields of a record start. Integers are int64 unless a width is named. */
export const RECORD = {
  key: 0, // 16 bytes
  fingerprint: 16,
  debitAccount: 24,
  creditAccount: 32,
  amount: 40,
  debitBalance: 48,
  creditBalance: 56,
  debitVersion: 64,
  creditVersion: 72,
  debitPrevious: 80,
  creditPrevious: 88,
  recordedAt: 96, // microseconds since 1970
  effectiveAt: 104, // microseconds since 1970
  payloadOffset: 112, // u32, from the start of the payload
  idLength: 116, // u16
  kind: 118, // u8
  reserved: 119, // u8, zero
  metadataLength: 120, // u32, 0 = none
  reserved2: 124, // u32, zero
} as const;

/** The only kind of event so far. */
export const KIND_TRANSFER = 0;

/** What the columns of a journal row say about its body; part of the hash. */
export interface BlockHeader {
  /** Layout of header and body, `JOURNAL_FORMAT` for what is written now. */
  readonly format: number;
  readonly shard: number;
  readonly epoch: number;
  readonly block: number;
  readonly firstPosition: number;
  readonly events: number;
  /** Entries of the accounts section. */
  readonly accounts: number;
  /** Time of the last entry, microseconds since 1970. */
  readonly recordedAtMicros: number;
}

/** An account that a block opens. */
export interface Opening {
  readonly type: "opening";
  /** Dense number of the account within its shard. */
  readonly account: number;
  readonly extId: string;
  readonly placementKey: string;
  readonly asset: string;
  readonly floor: number;
  readonly openedAtMicros: number;
}

/** A note on the id's home shard: the account lives where this placement key leads. */
export interface Pointer {
  readonly type: "pointer";
  readonly extId: string;
  readonly placementKey: string;
}

export type AccountEntry = Opening | Pointer;

const HEADER_BYTES = 64;
const MAGIC = 0x53584a31; // "SXJ1"
const OPENING_FIXED_BYTES = 32;

function encodeHeader(header: BlockHeader, bodyLength: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, MAGIC);
  view.setUint16(4, header.format);
  view.setUint32(8, header.shard);
  view.setUint32(12, header.events);
  putInt64(view, 16, header.epoch);
  putInt64(view, 24, header.block);
  putInt64(view, 32, header.firstPosition);
  putInt64(view, 40, header.recordedAtMicros);
  view.setUint32(48, header.accounts);
  view.setUint32(52, bodyLength);
  return bytes;
}

/** The chain's next link. */
export function hashBlock(previous: Uint8Array, header: BlockHeader, body: Uint8Array): Buffer {
  return createHash("sha256").update(previous).update(encodeHeader(header, body.length)).update(body).digest();
}

/** The hash before the first block. */
export const GENESIS_HASH: Buffer = Buffer.alloc(HASH_BYTES);

/** Joins the parts of a body. `records` has exactly `events * RECORD_BYTES` bytes. */
export function encodeBody(entries: readonly AccountEntry[], records: Uint8Array, payload: Uint8Array): Buffer {
  const accounts = encodeAccounts(entries);
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(accounts.length);
  return Buffer.concat([length, accounts, records, payload]);
}

function encodeAccounts(entries: readonly AccountEntry[]): Buffer {
  return Buffer.concat(entries.map(encodeAccount));
}

/** u8 type, u8 asset length, u16 id length, u16 placement key length, u16 zero, three int64, then the texts (ASCII). */
function encodeAccount(entry: AccountEntry): Buffer {
  const opening = entry.type === "opening";
  const asset = opening ? entry.asset : "";
  const text = `${entry.extId}${entry.placementKey}${asset}`;
  const bytes = Buffer.alloc(OPENING_FIXED_BYTES + text.length);
  const view = viewOf(bytes);
  view.setUint8(0, opening ? 0 : 1);
  view.setUint8(1, asset.length);
  view.setUint16(2, entry.extId.length);
  view.setUint16(4, entry.placementKey.length);
  putInt64(view, 8, opening ? entry.account : 0);
  putInt64(view, 16, opening ? entry.floor : 0);
  putInt64(view, 24, opening ? entry.openedAtMicros : 0);
  bytes.write(text, OPENING_FIXED_BYTES, "latin1");
  return bytes;
}

/** A body taken apart. `records` and `payload` share memory with the body. */
export interface DecodedBody {
  readonly entries: readonly AccountEntry[];
  readonly records: Uint8Array;
  readonly payload: Uint8Array;
}

/** Takes a body apart. @throws OperatorError LEDGER_CORRUPT when the lengths do not fit together */
export function decodeBody(header: Pick<BlockHeader, "block" | "events" | "accounts">, body: Buffer): DecodedBody {
  const accountsLength = body.length >= 4 ? body.readUInt32BE(0) : -1;
  const recordsStart = 4 + accountsLength;
  const payloadStart = recordsStart + header.events * RECORD_BYTES;
  if (accountsLength < 0 || payloadStart > body.length) throw corrupt(header.block, "the body is too short");
  return {
    entries: decodeAccounts(header, body.subarray(4, recordsStart)),
    records: body.subarray(recordsStart, payloadStart),
    payload: body.subarray(payloadStart),
  };
}

function decodeAccounts(header: Pick<BlockHeader, "block" | "accounts">, section: Buffer): AccountEntry[] {
  const view = viewOf(section);
  const entries: AccountEntry[] = [];
  let offset = 0;
  while (offset < section.length) {
    if (offset + OPENING_FIXED_BYTES > section.length) throw corrupt(header.block, "the accounts section is cut off");
    const idEnd = offset + OPENING_FIXED_BYTES + view.getUint16(offset + 2);
    const placementEnd = idEnd + view.getUint16(offset + 4);
    const end = placementEnd + view.getUint8(offset + 1);
    if (end > section.length) throw corrupt(header.block, "the accounts section is cut off");
    const extId = section.toString("latin1", offset + OPENING_FIXED_BYTES, idEnd);
    const placementKey = section.toString("latin1", idEnd, placementEnd);
    entries.push(
      view.getUint8(offset) === 0
        ? {
            type: "opening",
            account: getInt64(view, offset + 8),
            extId,
            placementKey,
            asset: section.toString("latin1", placementEnd, end),
            floor: getInt64(view, offset + 16),
            openedAtMicros: getInt64(view, offset + 24),
          }
        : { type: "pointer", extId, placementKey },
    );
    offset = end;
  }
  if (entries.length !== header.accounts) {
    throw corrupt(header.block, `the accounts section has ${entries.length} entries, the row says ${header.accounts}`);
  }
  return entries;
}

function corrupt(block: number, what: string): OperatorError {
  return new OperatorError("LEDGER_CORRUPT", `journal block ${block}: ${what}`, { details: { block } });
}
