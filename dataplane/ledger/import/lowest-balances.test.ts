import { describe, expect, test } from "@jest/globals";
import { createLowestBalances } from "./lowest-balances.ts";

// Goal: a dry run tells of rows that would be refused for want of credit, since such a refusal is final.

const row = (line: number, account: string, direction: "credit" | "debit", amount: number) => ({
  line,
  account,
  direction,
  amount,
});

describe("how far the rows of a file take an account down", () => {
  test("the lowest point and its line, of accounts that fall below zero", () => {
    const lowest = createLowestBalances();
    for (const seen of [
      row(2, "a", "debit", 500),
      row(3, "b", "credit", 100),
      row(4, "a", "debit", 700),
      row(5, "a", "credit", 5_000),
      row(6, "b", "debit", 100),
      row(7, "a", "debit", 3_000),
    ]) {
      lowest.see(seen);
    }
    expect(lowest.below()).toEqual([{ account: "a", balance: -1_200n, line: 4 }]);
  });

  test("sums beyond 2^53 are exact", () => {
    const lowest = createLowestBalances();
    for (const line of [2, 3, 4]) lowest.see(row(line, "a", "debit", Number.MAX_SAFE_INTEGER));
    expect(lowest.below()).toEqual([{ account: "a", balance: -27_021_597_764_222_973n, line: 4 }]);
  });
});
