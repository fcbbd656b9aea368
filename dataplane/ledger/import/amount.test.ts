import { describe, expect, test } from "@jest/globals";
import { readAmount } from "./amount.ts";

// Goal: an amount is read as its writer meant it, or refused; never with another sign or size.

const CZK = { asset: "CZK", scale: 2, decimalComma: false };

describe("amounts as files write them", () => {
  test.each<[text: string, minor: number, change?: object]>([
    ["12.50", 1_250],
    ["1250", 125_000],
    ["0.1", 10],
    ["1,234.56", 123_456],
    ["1,234,567", 123_456_700],
    ["-12.5", -1_250],
    ["\u221212.50", -1_250],
    ["12.50-", -1_250],
    ["+12.50", 1_250],
    ["(12.50)", -1_250],
    ["($64.20)", -6_420],
    ["-$64.20", -6_420],
    ["$-64.20", -6_420],
    ["$1,234.56", 123_456],
    ["5.00 CZK", 500],
    ["CZK -5", -500],
    ["1 250 000", 125_000_000],
    ["-262\u00a0259", -26_225_900],
    ["1\u202f250.5", 125_050],
    ["1'234.50", 123_450],
    ["0.00", 0],
    ["-0.00", 0],
    ["90071992547409.91", Number.MAX_SAFE_INTEGER],
    ["1.084,99", 108_499, { decimalComma: true }],
    ["23,45", 2_345, { decimalComma: true }],
    ["2.500", 250_000, { decimalComma: true }],
    ["1 234,5", 123_450, { decimalComma: true }],
    ["1,084", 1_084, { scale: 0 }],
    ["1.084", 1_084, { scale: 3 }],
    ["1,084.5", 1_084_500, { scale: 3 }],
    ["1,23,456", 12_345_600],
    ["2,50,000.00", 25_000_000],
    ["12,34,567.89", 123_456_789],
    ["4，２００", 420_000],
    ["￥１，５００", 150_000],
    ["－12.50", -1_250],
    ["▲1,000", -100_000],
    ["△1,000", -100_000],
    ["5.00 Kč", 500],
    ["-1\u00a0499,50 Kč", -149_950, { decimalComma: true }],
    ["1\u202f000,00 kr", 100_000, { asset: "NOK", decimalComma: true }],
    ["kr. 12,50-", -1_250, { asset: "DKK", decimalComma: true }],
    ["Rs. 1,23,456.70", 12_345_670, { asset: "INR" }],
    ["R$ 1.234,56", 123_456, { asset: "BRL", decimalComma: true }],
    ["US$12.50", 1_250, { asset: "USD" }],
    ["980円", 98_000, { asset: "JPY" }],
    ["12.50 zł", 1_250, { asset: "POINTS" }],
  ])("%s", (text, minor, change = {}) => {
    expect(readAmount(text, { ...CZK, ...change })).toEqual({ minor });
  });

  test.each<[text: string, words: string, change?: object]>([
    ["", "is not an amount"],
    ["12,50", "give --decimal-comma"],
    ["1.084,99", "give --decimal-comma"],
    ["1,084.99", "leave out --decimal-comma", { decimalComma: true }],
    ["12.505", "has 3 decimals, and CZK has 2"],
    ["2.500", "has 3 decimals, and CZK has 2"],
    ["1.5", "has 1 decimals, and CZK has 0", { scale: 0 }],
    ["1,084", "can be read in two ways", { scale: 3 }],
    ["--5", "more than one sign"],
    ["(-5)", "more than one sign"],
    ["5.00 EUR", "is not an amount"],
    ["1,23,45", "is not an amount"],
    ["1,234,56", "is not an amount"],
    ["12,3,456", "is not an amount"],
    ["1.23.456", "is not an amount", { decimalComma: true }],
    ["1,23,456", "is not an amount", { decimalComma: true }],
    ["12²", "is not an amount"],
    ["5.00 kr", 'has "kr" beside the number, which is not CZK'],
    ["Kč 5", 'has "Kč" beside the number, which is not EUR', { asset: "EUR" }],
    ["10,000.00Dr", 'has "Dr" beside the number; --direction debit=Dr says what it means'],
    ["1,00,000.00 Cr", 'has "Cr" beside the number; --direction credit=Cr says what it means'],
    ["1 23", "is not an amount"],
    ["1e3", "is not an amount"],
    ["5.", "is not an amount"],
    [".5", "is not an amount"],
    ["1.2.3", "is not an amount"],
    ["90071992547409.92", "is more than 9007199254740991 minor units"],
    ["Saldo", "is not an amount"],
  ])("%s is refused", (text, words, change = {}) => {
    expect(readAmount(text, { ...CZK, ...change })).toEqual({ reason: expect.stringContaining(words) });
  });
});
