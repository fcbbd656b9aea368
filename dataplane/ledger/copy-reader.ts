/** Reads COPY ... TO STDOUT (FORMAT binary) as a stream of rows, without an object per row. */
import type { Socket } from "node:net";
import type { Client, Submittable } from "pg";
import { COPY_HEADER } from "./copy-codec.ts";
import { type OnCopyBytes, takeCopyData } from "./copy-frames.ts";
import { getInt64, POSTGRES_EPOCH_MICROS, viewOf } from "./int64.ts";

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

/** Runs a COPY query and calls `onRow` for each row, in order. An error of `onRow` is thrown after the last row. */
export function readRows(client: Client, select: string, onRow: (row: BinaryRow) => void): Promise<void> {
  return copyOut(client, select, createRowParser(onRow));
}

/** The server sends rows as it finds them: whoever waits this long for the next one waits for nobody. */
const SILENCE_MS = 15_000;

/** As `readRows`; a connection that falls silent between two rows is broken: the driver's limit ends with the first one. */
export async function readRowsPromptly(client: Client, select: string, onRow: (row: BinaryRow) => void): Promise<void> {
  const silence = setTimeout(() => breakConnection(client), SILENCE_MS);
  try {
    await readRows(client, select, (row) => {
      silence.refresh();
      onRow(row);
    });
  } finally {
    clearTimeout(silence);
  }
}

/** The socket of a connection: the driver has no door to it. */
function socketOf(client: Client): Socket {
  return (client as unknown as { connection: { stream: Socket } }).connection.stream;
}

/** Stops or continues the delivery of a connection's bytes; the server is held up when the buffers between are full. */
export function pauseConnection(client: Client, paused: boolean): void {
  if (paused) socketOf(client).pause();
  else socketOf(client).resume();
}

/** Bytes that a connection has brought so far. */
export function bytesReceived(client: Client): number {
  return socketOf(client).bytesRead;
}

/** Ends a connection at once, without a word to the server: its queries fail. */
export function breakConnection(client: Client): void {
  socketOf(client).destroy();
}

/**
 * Runs COPY (select) TO STDOUT (FORMAT binary) and calls `onBytes` with the bytes as they come, without a stream or the
 * driver in between. An error of `onBytes` is thrown after the last byte, so that the connection stays usable.
 */
export function copyOut(client: Client, select: string, onBytes: OnCopyBytes): Promise<void> {
  return new Promise((resolve, reject) => {
    let failure: unknown;
    let answered = false;
    const text = `COPY (${select}) TO STDOUT (FORMAT binary)`;
    const query = {
      text,
      /** The driver replaces this to learn that an answer came; its time limit ends with the first call. */
      callback: (): void => undefined,
      submit: (connection: { query(text: string): void }): void => {
        takeCopyData(socketOf(client), (chunk, from, to) => {
          if (!answered) {
            answered = true;
            query.callback();
          }
          if (failure !== undefined) return;
          try {
            onBytes(chunk, from, to);
          } catch (error) {
            failure = error;
          }
        });
        connection.query(text);
      },
      handleRowDescription: (): void => undefined,
      handleCommandComplete: (): void => undefined,
      handleError: (error: unknown): void => {
        query.callback();
        reject(asError(error));
      },
      handleReadyForQuery: (): void => {
        query.callback();
        if (failure === undefined) resolve();
        else reject(asError(failure));
      },
    };
    client.query(query as unknown as Submittable);
  });
}

/** What the driver and callbacks throw are errors; this tells the compiler. */
function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });
}

/** Cuts bytes that come in any pieces into rows. Exported for its test. */
export function createRowParser(onRow: (row: BinaryRow) => void): OnCopyBytes {
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
    text: (field) => current.toString("utf8", offsets[field], (offsets[field] as number) + (lengths[field] as number)),
    bytes: (field) => current.subarray(offsets[field], (offsets[field] as number) + (lengths[field] as number)),
  };

  /** Finds the fields of the row at `start`. @returns the offset after it, or minus the bytes that are needed */
  const locate = (start: number, end: number): number => {
    let at = start + 2;
    if (at > end) return -2;
    const fields = view.getInt16(start);
    if (fields === END_OF_DATA) return at;
    for (let field = 0; field < fields; field += 1) {
      if (at + 4 > end) return -(at + 4 - start);
      const length = Math.max(0, view.getInt32(at));
      offsets[field] = at + 4;
      lengths[field] = length;
      at += 4 + length;
      if (at > end) return -(at - start);
    }
    return at;
  };

  /** All whole rows. @returns the offset of the first that is not whole */
  const readRowsOf = (from: number, to: number): number => {
    let at = from;
    if (!headerSeen) {
      headerSeen = true;
      at += COPY_HEADER.length;
    }
    needed = 1;
    while (at < to) {
      const next = locate(at, to);
      if (next < 0) {
        needed = -next;
        break;
      }
      if (view.getInt16(at) !== END_OF_DATA) onRow(row);
      at = next;
    }
    return at;
  };

  return (chunk, from, to) => {
    let [start, end] = [from, to];
    if (waitingLength > 0 || to - from < needed) {
      waiting.push(chunk.subarray(from, to));
      waitingLength += to - from;
      if (waitingLength < needed) return;
      current = Buffer.concat(waiting, waitingLength);
      view = viewOf(current);
      [start, end] = [0, waitingLength];
    } else if (current !== chunk) {
      current = chunk;
      view = viewOf(chunk);
    }
    const rest = readRowsOf(start, end);
    waiting = rest < end ? [current.subarray(rest, end)] : [];
    waitingLength = end - rest;
  };
}
