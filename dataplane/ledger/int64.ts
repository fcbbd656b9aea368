/**
 * 64-bit integers in big-endian byte order (that of PostgreSQL and of the journal) as JavaScript numbers. Two 32-bit
 * accesses are several times faster than a BigInt and exact for whole numbers within +-(2^53 - 1).
 */

const TWO_POW_32 = 4294967296;

/** Writes a safe integer as int64. */
export function putInt64(view: DataView, offset: number, value: number): void {
  view.setInt32(offset, Math.floor(value / TWO_POW_32));
  view.setUint32(offset + 4, value >>> 0);
}

/** Reads an int64 that is known to be a safe integer. */
export function getInt64(view: DataView, offset: number): number {
  return view.getInt32(offset) * TWO_POW_32 + view.getUint32(offset + 4);
}

/** A view over exactly the bytes of a buffer. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Microseconds from 1970-01-01 (ours) to 2000-01-01 (PostgreSQL's timestamptz). */
export const POSTGRES_EPOCH_MICROS = 946_684_800_000_000;
