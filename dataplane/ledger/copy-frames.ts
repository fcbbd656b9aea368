/**
 * Takes the bytes of a COPY from a connection's socket before the driver sees them: for a message of its own for each
 * row the driver makes three objects and calls four functions, which costs more than the row itself.
 */
import type { Socket } from "node:net";

/** What a COPY brings: `chunk` from `from` to `to`; nobody writes into it later, so it may be kept. Any cut is possible. */
export type OnCopyBytes = (chunk: Buffer, from: number, to: number) => void;

type Listener = (chunk: Buffer) => void;

/** Message types of the protocol: one byte, then an int32 length that counts itself. */
const COPY_DATA = 0x64;
const COPY_DONE = 0x63;
const ERROR_RESPONSE = 0x45;
const LENGTH_BYTES = 4;
const HEADER_BYTES = 1 + LENGTH_BYTES;

/**
 * Stands before the driver from now to the end of the COPY: its data go to `onBytes`, everything else to the driver. Call
 * it while the connection is silent, just before the COPY is sent.
 */
export function takeCopyData(socket: Socket, onBytes: OnCopyBytes): void {
  const driver = socket.listeners("data") as Listener[];
  const header = Buffer.alloc(HEADER_BYTES);
  /** Bytes of the header that are there, and of the message that are still to come. */
  let headerLength = 0;
  let left = 0;
  let isData = false;

  const toDriver = (bytes: Buffer): void => {
    for (const listener of driver) listener(bytes);
  };

  const giveBack = (rest: Buffer): void => {
    socket.removeListener("data", take);
    for (const listener of driver) socket.on("data", listener);
    toDriver(rest);
  };

  /** The header of the next message, which may come in two chunks. @returns the offset after it, -1 when it is not whole */
  const readHeader = (chunk: Buffer, at: number): number => {
    const copied = chunk.copy(header, headerLength, at, at + HEADER_BYTES - headerLength);
    headerLength += copied;
    if (headerLength < HEADER_BYTES) return -1;
    headerLength = 0;
    isData = header[0] === COPY_DATA;
    left = header.readUInt32BE(1) - LENGTH_BYTES;
    return at + copied;
  };

  const take = (chunk: Buffer): void => {
    for (let at = 0; at < chunk.length; ) {
      if (left === 0) {
        if (headerLength === 0 && chunk[at] === COPY_DATA && at + HEADER_BYTES <= chunk.length) {
          // The way of nearly every row.
          isData = true;
          left =
            ((chunk[at + 1] as number) << 24) +
            ((chunk[at + 2] as number) << 16) +
            ((chunk[at + 3] as number) << 8) +
            (chunk[at + 4] as number) -
            LENGTH_BYTES;
          at += HEADER_BYTES;
        } else {
          const begun = headerLength;
          const next = readHeader(chunk, at);
          if (next < 0) return;
          const whole =
            begun === 0 ? chunk.subarray(at) : Buffer.concat([header.subarray(0, begun), chunk.subarray(at)]);
          if (header[0] === COPY_DONE || header[0] === ERROR_RESPONSE) return giveBack(whole);
          if (!isData) toDriver(Buffer.from(header));
          at = next;
        }
      }
      const end = Math.min(chunk.length, at + left);
      left -= end - at;
      if (end > at) {
        if (isData) onBytes(chunk, at, end);
        else toDriver(chunk.subarray(at, end));
      }
      at = end;
    }
  };

  for (const listener of driver) socket.removeListener("data", listener);
  socket.on("data", take);
}
