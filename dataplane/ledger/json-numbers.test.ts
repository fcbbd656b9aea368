import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { InexactNumber, parseJsonBody } from "./json-numbers.ts";

// Goal: whatever is not a plain integer on the wire is told apart, wherever it stands, and nothing else changes.

const parse = (text: string): unknown => parseJsonBody(Buffer.from(text));

describe("parseJsonBody", () => {
  test.each(["1e3", "1E3", "1.0", "-1.5", "0.0", "12e-1", "-0.0", "1e400"])("%s is not a plain integer", (token) => {
    expect(parse(`{"amount": ${token}}`)).toEqual({ amount: new InexactNumber(token) });
    expect(parse(`[1,${token}]`)).toEqual([1, new InexactNumber(token)]);
  });

  test("text that looks like a number stays text", () => {
    const value = { note: "a:1.5,2e3", list: ["[1.0", ":-4.2"], amount: 5 };
    expect(parse(JSON.stringify(value))).toEqual(value);
  });

  test("agrees with JSON.parse where all numbers are integers", () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const text = JSON.stringify(value, (_key, member: unknown) =>
          typeof member === "number" ? Math.trunc(member) % 1e15 : member,
        );
        expect(parse(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  test.each(["", "{", "{'a':1}", "[1,]", "nul"])("%j is not JSON", (text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: "JSON_INVALID" }));
  });

  test("bytes that are not UTF-8 are not JSON", () => {
    expect(() => parseJsonBody(Buffer.from([0x22, 0xff, 0x22]))).toThrow(
      expect.objectContaining({ code: "JSON_INVALID" }),
    );
  });
});
