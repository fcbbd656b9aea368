/**
 * Compares two streams that arrive at their own pace: the rows that the journal's records would have been copied in as
 * (expected), and the rows that the table answers (actual). Both are the bytes of one binary COPY. Whoever is ahead
 * waits: the actual side is told to pause when nothing is expected yet, the expected side when too much waits.
 */
import { COPY_HEADER, COPY_TRAILER, EVENT_COLUMNS, type EventRun, encodeRows, rowsLength } from "./copy-codec.ts";
import { getInt64, viewOf } from "./int64.ts";

/** Bytes of expected rows that may wait: enough to keep the database busy, little for the memory. */
const EXPECTED_BYTES_MAX = 8 * 1024 * 1024;

export interface RowComparator {
  /** The next records of the journal. */
  expect(run: EventRun): void;
  /** The journal has ended. */
  expectEnd(): void;
  /** The next bytes of the table's COPY; valid during the call only. */
  actual(chunk: Buffer): void;
  /** The table's COPY has ended. */
  actualEnd(): void;
}

export interface ComparatorOptions {
  /** The first row that differs, is missing or is too much: at this position. Called at most once. */
  readonly onDifference: (position: number) => void;
  /** True: deliver no more actual rows for now. */
  readonly pauseActual: (paused: boolean) => void;
  /** True: deliver no more expected rows for now. */
  readonly pauseExpected: (paused: boolean) => void;
}

export function createRowComparator(options: ComparatorOptions): RowComparator {
  let queue: Buffer[] = [COPY_HEADER];
  let queuedBytes = COPY_HEADER.length;
  /** Bytes of the first queued buffer that were compared. */
  let done = 0;
  let stash: Buffer[] = [];
  let nextPosition = 1;
  let expectedEnded = false;
  let actualEnded = false;
  let differs = false;

  const differ = (position: number): void => {
    if (differs) return;
    differs = true;
    queue = [];
    stash = [];
    options.onDifference(position);
    // Both streams are read to their ends, and ignored.
    options.pauseActual(false);
    options.pauseExpected(false);
  };

  /** Compares as much as both sides have. @returns bytes of the chunk that nothing is expected for yet */
  const compare = (chunk: Buffer): Buffer => {
    let at = 0;
    while (at < chunk.length) {
      const front = queue[0];
      if (front === undefined) return chunk.subarray(at);
      const length = Math.min(front.length - done, chunk.length - at);
      if (chunk.compare(front, done, done + length, at, at + length) !== 0) {
        differ(positionOf(front, done + firstDifference(chunk.subarray(at), front.subarray(done))) ?? nextPosition);
        return chunk.subarray(chunk.length);
      }
      at += length;
      done += length;
      if (done < front.length) continue;
      queue.shift();
      queuedBytes -= front.length;
      done = 0;
      if (queuedBytes < EXPECTED_BYTES_MAX / 2) options.pauseExpected(false);
    }
    return chunk.subarray(at);
  };

  const add = (bytes: Buffer): void => {
    queue.push(bytes);
    queuedBytes += bytes.length;
    if (queuedBytes > EXPECTED_BYTES_MAX) options.pauseExpected(true);
    if (stash.length > 0) {
      const rest = compare(Buffer.concat(stash));
      stash = rest.length === 0 || differs ? [] : [rest];
      if (stash.length === 0) options.pauseActual(false);
    }
    if (actualEnded) judgeEnd();
  };

  /** The actual side is complete; it may be so long before the expected one. */
  const judgeEnd = (): void => {
    if (differs) return;
    const front = queue[0];
    if (front !== undefined) return differ(positionOf(front, done) ?? nextPosition);
    if (expectedEnded && stash.length > 0) differ(nextPosition);
  };

  return {
    expect: (run) => {
      if (differs) return;
      const rows = Buffer.allocUnsafeSlow(rowsLength(run));
      encodeRows(rows, 0, run);
      nextPosition = run.firstPosition + run.events;
      add(rows);
    },
    expectEnd: () => {
      expectedEnded = true;
      if (differs) return;
      add(COPY_TRAILER);
      if (stash.length > 0) differ(nextPosition);
    },
    actual: (chunk) => {
      if (differs) return;
      if (stash.length > 0) return void stash.push(Buffer.from(chunk));
      const rest = compare(chunk);
      if (rest.length === 0 || differs) return;
      if (expectedEnded) return differ(nextPosition);
      stash.push(Buffer.from(rest));
      options.pauseActual(true);
    },
    actualEnd: () => {
      actualEnded = true;
      judgeEnd();
    },
  };
}

function firstDifference(chunk: Buffer, expected: Buffer): number {
  let at = 0;
  while (at < chunk.length && chunk[at] === expected[at]) at += 1;
  return at;
}

/** Position of the expected row that holds the byte at `offset`; rows say their own lengths. */
function positionOf(rows: Buffer, offset: number): number | undefined {
  if (rows === COPY_HEADER || rows === COPY_TRAILER) return undefined;
  const view = viewOf(rows);
  for (let start = 0; start < rows.length; ) {
    let at = start + 2;
    for (let field = 0; field < EVENT_COLUMNS.length; field += 1) at += 4 + Math.max(0, view.getInt32(at));
    if (offset < at) return getInt64(view, start + 6);
    start = at;
  }
  return undefined;
}
