import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { STORED_REFUSALS } from "../ledger.decider.ts";
import { isFinal } from "../ledger.import.ts";
import { TRANSFER_ID } from "../transfer-parser.ts";
import { ATTEMPTS_MAX, createRowKeys } from "./row-keys.ts";

// Goal: a row's key is the same in every run, no two rows share one, and every key fits; keys made earlier stay valid.

describe("keys of imported rows", () => {
  test.each([
    [undefined, 1, "import:7"],
    [undefined, 2, "imp~2:7"],
    ["bank-a", 1, "imp/bank-a:7"],
    ["bank-a", 3, "imp/bank-a~3:7"],
  ])("source %s, attempt %s: %s", (source, attempt, key) => {
    expect(createRowKeys(source).keyOf("7", attempt)).toBe(key);
  });

  test("differ for different rows, sources and attempts, and fit", () => {
    const source = fc.option(fc.stringMatching(/^[a-z0-9][a-z0-9_.-]{0,23}$/), { nil: undefined });
    const id = fc.stringMatching(/^[!-~]{1,96}$/);
    const row = fc.tuple(source, id, fc.integer({ min: 1, max: ATTEMPTS_MAX }));
    fc.assert(
      fc.property(row, row, (a, b) => {
        const [one, other] = [a, b].map(([from, text, attempt]) => createRowKeys(from).keyOf(text, attempt));
        expect(one).toMatch(TRANSFER_ID);
        expect(one === other).toBe(JSON.stringify(a) === JSON.stringify(b));
      }),
    );
  });

  test("leave room for every attempt", () => {
    for (const source of [undefined, "a", "a".repeat(24)]) {
      const keys = createRowKeys(source);
      expect(keys.keyOf("x".repeat(keys.idMax), ATTEMPTS_MAX)).toMatch(TRANSFER_ID);
    }
    expect(createRowKeys().idMax).toBe(120);
  });

  test.each(["", "a:b", "a~2", "a/b", "a".repeat(25)])('"%s" is no source', (source) => {
    expect(() => createRowKeys(source)).toThrow("--source");
  });

  test("what the ledger stores is what is final", () => {
    expect(STORED_REFUSALS.every(isFinal)).toBe(true);
    expect(isFinal("ACCOUNT_NOT_FOUND")).toBe(false);
  });
});
