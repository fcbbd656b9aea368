import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { CREDITS_MAX } from "../../lib/core/money.ts";
import { transferRequest } from "./api-schema.ts";
import { InexactNumber } from "./json-numbers.ts";
import { parseTimestamp } from "./timestamps.ts";
import { isProblem, parseTransfer } from "./transfer-parser.ts";

// Goal: the hand-written parser takes exactly what the documented schema takes, and says the right code otherwise.

const valid = { id: "t1", debitAccount: "a", creditAccount: "b", amount: 5 };
const codeOf = (value: unknown): string => {
  const parsed = parseTransfer(value);
  return isProblem(parsed) ? parsed.code : "";
};

describe("parseTransfer", () => {
  const cases: { name: string; change: object; code: string }[] = [
    { name: "nothing wrong", change: {}, code: "" },
    { name: "everything given", change: { asset: "CZK", effectiveAt: "1993-01-05", metadata: { a: "b" } }, code: "" },
    { name: "amount 0", change: { amount: 0 }, code: "AMOUNT_NOT_POSITIVE" },
    { name: "a negative amount", change: { amount: -1 }, code: "AMOUNT_NOT_POSITIVE" },
    { name: "the largest amount", change: { amount: CREDITS_MAX }, code: "" },
    { name: "one more", change: { amount: 2 ** 53 }, code: "NUMBER_INVALID" },
    { name: "an exponent", change: { amount: new InexactNumber("1e3") }, code: "NUMBER_INVALID" },
    { name: "text", change: { amount: "5" }, code: "REQUEST_INVALID" },
    { name: "no amount", change: { amount: undefined }, code: "REQUEST_INVALID" },
    { name: "one account", change: { creditAccount: "a" }, code: "SAME_ACCOUNT" },
    { name: "a space in an id", change: { id: "a b" }, code: "REQUEST_INVALID" },
    { name: "an empty id", change: { id: "" }, code: "REQUEST_INVALID" },
    { name: "an account of another shape", change: { debitAccount: "/etc" }, code: "REQUEST_INVALID" },
    { name: "a long account", change: { debitAccount: "a".repeat(129) }, code: "REQUEST_INVALID" },
    { name: "another member", change: { extra: 1 }, code: "REQUEST_INVALID" },
    { name: "an asset in lower case", change: { asset: "czk" }, code: "REQUEST_INVALID" },
    { name: "a day that does not exist", change: { effectiveAt: "2023-02-29" }, code: "REQUEST_INVALID" },
    { name: "metadata that is a list", change: { metadata: [] }, code: "REQUEST_INVALID" },
    { name: "a number in metadata", change: { metadata: { a: 1 } }, code: "REQUEST_INVALID" },
    { name: "a long value in metadata", change: { metadata: { a: "x".repeat(501) } }, code: "REQUEST_INVALID" },
    {
      name: "many members in metadata",
      change: { metadata: Object.fromEntries(Array.from({ length: 21 }, (_, index) => [`m${index}`, ""])) },
      code: "REQUEST_INVALID",
    },
  ];
  test.each(cases)("$name", ({ change, code }) => {
    expect(codeOf({ ...valid, ...change })).toBe(code);
  });

  test.each([
    [{ metadata: { note: "x".repeat(501) } }, 'metadata "note" has 501 characters; values have at most 500'],
    [{ metadata: { n: 1 } }, 'metadata "n" is not text; all values are'],
    [{ metadata: { "": "x" } }, 'metadata has the name ""; names have 1 to 40 characters'],
    [{ amount: "100" }, "amount is text; write a plain integer, without quotes"],
    [{ amount: null }, "amount must be a plain integer"],
  ])("the sentence names the member (trial 16): %j", (change, detail) => {
    expect(parseTransfer({ ...valid, ...change })).toEqual({ code: "REQUEST_INVALID", detail });
  });

  test.each([null, 5, "x", [], [valid]])("%j is no transfer", (value) => {
    expect(codeOf(value)).toBe("REQUEST_INVALID");
  });

  test("the id may come from the header, and must be the same when both are there", () => {
    const { id: _id, ...without } = valid;
    expect(parseTransfer(without, "h")).toMatchObject({ id: "h" });
    expect(parseTransfer(valid, "t1")).toMatchObject({ id: "t1" });
    expect(parseTransfer(valid, "other")).toMatchObject({ code: "REQUEST_INVALID" });
  });

  test("takes what the documented schema takes", () => {
    const text = fc.oneof(
      fc.constantFrom("a", "b", "acc-1", "CZK", "", "a b", "1993-01-05"),
      fc.string({ maxLength: 8 }),
    );
    const request = fc.record(
      {
        id: text,
        debitAccount: text,
        creditAccount: text,
        amount: fc.oneof(fc.integer({ min: -2, max: 9 }), fc.constantFrom(2 ** 53, CREDITS_MAX, "5", null)),
        asset: text,
        metadata: fc.oneof(
          fc.dictionary(fc.string({ maxLength: 3 }), fc.string({ maxLength: 3 })),
          fc.constantFrom(
            5,
            { ["🍵".repeat(40)]: "🍵".repeat(500) },
            { a: "🍵".repeat(501) },
            { ["🍵".repeat(41)]: "" },
          ),
        ),
        effectiveAt: fc.oneof(
          fc.constantFrom("1993-01-05", "1714-12-31", "2023-02-29", "2024-02-29T23:59:59.123456+23:59", "x", 5),
          fc.stringMatching(
            /^(17|20|22)[0-9]{2}-[01][0-9]-[0-3][0-9](T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](Z|[+ -]02:00)?)?$/,
          ),
        ),
        extra: fc.constant(1),
      },
      { requiredKeys: ["id", "debitAccount", "creditAccount", "amount"] },
    );
    fc.assert(
      fc.property(request, (value) => {
        fc.pre(value.debitAccount !== value.creditAccount);
        expect(codeOf(value) === "").toBe(transferRequest.safeParse(value).success);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("parseTimestamp", () => {
  const cases: [string, number][] = [
    ["1970-01-01", 0],
    ["1969-12-31T23:59:59Z", -1_000_000],
    ["1970-01-01T00:00:00.000001Z", 1],
    ["1970-01-01T00:00:00.5Z", 500_000],
    ["1970-01-01T01:30:00+01:30", 0],
    ["1969-12-31T23:00:00-01:00", 0],
    ["2024-02-29", 1_709_164_800_000_000],
  ];
  test.each(cases)("%s", (text, micros) => {
    expect(parseTimestamp(text)).toBe(micros);
  });
  test.each([
    "2023-02-29",
    "2023-13-01",
    "2023-00-01",
    "2023-01-01T24:00:00Z",
    "2023-01-01T00:60:00Z",
    "2023-01-01T00:00:00",
    "2023-01-01T00:00:00.0000001Z",
    "2023-01-01T00:00:00+24:00",
    "1714-12-31",
    "2201-01-01",
    "yesterday",
    "",
  ])("%j is no time", (text) => {
    expect(parseTimestamp(text)).toBeNaN();
  });
  test("every time that is taken is a whole number of microseconds", () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date("1715-01-01"), max: new Date("2200-12-31"), noInvalidDate: true }),
        (date) => {
          expect(parseTimestamp(date.toISOString())).toBe(date.getTime() * 1000);
        },
      ),
    );
  });
});

describe("explainTimestamp (trial 16)", () => {
  const told = (text: unknown): string => {
    const parsed = parseTransfer({ ...valid, effectiveAt: text });
    return isProblem(parsed) ? `${parsed.code} ${parsed.detail}` : "taken";
  };
  test.each([
    ["2026-03-29T10:15:30.123456789Z", "effectiveAt has 9 digits after the point; at most 6 (microseconds) are kept"],
    ["2026-03-29T10:15:30.1234567Z", "effectiveAt has 7 digits after the point; at most 6 (microseconds) are kept"],
    ["2026-03-29T10:15:30", "effectiveAt has a time without a zone; add Z, or an offset such as +02:00"],
    ["2026-03-29T10:15", "effectiveAt has a time without seconds; write 2026-03-29T10:15:00Z"],
    [
      "2016-12-31T23:59:60Z",
      "effectiveAt has second 60; leap seconds are not kept: write 59, or second 0 of the next minute",
    ],
    ["2026-03-29t10:15:30Z", 'effectiveAt has a small "t"; write 2026-03-29T10:15:30Z'],
    ["2026-03-29T10:15:30z", 'effectiveAt has a small "z"; write 2026-03-29T10:15:30Z'],
    ["2026-03-29 10:15:30Z", "effectiveAt has a blank between date and time; write 2026-03-29T10:15:30Z"],
    [
      "2026-03-29T10:15:30 02:00",
      'effectiveAt has a blank where "+" or "-" of the offset stands; in a URL "+" is written %2B: 2026-03-29T10:15:30%2B02:00, or send the time in UTC with Z',
    ],
    ["2026-03-29T10:15:30+0200", "effectiveAt has the offset +0200; write +02:00"],
    ["2026-13-01", "effectiveAt has month 13; months are 01 to 12"],
    ["2026-00-01", "effectiveAt has month 00; months are 01 to 12"],
    ["2026-02-29", "effectiveAt has day 29 in February 2026, which has 28"],
    ["2026-04-31T00:00:00Z", "effectiveAt has day 31 in April 2026, which has 30"],
    ["2026-04-00", "effectiveAt has day 00 in April 2026, which has 30"],
    ["2026-03-29T24:00:00Z", "effectiveAt has hour 24; hours are 00 to 23"],
    ["2026-03-29T10:60:00Z", "effectiveAt has minute 60; minutes are 00 to 59"],
    ["2026-03-29T10:15:61Z", "effectiveAt has second 61; seconds are 00 to 59"],
    ["2026-03-29T10:15:30+24:00", "effectiveAt has the offset +24:00; offsets are -23:59 to +23:59"],
    ["0001-01-01", "effectiveAt has year 0001; years are 1715 to 2200"],
    ["1714-12-31", "effectiveAt has year 1714; years are 1715 to 2200"],
    ["2201-01-01", "effectiveAt has year 2201; years are 1715 to 2200"],
    ["29.03.2026", "effectiveAt is not a date such as 2026-03-29 or a time such as 2026-03-29T10:15:30.123456Z"],
    ["", "effectiveAt is not a date such as 2026-03-29 or a time such as 2026-03-29T10:15:30.123456Z"],
    [
      1774779330,
      "effectiveAt is not text: write a date such as 2026-03-29 or a time such as 2026-03-29T10:15:30.123456Z",
    ],
  ])("%s", (text, sentence) => {
    expect(told(text)).toBe(`REQUEST_INVALID ${sentence}`);
  });
  test("a time that is kept exactly by PostgreSQL too: microseconds since 2000 fit into 53 bits", () => {
    const since2000 = parseTimestamp("1715-01-01T00:00:00.000001+23:59") - 946_684_800_000_000;
    expect(Number.isSafeInteger(since2000)).toBe(true);
  });
});
