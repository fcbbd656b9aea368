import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { type EventRun, encodeCopy } from "./copy-codec.ts";
import { viewOf } from "./int64.ts";
import { RECORD, RECORD_BYTES } from "./journal-codec.ts";
import { createRowComparator, type RowComparator, type RowDifference } from "./row-comparator.ts";

// Goal: however the two streams are cut and interleaved, equal ones are equal, and the first difference is named.

function run(firstPosition: number, events: number): EventRun {
  const records = Buffer.alloc(events * RECORD_BYTES);
  const view = viewOf(records);
  const payload = Buffer.from("id-");
  for (let index = 0; index < events; index += 1) {
    records.fill((firstPosition + index) & 0xff, index * RECORD_BYTES, index * RECORD_BYTES + 16);
    view.setUint16(index * RECORD_BYTES + RECORD.idLength, 1 + ((firstPosition + index) % 3));
  }
  return { firstPosition, events, records, payload };
}

function comparator(onDifference?: (found: RowDifference) => void): {
  comparator: RowComparator;
  found: number[];
  paused: { actual: boolean; expected: boolean };
} {
  const found: number[] = [];
  const paused = { actual: false, expected: false };
  return {
    found,
    paused,
    comparator: createRowComparator({
      onDifference: (difference) => {
        found.push(difference.position);
        onDifference?.(difference);
      },
      pauseActual: (value) => {
        paused.actual = value;
      },
      pauseExpected: (value) => {
        paused.expected = value;
      },
    }),
  };
}

const EVENTS = 12;
const whole = encodeCopy(run(1, EVENTS));
const rowStart = (position: number): number => encodeCopy(run(1, position - 1)).length - 2;

function feed(bytes: Buffer, cuts: readonly number[], order: readonly boolean[]): number[] {
  const { comparator: subject, found } = comparator();
  const runs = [run(1, 5), run(6, 1), run(7, EVENTS - 6)];
  const chunks: Buffer[] = [];
  const sorted = [...new Set(cuts.map((cut) => cut % bytes.length))].sort((a, b) => a - b);
  [...sorted, bytes.length].reduce((from, to) => {
    if (to > from) chunks.push(bytes.subarray(from, to));
    return to;
  }, 0);
  let turn = 0;
  // Each side delivers its pieces and then its end, in its own order; the other may be far ahead or behind.
  const expected = [...runs.map((one) => () => subject.expect(one)), subject.expectEnd];
  const actual = [...chunks.map((chunk) => () => subject.actual(chunk, 0, chunk.length)), subject.actualEnd];
  while (expected.length > 0 || actual.length > 0) {
    const wantsExpected = order[turn++ % Math.max(1, order.length)] ?? true;
    const side = actual.length === 0 || (wantsExpected && expected.length > 0) ? expected : actual;
    side.shift()?.();
  }
  return found;
}

describe("row comparator", () => {
  test("equal streams are equal, however they are cut and interleaved", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 20 }), fc.array(fc.boolean(), { maxLength: 8 }), (cuts, order) => {
        expect(feed(whole, cuts, order)).toEqual([]);
      }),
    );
  });

  test("names the row of any changed byte", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: rowStart(1), max: whole.length - 3 }),
        fc.array(fc.nat(), { maxLength: 6 }),
        fc.array(fc.boolean(), { maxLength: 4 }),
        (offset, cuts, order) => {
          const changed = Buffer.from(whole);
          changed[offset] = (changed[offset] as number) ^ 1;
          let position = 1;
          while (position < EVENTS && offset >= rowStart(position + 1)) position += 1;
          expect(feed(changed, cuts, order)).toEqual([position]);
        },
      ),
    );
  });

  test("names the column", () => {
    const columns: (string | undefined)[] = [];
    const { comparator: subject } = comparator((found) => columns.push(found.column));
    subject.expect(run(1, EVENTS));
    const changed = Buffer.from(whole);
    // Position 12 bytes, key 20, five numbers of 12 each, each with its length before it.
    changed[rowStart(3) + 2 + 12 + 20 + 3 * 12 + 11] = 77;
    subject.actual(changed, 0, changed.length);
    expect(columns).toEqual(["amount"]);
  });

  test("a row that is missing, at the end or in the middle", () => {
    for (const order of [[true], [false], [true, false]]) {
      expect(feed(encodeCopy(run(1, EVENTS - 1)), [], order)).toEqual([EVENTS]);
    }
    const hole = Buffer.concat([whole.subarray(0, rowStart(4)), whole.subarray(rowStart(5))]);
    expect(feed(hole, [], [])).toEqual([4]);
  });

  test("a row that is too much, and a stream that is cut off", () => {
    for (const order of [[true], [false], [true, false]]) {
      expect(feed(encodeCopy(run(1, EVENTS + 1)), [], order)).toEqual([EVENTS + 1]);
      expect(feed(whole.subarray(0, rowStart(9) + 10), [], order)).toEqual([9]);
    }
  });

  test("makes the faster side wait", () => {
    const { comparator: subject, paused } = comparator();
    subject.actual(whole, 0, rowStart(3));
    expect(paused).toEqual({ actual: true, expected: false });
    subject.expect(run(1, EVENTS));
    expect(paused.actual).toBe(false);
    for (let position = EVENTS + 1; position < 80_000; position += 2_000) subject.expect(run(position, 2_000));
    expect(paused.expected).toBe(true);
  });
});
