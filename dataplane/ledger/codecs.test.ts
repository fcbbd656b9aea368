import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { CREDITS_MAX } from "../../lib/core/money.ts";
import { COPY_HEADER, EVENT_COLUMNS, encodeCopy, rowsLength } from "./copy-codec.ts";
import { getInt64, putInt64, viewOf } from "./int64.ts";
import { type AccountEntry, decodeBody, encodeBody, RECORD, RECORD_BYTES } from "./journal-codec.ts";
import { byteaArray, int8Array, rawInt8Array, textArray, timestamp, timestampArray, uuidArray } from "./pg-binary.ts";

// Goal: bytes are exactly those that PostgreSQL and later readers of the journal expect.

describe("int64", () => {
  test("agrees with BigInt for every safe integer", () => {
    const view = new DataView(new ArrayBuffer(8));
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        putInt64(view, 0, value);
        expect(view.getBigInt64(0)).toBe(BigInt(value));
        expect(getInt64(view, 0)).toBe(value);
      }),
      { examples: [[0], [-1], [CREDITS_MAX], [-CREDITS_MAX], [4294967296], [-4294967296], [-4294967297]] },
    );
  });
});

describe("journal body", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "z", "0", "9", ":", "-", "_", "."), maxLength: 128 });
  const entry: fc.Arbitrary<AccountEntry> = fc.oneof(
    fc.record({
      type: fc.constant("opening" as const),
      account: fc.nat(),
      extId: text,
      placementKey: text,
      asset: text,
      floor: fc.maxSafeInteger(),
      openedAtMicros: fc.maxSafeInteger(),
    }),
    fc.record({ type: fc.constant("pointer" as const), extId: text, placementKey: text }),
  );

  test("decodes what it encoded", () => {
    fc.assert(
      fc.property(fc.array(entry), fc.nat(5), fc.uint8Array(), (entries, events, payload) => {
        const records = Buffer.alloc(events * RECORD_BYTES, 7);
        const header = { block: 1, events, accounts: entries.length };
        const decoded = decodeBody(header, encodeBody(entries, records, payload));
        expect(decoded.entries).toEqual(entries);
        expect(Buffer.from(decoded.records)).toEqual(records);
        expect([...decoded.payload]).toEqual([...payload]);
      }),
    );
  });

  const body = encodeBody(
    [{ type: "pointer", extId: "a", placementKey: "b" }],
    Buffer.alloc(RECORD_BYTES),
    Buffer.alloc(0),
  );
  const damaged: { name: string; header: { block: number; events: number; accounts: number }; body: Buffer }[] = [
    { name: "an empty body", header: { block: 1, events: 0, accounts: 0 }, body: Buffer.alloc(0) },
    { name: "fewer records than the row says", header: { block: 1, events: 2, accounts: 1 }, body },
    { name: "another number of accounts", header: { block: 1, events: 1, accounts: 2 }, body },
    {
      name: "a length beyond the section",
      header: { block: 1, events: 1, accounts: 1 },
      body: (() => {
        const bad = Buffer.from(body);
        bad.writeUInt16BE(60_000, 4 + 2);
        return bad;
      })(),
    },
  ];
  test.each(damaged)("refuses $name", ({ header, body: bytes }) => {
    expect(() => decodeBody(header, bytes)).toThrow(expect.objectContaining({ code: "LEDGER_CORRUPT" }));
  });
});

describe("copy", () => {
  test("a row has PostgreSQL's layout", () => {
    const records = Buffer.alloc(RECORD_BYTES);
    const view = viewOf(records);
    records.fill(0xab, RECORD.key, RECORD.key + 16);
    putInt64(view, RECORD.amount, 5);
    putInt64(view, RECORD.recordedAt, 946_684_800_000_001);
    view.setUint16(RECORD.idLength, 2);
    const payload = Buffer.from("id");
    const bytes = encodeCopy({ firstPosition: 9, events: 1, records, payload });
    expect(bytes.length).toBe(COPY_HEADER.length + rowsLength({ firstPosition: 9, events: 1, records, payload }) + 2);

    let offset = COPY_HEADER.length;
    expect(bytes.readInt16BE(offset)).toBe(EVENT_COLUMNS.length);
    offset += 2;
    const fields: (string | null)[] = EVENT_COLUMNS.map(() => {
      const length = bytes.readInt32BE(offset);
      offset += 4;
      if (length < 0) return null;
      offset += length;
      return bytes.subarray(offset - length, offset).toString("hex");
    });
    const int8 = (value: number): string => value.toString(16).padStart(16, "0");
    expect(fields[0]).toBe(int8(9));
    expect(fields[1]).toBe("ab".repeat(16));
    expect(fields[5]).toBe(int8(5));
    expect(fields[12]).toBe(int8(1));
    expect(fields[14]).toBe("0000");
    expect(fields[15]).toBe(Buffer.from("id").toString("hex"));
    expect(fields[16]).toBeNull();
    expect(bytes.subarray(offset).toString("hex")).toBe("ffff");
  });
});

describe("binary parameters", () => {
  test("arrays have one dimension, an element type and lengths", () => {
    expect(int8Array([1, -1]).toString("hex")).toBe(
      "00000001000000000000001400000002000000010000000800000000000000010000000" + "8ffffffffffffffff",
    );
    expect(int8Array([]).toString("hex")).toBe("000000000000000000000014");
    expect(textArray(["ab"]).toString("hex")).toBe("00000001000000000000001900000001000000010000000261" + "62");
    expect(uuidArray([Buffer.alloc(16)]).length).toBe(20 + 4 + 16);
    expect(rawInt8Array([Buffer.alloc(8)]).readInt32BE(8)).toBe(20);
    expect(byteaArray([Buffer.alloc(3)]).readInt32BE(8)).toBe(17);
    expect(timestampArray([946_684_800_000_000]).subarray(24).toString("hex")).toBe("0".repeat(16));
    expect(timestamp(946_684_800_000_002).toString("hex")).toBe("0000000000000002");
  });
});
