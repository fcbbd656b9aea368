/**
 * Compares two streams that arrive at their own pace: the records of the journal (expected), and the table's rows as the
 * bytes of one binary COPY (actual). Each field of a row is compared with its record in place, without encoding the
 * record first. Whoever is ahead waits: the actual side is told to pause when nothing is expected yet,
 * the expected side when too much waits.
 */
import {
  COPY_HEADER,
  COPY_TRAILER,
  EVENT_COLUMNS,
  type EventRun,
  encodeRows,
  isSameRow,
  rowLength,
  rowsLength,
} from "./copy-codec.ts";
import type { OnCopyBytes } from "./copy-frames.ts";
import { viewOf } from "./int64.ts";
import { RECORD_BYTES } from "./journal-codec.ts";

/** Bytes of records that may wait: enough to keep the database busy, little for the memory. */
const EXPECTED_BYTES_MAX = 8 * 1024 * 1024;

export interface RowComparator {
  /** The next records of the journal; kept until they are compared. */
  expect(run: EventRun): void;
  /** The journal has ended. */
  expectEnd(): void;
  /** The next bytes of the table's COPY. */
  readonly actual: OnCopyBytes;
  /** The table's COPY has ended. */
  actualEnd(): void;
}

/** Where the table first differs from the journal. */
export interface RowDifference {
  readonly position: number;
  /** Absent when the row as a whole is missing or too much. */
  readonly column?: string;
}

export interface ComparatorOptions {
  /** Called at most once. */
  readonly onDifference: (found: RowDifference) => void;
  /** True: deliver no more actual rows for now. */
  readonly pauseActual: (paused: boolean) => void;
  /** True: deliver no more expected rows for now. */
  readonly pauseExpected: (paused: boolean) => void;
}

/** Records that wait, and the next of them. */
interface Waiting extends EventRun {
  readonly view: DataView;
  next: number;
}

const NOTHING = Buffer.alloc(0);

