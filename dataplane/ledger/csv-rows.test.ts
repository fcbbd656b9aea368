import { describe, expect, test } from "@jest/globals";
import { createLineParser } from "./csv-rows.ts";
import { sampleLines } from "./ledger.generate.ts";

// Goal: each line is read or refused by itself, with a reason; the header is checked before anything is sent.

const HEADER = "id,date,account,direction,operation,amount_minor,recorded_balance_minor,partner_bank,partner_account";

describe("header", () => {
  test.each([
    ["any order and other columns are fine", "note,amount_minor,operation,direction,account,date,id", ""],
    ["a byte order mark is fine", `\ufeff${HEADER}`, ""],
    ["a missing column", "id,date,account,direction,operation", "amount_minor"],
    ["a doubled column", `${HEADER},account`, "account"],
    ["other names", "a,b,c", "id, date, account, direction, operation, amount_minor"],
    ["nothing", "", "id, date, account, direction, operation, amount_minor"],
  ])("%s", (_name, header, missing) => {
    if (missing === "") expect(createLineParser(header)).toBeInstanceOf(Function);
    else {
      const thrown = expect.objectContaining({
        code: "CSV_HEADER_INVALID",
        message: expect.stringContaining(`doubled: ${missing}`),
      });
      expect(() => createLineParser(header)).toThrow(thrown);
    }
  });
});

describe("rows", () => {
  const parse = createLineParser(HEADER);
  test("a row becomes what is sent", () => {
    expect(parse("171812,1993-01-01,576,credit,transfer-in,90000,90000,AB,1234", 2)).toEqual({
      row: {
        line: 2,
        id: "171812",
        date: "1993-01-01",
        account: "576",
        direction: "credit",
        amount: 90_000,
        details: { operation: "transfer-in", partner_bank: "AB", partner_account: "1234" },
      },
    });
  });

  test("quotes hold commas and doubled quotes", () => {
    const { row } = parse('1,1993-01-01,"576",debit,"cash, ""in hand""",5,,"",', 2) as { row: { details: object } };
    expect(row.details).toEqual({ operation: 'cash, "in hand"' });
  });

  test.each([
    ["too few fields", "1,1993-01-01,576,credit,cash,5", "CSV_ROW_INVALID"],
    ["too many fields", "1,1993-01-01,576,credit,cash,5,,,,", "CSV_ROW_INVALID"],
    ["an open quote", '1,1993-01-01,576,credit,"cash,5,,,', "CSV_ROW_INVALID"],
    ["a quote within a field", '1,1993-01-01,576,credit,ca"sh,5,,,', "CSV_ROW_INVALID"],
    ["text behind a quote", '1,1993-01-01,576,credit,"cash"x,5,,,', "CSV_ROW_INVALID"],
    ["no id", ",1993-01-01,576,credit,cash,5,,,", "CSV_ROW_INVALID"],
    ["a long id", `${"1".repeat(121)},1993-01-01,576,credit,cash,5,,,`, "CSV_ROW_INVALID"],
    ["a wrong date", "1,1993-02-30,576,credit,cash,5,,,", "CSV_ROW_INVALID"],
    ["a wrong account", "1,1993-01-01,a b,credit,cash,5,,,", "CSV_ROW_INVALID"],
    ["a wrong direction", "1,1993-01-01,576,Credit,cash,5,,,", "CSV_ROW_INVALID"],
    ["an exponent", "1,1993-01-01,576,credit,cash,1e3,,,", "CSV_ROW_INVALID"],
    ["a leading zero", "1,1993-01-01,576,credit,cash,05,,,", "CSV_ROW_INVALID"],
    ["2^53", "1,1993-01-01,576,credit,cash,9007199254740992,,,", "CSV_ROW_INVALID"],
    ["amount 0", "1,1993-01-01,576,credit,cash,0,,,", "AMOUNT_NOT_POSITIVE"],
    ["a negative amount", "1,1993-01-01,576,credit,cash,-5,,,", "AMOUNT_NOT_POSITIVE"],
  ])("%s", (_name, line, code) => {
    expect(parse(line, 7)).toMatchObject({ broken: { line: 7, code, reason: expect.any(String) } });
  });
});

describe("sample file", () => {
  test("is the same for the same seed and parses completely", () => {
    const [header, ...lines] = [...sampleLines({ rows: 9_000, seed: 5 })] as [string, ...string[]];
    expect([...sampleLines({ rows: 9_000, seed: 5 })]).toEqual([header, ...lines]);
    expect([...sampleLines({ rows: 9_000, seed: 6 })]).not.toEqual([header, ...lines]);
    const parse = createLineParser(header);
    const rows = lines.map((line, index) => parse(line, index + 2));
    expect(rows.filter((row) => "broken" in row)).toEqual([]);
    expect(rows).toHaveLength(9_000);
  });

  test("holds a few debits that no account can bear", () => {
    const balances = new Map<string, number>();
    let refused = 0;
    for (const line of [...sampleLines({ rows: 9_000, seed: 5 })].slice(1)) {
      const [, , account, direction, , amount] = line.split(",") as [string, string, string, string, string, string];
      const after = (balances.get(account) ?? 0) + (direction === "credit" ? 1 : -1) * Number(amount);
      if (after < 0) refused += 1;
      else balances.set(account, after);
    }
    expect(refused).toBe(2);
  });
});
