/**
 * Events in PostgreSQL's binary COPY format, made from journal records: the writer sends these bytes, and `verify`
 * makes them again from the journal and compares them with what COPY TO answers, byte by byte.
 *
 * A row: int16 number of fields, then for each field an int32 length (-1 = NULL) and the bytes.
 */

import { getInt64, POSTGRES_EPOCH_MICROS, putInt64, viewOf } from "./int64.ts";
import { RECORD, RECORD_BYTES } from "./journal-codec.ts";

/** Columns of ledger.event in the order of the encoding. */
export const EVENT_COLUMNS = [
  "position",
  "key",
  "fingerprint",
  "debit_account",
  "credit_account",
  "amount",
  "debit_balance",
  "credit_balance",
  "debit_version",
  "credit_version",
  "debit_previous",
  "credit_previous",
  "recorded_at",
  "effective_at",
  "kind",
  "id",
  "metadata",
] as const;

/** "PGCOPY\n\xff\r\n\0", flags 0, no extension. */
export const COPY_HEADER: Buffer = Buffer.from("5047434f50590aff0d0a000000000000000000", "hex");
/** The end mark. */
export const COPY_TRAILER: Buffer = Buffer.from("ffff", "hex");

/** Bytes of a row before the id: 2 + position 12 + key 20 + 12 int64 fields of 12 + kind 6 + length of the id 4. */
const ROW_FIXED_BYTES = 2 + 12 + 20 + 12 * 12 + 6 + 4;
const ROW_TAIL_BYTES = 4;

/** The constant bytes of a row (field count and lengths), copied before the values are filled in. */
const ROW_TEMPLATE: Buffer = (() => {
  const row = Buffer.alloc(ROW_FIXED_BYTES);
  let offset = row.writeInt16BE(EVENT_COLUMNS.length, 0);
  for (const length of [8, 16, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 2]) {
    offset = row.writeInt32BE(length, offset) + length;
  }
  return row;
})();

/** A consecutive run of events. */
export interface EventRun {
  /** Position of the first event. */
  readonly firstPosition: number;
  readonly events: number;
  /** `events` records, see journal-codec. */
  readonly records: Uint8Array;
  readonly payload: Uint8Array;
}

/** Bytes of the row of the record at `at`. */
export function rowLength(records: DataView, at: number): number {
  return (
    ROW_FIXED_BYTES +
    ROW_TAIL_BYTES +
    records.getUint16(at + RECORD.idLength) +
    records.getUint32(at + RECORD.metadataLength)
  );
}

/** Bytes that `encodeRows` will write. */
export function rowsLength(run: EventRun): number {
  const view = viewOf(run.records);
  let length = run.events * (ROW_FIXED_BYTES + ROW_TAIL_BYTES);
  for (let at = 0; at < run.events * RECORD_BYTES; at += RECORD_BYTES) {
    length += view.getUint16(at + RECORD.idLength) + view.getUint32(at + RECORD.metadataLength);
  }
  return length;
}

/** Writes the rows of a run at `offset`; returns the offset after them. The target must have `rowsLength` bytes left. */
export function encodeRows(target: Buffer, offset: number, run: EventRun): number {
  const source = viewOf(run.records);
  const view = viewOf(target);
  const payload = run.payload;
  let to = offset;
  for (let index = 0, at = 0; index < run.events; index += 1, at += RECORD_BYTES) {
    target.set(ROW_TEMPLATE, to);
    putInt64(view, to + 6, run.firstPosition + index);
    copy8(view, to + 18, source, at + RECORD.key);
    copy8(view, to + 26, source, at + RECORD.key + 8);
    copy8(view, to + 38, source, at + RECORD.fingerprint);
    copy8(view, to + 50, source, at + RECORD.debitAccount);
    copy8(view, to + 62, source, at + RECORD.creditAccount);
    copy8(view, to + 74, source, at + RECORD.amount);
    copy8(view, to + 86, source, at + RECORD.debitBalance);
    copy8(view, to + 98, source, at + RECORD.creditBalance);
    copy8(view, to + 110, source, at + RECORD.debitVersion);
    copy8(view, to + 122, source, at + RECORD.creditVersion);
    copy8(view, to + 134, source, at + RECORD.debitPrevious);
    copy8(view, to + 146, source, at + RECORD.creditPrevious);
    putInt64(view, to + 158, getInt64(source, at + RECORD.recordedAt) - POSTGRES_EPOCH_MICROS);
    putInt64(view, to + 170, getInt64(source, at + RECORD.effectiveAt) - POSTGRES_EPOCH_MICROS);
    view.setInt16(to + 182, source.getUint8(at + RECORD.kind));
    const idLength = source.getUint16(at + RECORD.idLength);
    const metadataLength = source.getUint32(at + RECORD.metadataLength);
    const from = source.getUint32(at + RECORD.payloadOffset);
    view.setInt32(to + 184, idLength);
    to += ROW_FIXED_BYTES;
    copyBytes(target, to, payload, from, idLength);
    to += idLength;
    view.setInt32(to, metadataLength === 0 ? -1 : metadataLength);
    to += ROW_TAIL_BYTES;
    copyBytes(target, to, payload, from + idLength, metadataLength);
    to += metadataLength;
  }
  return to;
}