export function createRowComparator(options: ComparatorOptions): RowComparator {
  let queue: Waiting[] = [];
  let queuedBytes = 0;
  /** Actual bytes that could not be compared yet: a cut row, or rows that nothing is expected for. */
  let stash: Buffer[] = [];
  let stashLength = 0;
  /** Bytes of the stash from which on it is worth looking again. */
  let needed = 0;
  let headerSeen = false;
  let trailerSeen = false;
  let nextPosition = 1;
  let expectedEnded = false;
  let actualEnded = false;
  let differs = false;
  let chunkOfView: Buffer = NOTHING;
  let view = viewOf(NOTHING);
  // Told when they change: each row comes with a call, and a connection takes its time to be paused or continued.
  const pauseActual = onChange(options.pauseActual);
  const pauseExpected = onChange(options.pauseExpected);

  const differ = (found: RowDifference): void => {
    if (differs) return;
    differs = true;
    queue = [];
    stash = [];
    options.onDifference(found);
    // Both streams are read to their ends, and ignored.
    pauseActual(false);
    pauseExpected(false);
  };

  const finishRun = (run: Waiting): void => {
    queue.shift();
    queuedBytes -= bytesOf(run);
    if (queuedBytes < EXPECTED_BYTES_MAX / 2) pauseExpected(false);
  };

  /** The bytes that a stream begins or ends with. @returns the offset after them, -1 when they are not there or not these */
  const skip = (mark: Buffer, chunk: Buffer, span: { from: number; to: number }): number => {
    const end = span.from + mark.length;
    if (end > span.to) {
      needed = mark.length;
      return -1;
    }
    if (chunk.compare(mark, 0, mark.length, span.from, end) === 0) return end;
    differ({ position: nextPosition });
    return -1;
  };

  /** Compares as many rows as both sides have. @returns the offset of the first byte that must wait */
  const compareRows = (chunk: Buffer, from: number, to: number): number => {
    let at = from;
    for (;;) {
      const run = queue[0];
      if (run === undefined) {
        needed = 0;
        return at;
      }
      const length = rowLength(run.view, run.next * RECORD_BYTES);
      if (to - at < length) {
        needed = length;
        return at;
      }
      if (!isSameRow(view, at, run)) {
        differ(describe(chunk.subarray(at, to), run));
        return to;
      }
      at += length;
      run.next += 1;
      if (run.next === run.events) finishRun(run);
    }
  };

  const compare = (chunk: Buffer, from: number, to: number): number => {
    if (chunk !== chunkOfView) {
      chunkOfView = chunk;
      view = viewOf(chunk);
    }
    let at = from;
    if (!headerSeen) {
      at = skip(COPY_HEADER, chunk, { from, to });
      if (at < 0) return from;
      headerSeen = true;
    }
    at = compareRows(chunk, at, to);
    if (differs || !expectedEnded || queue.length > 0 || at === to) return at;
    if (trailerSeen) {
      differ({ position: nextPosition });
      return to;
    }
    const end = skip(COPY_TRAILER, chunk, { from: at, to });
    if (end < 0) return at;
    trailerSeen = true;
    if (end < to) differ({ position: nextPosition });
    return to;
  };

  const keep = (chunk: Buffer, from: number, to: number): void => {
    const isLeft = from < to && !differs;
    if (isLeft) stash = [chunk.subarray(from, to)];
    else if (stash.length > 0) stash = [];
    stashLength = isLeft ? to - from : 0;
    // Without records there is nothing to do for what comes; with some, the rest of a cut row must come.
    if (!differs) pauseActual(stashLength > 0 && queue.length === 0 && !expectedEnded);
  };

  const compareStash = (): void => {
    if (differs || stashLength < needed) return;
    const bytes = stash.length === 1 ? (stash[0] as Buffer) : Buffer.concat(stash);
    keep(bytes, compare(bytes, 0, bytes.length), bytes.length);
  };

  /** The actual side is complete; it may be so long before the expected one. */
  const judgeEnd = (): void => {
    if (differs || !actualEnded) return;
    const run = queue[0];
    if (run !== undefined) differ(describe(Buffer.concat(stash), run));
    else if (expectedEnded && (stashLength > 0 || !trailerSeen)) differ({ position: nextPosition });
  };

  return {
    expect: (run) => {
      if (differs) return;
      nextPosition = run.firstPosition + run.events;
      if (run.events === 0) return;
      const waiting = { ...run, view: viewOf(run.records), next: 0 };
      queue.push(waiting);
      queuedBytes += bytesOf(waiting);
      if (queuedBytes > EXPECTED_BYTES_MAX) pauseExpected(true);
      needed = 0;
      if (stashLength > 0) compareStash();
      judgeEnd();
    },
    expectEnd: () => {
      expectedEnded = true;
      needed = 0;
      if (stashLength > 0) compareStash();
      judgeEnd();
    },
    actual: (chunk, from, to) => {
      if (differs) return;
      if (stashLength === 0) return keep(chunk, compare(chunk, from, to), to);
      stash.push(chunk.subarray(from, to));
      stashLength += to - from;
      if (queue.length > 0 || expectedEnded) compareStash();
    },
    actualEnd: () => {
      actualEnded = true;
      judgeEnd();
    },
  };
}

function onChange(tell: (paused: boolean) => void): (paused: boolean) => void {
  let told = false;
  return (paused) => {
    if (paused === told) return;
    told = paused;
    tell(paused);
  };
}

function bytesOf(run: EventRun): number {
  return run.records.length + run.payload.length;
}

/** Where the first row of `actual` differs from the record that is due. */
function describe(actual: Buffer, run: Waiting): RowDifference {
  const position = run.firstPosition + run.next;
  const only: EventRun = {
    ...run,
    firstPosition: position,
    events: 1,
    records: run.records.subarray(run.next * RECORD_BYTES, (run.next + 1) * RECORD_BYTES),
  };
  const expected = Buffer.alloc(rowsLength(only));
  encodeRows(expected, 0, only);
  let at = 2;
  if (actual.length < at || actual.compare(expected, 0, at, 0, at) !== 0) return { position };
  for (const column of EVENT_COLUMNS) {
    const end = at + 4 + Math.max(0, expected.readInt32BE(at));
    if (actual.length < end || actual.compare(expected, at, end, at, end) !== 0) {
      return column === "position" ? { position } : { position, column };
    }
    at = end;
  }
  return { position };
}
