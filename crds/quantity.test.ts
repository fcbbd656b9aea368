// Quantities: the spellings that the schemas accept, and their order.
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { compareQuantities, parseQuantity } from "./quantity.ts";

describe("parseQuantity", () => {
  test.each([
    ["1", 1_000n],
    ["0", 0n],
    ["500m", 500n],
    ["1.5", 1_500n],
    ["1k", 1_000_000n],
    ["1Ki", 1_024_000n],
    ["1.5Gi", 1_610_612_736_000n],
    ["0.5m", 1n],
    ["2P", 2_000_000_000_000_000_000n],
  ])("%s is %s thousandths", (text, want) => {
    expect(parseQuantity(text)).toBe(want);
  });

  test.each(["", "1 Gi", "-1", "1e3", "1gi", "Gi", ".5", "1.", "0x10", "1Gib", "1.2345"])("%j is refused", (text) => {
    expect(parseQuantity(text)).toBeUndefined();
  });
});

describe("compareQuantities", () => {
  test.each([
    ["1Gi", "1024Mi", 0],
    ["1Gi", "1G", 1],
    ["999m", "1", -1],
    ["1000m", "1", 0],
    [1, "1000m", 0],
    [268_435_456, "256Mi", 0],
  ])("%s against %s", (a, b, want) => {
    expect(compareQuantities(a, b)).toBe(want);
  });

  test("what is no quantity cannot be compared", () => {
    expect(compareQuantities("1", "much")).toBeUndefined();
    expect(compareQuantities("much", "1")).toBeUndefined();
  });

  test("orders like the numbers, whatever the suffix", () => {
    const suffix = fc.constantFrom("m", "", "k", "Ki", "Mi", "G");
    const whole = fc.integer({ min: 0, max: 1_000_000 });
    fc.assert(
      fc.property(whole, whole, suffix, (a, b, unit) => {
        expect(compareQuantities(`${String(a)}${unit}`, `${String(b)}${unit}`)).toBe(Math.sign(a - b));
      }),
    );
  });
});