/** A whole COPY stream of one run: header, rows, end mark. */
export function encodeCopy(run: EventRun): Buffer {
  const target = Buffer.allocUnsafe(COPY_HEADER.length + rowsLength(run) + COPY_TRAILER.length);
  COPY_HEADER.copy(target, 0);
  const end = encodeRows(target, COPY_HEADER.length, run);
  COPY_TRAILER.copy(target, end);
  return target;
}

/** A record that a row is compared with: the `next` of a run, whose records `view` shows. */
export interface DueRecord extends EventRun {
  readonly view: DataView;
  readonly next: number;
}

/** Whether the row at `at`, of which `rowLength` bytes are there, is what `encodeRows` would make of the record. */
export function isSameRow(row: DataView, at: number, due: DueRecord): boolean {
  const record = due.view;
  const from = due.next * RECORD_BYTES;
  if (row.getInt16(at) !== EVENT_COLUMNS.length || row.getInt32(at + 2) !== 8 || row.getInt32(at + 14) !== 16)
    return false;
  if (getInt64(row, at + 6) !== due.firstPosition + due.next) return false;
  if (!isSame8(row, at + 18, record, from) || !isSame8(row, at + 26, record, from + 8)) return false;
  // From the fingerprint to the previous positions: eight bytes each, in the order of the columns.
  for (let field = 0; field < 10; field += 1) {
    const to = at + 34 + field * 12;
    if (row.getInt32(to) !== 8 || !isSame8(row, to + 4, record, from + RECORD.fingerprint + field * 8)) return false;
  }
  if (row.getInt32(at + 154) !== 8 || row.getInt32(at + 166) !== 8 || row.getInt32(at + 178) !== 2) return false;
  if (getInt64(row, at + 158) !== getInt64(record, from + RECORD.recordedAt) - POSTGRES_EPOCH_MICROS) return false;
  if (getInt64(row, at + 170) !== getInt64(record, from + RECORD.effectiveAt) - POSTGRES_EPOCH_MICROS) return false;
  if (row.getInt16(at + 182) !== record.getUint8(from + RECORD.kind)) return false;
  return isSamePayload(row, at + 184, { record, from, payload: due.payload });
}

function isSamePayload(
  row: DataView,
  at: number,
  { record, from, payload }: { record: DataView; from: number; payload: Uint8Array },
): boolean {
  const idLength = record.getUint16(from + RECORD.idLength);
  const metadataLength = record.getUint32(from + RECORD.metadataLength);
  const idFrom = record.getUint32(from + RECORD.payloadOffset);
  const metadataAt = at + 4 + idLength;
  if (row.getInt32(at) !== idLength) return false;
  if (row.getInt32(metadataAt) !== (metadataLength === 0 ? -1 : metadataLength)) return false;
  if (idFrom + idLength + metadataLength > payload.length) return false;
  for (let index = 0; index < idLength; index += 1) {
    if (row.getUint8(at + 4 + index) !== payload[idFrom + index]) return false;
  }
  const metadataFrom = idFrom + idLength;
  for (let index = 0; index < metadataLength; index += 1) {
    if (row.getUint8(metadataAt + 4 + index) !== payload[metadataFrom + index]) return false;
  }
  return true;
}

function isSame8(row: DataView, at: number, record: DataView, from: number): boolean {
  return row.getInt32(at) === record.getInt32(from) && row.getInt32(at + 4) === record.getInt32(from + 4);
}

function copy8(to: DataView, toOffset: number, from: DataView, fromOffset: number): void {
  to.setInt32(toOffset, from.getInt32(fromOffset));
  to.setInt32(toOffset + 4, from.getInt32(fromOffset + 4));
}

/** Short copies by hand: a call into the runtime costs more than twenty bytes. */
function copyBytes(target: Uint8Array, to: number, source: Uint8Array, from: number, length: number): void {
  if (length > 64) {
    target.set(source.subarray(from, from + length), to);
    return;
  }
  for (let index = 0; index < length; index += 1) target[to + index] = source[from + index] as number;
}
