// Goal: an amount is a plain whole number or nothing.
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { asCredits, CREDITS_MAX, parseCredits } from "./money.ts";

describe("parseCredits", () => {
  test.each([
    ["0", 0],
    ["1", 1],
    ["-150", -150],
    ["9007199254740991", CREDITS_MAX],
  ])("%s", (token, amount) => {
    expect(parseCredits(token)).toBe(amount);
  });

  test.each([
    "",
    " 1",
    "1 ",
    "+1",
    "01",
    "1.0",
    "1e3",
    "0x10",
    "NaN",
    "1_000",
    "9007199254740992",
    "99999999999999999",
  ])("refuses %j", (token) => {
    expect(parseCredits(token)).toBeUndefined();
  });

  test("reads every amount within bounds as it is written", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (amount) => {
        expect(parseCredits(String(amount))).toBe(amount === 0 ? 0 : amount);
      }),
    );
  });
});

describe("asCredits", () => {
  test.each([0.5, Number.NaN, Number.POSITIVE_INFINITY, CREDITS_MAX + 1, "1", 1n, null, undefined])(
    "refuses %p",
    (value) => {
      expect(asCredits(value)).toBeUndefined();
    },
  );

  test("knows one zero only", () => {
    expect(Object.is(asCredits(-0), 0)).toBe(true);
  });
});
