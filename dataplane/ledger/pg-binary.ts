/** Parameters in PostgreSQL's binary format: `pg` sends a Buffer as it is, so arrays of a batch cost no text. */
import { POSTGRES_EPOCH_MICROS, putInt64, viewOf } from "./int64.ts";

const OID = { bytea: 17, int8: 20, text: 25, timestamptz: 1184, uuid: 2950 } as const;
const ARRAY_HEADER_BYTES = 20;

function arrayHeader(oid: number, count: number, bytes: number): Buffer {
  // PostgreSQL's canonical empty array has no dimensions.
  const buffer = Buffer.alloc(count === 0 ? 12 : ARRAY_HEADER_BYTES + bytes);
  buffer.writeInt32BE(count === 0 ? 0 : 1, 0);
  buffer.writeInt32BE(oid, 8);
  if (count > 0) {
    buffer.writeInt32BE(count, 12);
    buffer.writeInt32BE(1, 16);
  }
  return buffer;
}

function int64Array(oid: number, values: ArrayLike<number>, shift: number): Buffer {
  const buffer = arrayHeader(oid, values.length, values.length * 12);
  const view = viewOf(buffer);
  for (let index = 0, offset = ARRAY_HEADER_BYTES; index < values.length; index += 1, offset += 12) {
    view.setInt32(offset, 8);
    putInt64(view, offset + 4, (values[index] as number) - shift);
  }
  return buffer;
}

/** bigint[] of safe integers. */
export function int8Array(values: ArrayLike<number>): Buffer {
  return int64Array(OID.int8, values, 0);
}

/** timestamptz[] of microseconds since 1970. */
export function timestampArray(micros: ArrayLike<number>): Buffer {
  return int64Array(OID.timestamptz, micros, POSTGRES_EPOCH_MICROS);
}

/** timestamptz of microseconds since 1970. */
export function timestamp(micros: number): Buffer {
  const buffer = Buffer.allocUnsafe(8);
  putInt64(viewOf(buffer), 0, micros - POSTGRES_EPOCH_MICROS);
  return buffer;
}

function bytesArray(oid: number, values: readonly Uint8Array[]): Buffer {
  const bytes = values.reduce((sum, value) => sum + 4 + value.length, 0);
  const buffer = arrayHeader(oid, values.length, bytes);
  let offset = ARRAY_HEADER_BYTES;
  for (const value of values) {
    buffer.writeInt32BE(value.length, offset);
    buffer.set(value, offset + 4);
    offset += 4 + value.length;
  }
  return buffer;
}

/** uuid[] of 16-byte keys. */
export function uuidArray(keys: readonly Uint8Array[]): Buffer {
  return bytesArray(OID.uuid, keys);
}

/** bigint[] of 8-byte values as they are (fingerprints use all 64 bits). */
export function rawInt8Array(values: readonly Uint8Array[]): Buffer {
  return bytesArray(OID.int8, values);
}

export function byteaArray(values: readonly Uint8Array[]): Buffer {
  return bytesArray(OID.bytea, values);
}

export function textArray(values: readonly string[]): Buffer {
  return bytesArray(
    OID.text,
    values.map((value) => Buffer.from(value, "utf8")),
  );
}
