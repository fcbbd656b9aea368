/** Reads COPY ... TO STDOUT (FORMAT binary) as a stream of rows, without an object per row. */
import type { Client } from "pg";
import { to as copyTo } from "pg-copy-streams";
import { COPY_HEADER } from "./copy-codec.ts";
import { POSTGRES_EPOCH_MICROS, getInt64, viewOf } from "./int64.ts";

/** One row at a time: valid only during the call that gets it. */
export interface BinaryRow {
  int16(field: number): number;
  int32(field: number): number;
  int64(field: number): number;
  /** Microseconds since 1970 of a timestamptz. */
  micros(field: number): number;
  text(field: number): string;
  /** Shares memory with the stream; copy what must stay. */
  bytes(field: number): Buffer;
}

const FIELDS_MAX = 32;
const END_OF_DATA = -1;

/** Runs a COPY query and calls `onRow` for each row, in order. An error of `onRow` ends the stream and is thrown. */
export async function readRows(client: Client, select: string, onRow: (row: BinaryRow) => void): Promise<void> {
  const stream = client.query(copyTo(`COPY (${select}) TO STDOUT (FORMAT binary)`));
  const parser = createRowParser(onRow);
  let failure: unknown;
  // The stream is read to its end even after a failure, so that the connection stays usable.
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    if (failure !== undefined) continue;
    try {
      parser(chunk);
    } catch (error) {
      failure = error;
    }
  }
  if (failure !== undefined) throw failure;
}

/** Cuts chunks of any size into rows. Exported for its test. */
export function createRowParser(onRow: (row: BinaryRow) => void): (chunk: Buffer) => void {
  const offsets = new Int32Array(FIELDS_MAX);
  const lengths = new Int32Array(FIELDS_MAX);
  let waiting: Buffer[] = [];
  let waitingLength = 0;
  /** Bytes that must be there before it is worth trying again: a row of a megabyte comes in many chunks. */
  let needed = COPY_HEADER.length;
  let headerSeen = false;
  let current: Buffer = Buffer.alloc(0);
  let view = viewOf(current);

  const row: BinaryRow = {
    int16: (field) => view.getInt16(offsets[field] as number),
    int32: (field) => view.getInt32(offsets[field] as number),
    int64: (field) => getInt64(view, offsets[field] as number),
    micros: (field) => getInt64(view, offsets[field] as number) + POSTGRES_EPOCH_MICROS,
    text: (field) =>
      current.toString("utf8", offsets[field] as number, (offsets[field] as number) + (lengths[field] as number)),
    bytes: (field) =>
      current.subarray(offsets[field] as number, (offsets[field] as number) + (lengths[field] as number)),
  };

  /** Finds the fields of the row at `start`. @returns the offset after it, or minus the bytes that are needed */
  const locate = (start: number): number => {
    let at = start + 2;
    if (at > current.length) return -2;
    const fields = view.getInt16(start);
    if (fields === END_OF_DATA) return at;
    for (let field = 0; field < fields; field += 1) {
      if (at + 4 > current.length) return -(at + 4 - start);
      const length = Math.max(0, view.getInt32(at));
      offsets[field] = at + 4;
      lengths[field] = length;
      at += 4 + length;
      if (at > current.length) return -(at - start);
    }
    return at;
  };

  return (chunk) => {
    waiting.push(chunk);
    waitingLength += chunk.length;
    if (waitingLength < needed) return;
    current = waiting.length === 1 ? chunk : Buffer.concat(waiting, waitingLength);
    view = viewOf(current);
    let at = 0;
    if (!headerSeen) {
      headerSeen = true;
      at = COPY_HEADER.length;
    }
    needed = 1;
    while (at < current.length) {
      const next = locate(at);
      if (next < 0) {
        needed = -next;
        break;
      }
      if (view.getInt16(at) !== END_OF_DATA) onRow(row);
      at = next;
    }
    waiting = at < current.length ? [current.subarray(at)] : [];
    waitingLength = current.length - at;
  };
}
