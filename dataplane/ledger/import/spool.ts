/** Checked rows between the first pass and the posting, in a temporary file that nobody else sees. */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OperatorError } from "../../../lib/core/errors.ts";

/** Lines of text that are written once and then read. */
export interface Spool {
  /** Appends one line, which holds no LF itself. @throws OperatorError FILE_UNREADABLE when there is no room */
  add(text: string): void;
  /** All lines as they were added, or in the order of these indexes; nothing may be added any more. */
  read(order?: Uint32Array): Generator<string>;
  close(): void;
}

const BUFFER_BYTES = 256 * 1024;
const LF = 10;

/**
 * The file has no name from the beginning on, so that it is gone with this process, however that ends.
 * @param keepsPlaces whether `read` can take an order; costs 16 bytes of memory a line
 */
export function createSpool(keepsPlaces: boolean): Spool {
  const descriptor = openNameless();
  let waiting: string[] = [];
  let waitingCharacters = 0;
  let length = 0;
  /** Where the next line begins. */
  let placed = 0;
  const starts = keepsPlaces ? createNumbers() : undefined;

  const flush = (): void => {
    const bytes = Buffer.from(waiting.join(""));
    waiting = [];
    waitingCharacters = 0;
    length += bytes.length;
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done);
    } catch (cause) {
      throw new OperatorError(
        "FILE_UNREADABLE",
        `the temporary copy in ${tmpdir()} cannot be written: ${(cause as Error).message} (TMPDIR names another folder)`,
        { cause },
      );
    }
  };
  return {
    add: (text) => {
      starts?.push(placed);
      if (starts !== undefined) placed += Buffer.byteLength(text) + 1;
      waiting.push(text, "\n");
      waitingCharacters += text.length;
      if (waitingCharacters >= BUFFER_BYTES) flush();
    },
    read: function* (order) {
      flush();
      if (order === undefined) yield* readThrough(descriptor, length);
      else yield* readAt(descriptor, order, (index) => starts?.at(index) ?? length);
    },
    close: () => closeSync(descriptor),
  };
}

function openNameless(): number {
  const folder = mkdtempSync(join(tmpdir(), "shieldx-import-"));
  try {
    return openSync(join(folder, "rows"), "wx+", 0o600);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function* readThrough(descriptor: number, length: number): Generator<string> {
  const buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  let rest = Buffer.alloc(0);
  for (let at = 0; at < length; ) {
    const read = readSync(descriptor, buffer, 0, BUFFER_BYTES, at);
    at += read;
    const bytes = Buffer.concat([rest, buffer.subarray(0, read)]);
    const end = bytes.lastIndexOf(LF);
    if (end >= 0) yield* bytes.toString("utf8", 0, end).split("\n");
    rest = bytes.subarray(end + 1);
  }
}

function* readAt(descriptor: number, order: Uint32Array, startOf: (index: number) => number): Generator<string> {
  for (const index of order) {
    const start = startOf(index);
    const bytes = Buffer.allocUnsafe(startOf(index + 1) - start - 1);
    readSync(descriptor, bytes, 0, bytes.length, start);
    yield bytes.toString();
  }
}

/** Numbers in 8 bytes each, as many as come. */
export function createNumbers(): {
  push(value: number): void;
  at(index: number): number | undefined;
  all(): Float64Array;
} {
  let values = new Float64Array(1024);
  let count = 0;
  return {
    push: (value) => {
      if (count === values.length) {
        const more = new Float64Array(count * 2);
        more.set(values);
        values = more;
      }
      values[count] = value;
      count += 1;
    },
    at: (index) => (index < count ? values[index] : undefined),
    all: () => values.subarray(0, count),
  };
}
