import { describe, expect, test } from "@jest/globals";
import { checkCsv } from "../testing/csv-file.ts";
import { sampleLines } from "./ledger.generate.ts";

// Goal: a sample file is the same everywhere, and the importer takes it without an option.

describe("sample file", () => {
  test("is the same for the same seed and is read completely", async () => {
    const lines = [...sampleLines({ rows: 9_000, seed: 5 })];
    expect([...sampleLines({ rows: 9_000, seed: 5 })]).toEqual(lines);
    expect([...sampleLines({ rows: 9_000, seed: 6 })]).not.toEqual(lines);
    const checked = await checkCsv(`${lines.join("\n")}\n`);
    expect([checked.rows, checked.broken, checked.notes]).toEqual([9_000, 0, []]);
    checked.close();
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
