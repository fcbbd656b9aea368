import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { OperatorError } from "../../lib/core/errors.ts";
import { InexactNumber, parseJsonBody, VALUES_MAX } from "./json-numbers.ts";

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

  const refusal = (text: string): string => {
    try {
      parse(text);
      return "taken";
    } catch (error) {
      return `${(error as OperatorError).code}: ${(error as OperatorError).message}`;
    }
  };

  test.each([
    ['{"amount":1,"asset":"CZK","amount":100}', 'JSON_MEMBER_REPEATED: the body has "amount" twice, line 1 column 27'],
    [
      '{"items":[{"id":"a"},\n {"id":"b","metadata":{"n":"1","n":"1"}}]}',
      'JSON_MEMBER_REPEATED: items[1].metadata has "n" twice, line 2 column 32',
    ],
    ['{"a\\u0062":1,"ab":2}', 'JSON_MEMBER_REPEATED: the body has "ab" twice, line 1 column 14'],
    ['{"__proto__":1,"__proto__":2}', 'JSON_MEMBER_REPEATED: the body has "__proto__" twice, line 1 column 16'],
    ['[[{"x":1.5,"x":1.5}]]', 'JSON_MEMBER_REPEATED: [0][0] has "x" twice, line 1 column 12'],
  ])("two equal keys in one object (trial 16): %s", (text, sentence) => {
    expect(refusal(text)).toBe(sentence);
  });

  test.each([
    ['{"amount":0100}', "NUMBER_INVALID: amount: 0100 begins with a zero; write 100"],
    ['{"amount":-007}', "NUMBER_INVALID: amount: -007 begins with a zero; write -7"],
    ['{"items":[{"amount":+5}]}', "NUMBER_INVALID: items[0].amount: +5 has a plus sign; write 5"],
    ['{"amount":.5}', "NUMBER_INVALID: amount: .5 is not a number in JSON; write a plain integer such as 100"],
    ['{"amount":1_000}', "NUMBER_INVALID: amount: 1_000 is not a number in JSON; write a plain integer such as 100"],
    ['{"amount":NaN}', "NUMBER_INVALID: amount: NaN is not a number in JSON; write a plain integer such as 100"],
    ["", "JSON_INVALID: the body is empty"],
    ["{'a':1}", "JSON_INVALID: line 1 column 2: text stands in double quotes in JSON"],
    ['{"a":1,}', "JSON_INVALID: line 1 column 7: a comma before the end; leave it out"],
    ['{"a":"x\ny"}', "JSON_INVALID: line 1 column 8: a raw control character in text; escape it"],
    ['{"a":1', "JSON_INVALID: line 1 column 7: the body ends in the middle; , or } is missing"],
    ['{"a":1} x', "JSON_INVALID: line 1 column 9: something follows the end of the document"],
    ['{"a":tru}', "JSON_INVALID: line 1 column 6: tru is not a value of JSON"],
  ])("the sentence for what is not JSON (trial 16): %s", (text, sentence) => {
    expect(refusal(text)).toBe(sentence);
  });

  test("a long body is refused without a search", () => {
    const long = "x".repeat(5 * 1024 * 1024);
    expect(refusal(`{"a":1,"a":2,"n":"${long}"}`)).toBe(
      "JSON_MEMBER_REPEATED: an object in the body has one member twice",
    );
    expect(refusal(`{"a":01,"n":"${long}"}`)).toBe("JSON_INVALID: the body is not JSON");
    expect(refusal(`{"n":"${long.slice(0, 3 * 1024 * 1024)}","a":01}`)).toBe(
      "NUMBER_INVALID: a: 01 begins with a zero; write 1",
    );
  });

  test("more values than any request has are refused before they are made", () => {
    const told: number[] = [];
    const parse = (text: string): unknown => parseJsonBody(Buffer.from(text), (values) => told.push(values));
    parse('{"a":[1,2,{"b":"[,{"}],"c":{}}');
    expect(told).toEqual([7]);
    const item = `{${Array.from({ length: 7 }, (_, index) => `"m${index}":1`).join()},"metadata":{${Array.from({ length: 20 }, (_, index) => `"n${index}":1`).join()}}}`;
    parse(`{"items":[${Array.from({ length: 10_000 }, () => item).join()}],"createAccounts":true}`);
    expect(told[1]).toBeLessThan(VALUES_MAX);
    expect(refusal(`[${"{},".repeat(200_000)}{}]`)).toBe(
      "BODY_TOO_LARGE: the body has 400002 values; at most 300000 are taken at once",
    );
  });

  test("deep nesting is refused, not run into", () => {
    const deep = (levels: number): string => `${"[".repeat(levels)}1.5${"]".repeat(levels)}`;
    expect(refusal(deep(32))).toBe("taken");
    expect(refusal(deep(33))).toBe("JSON_INVALID: the body nests deeper than 32 levels");
    expect(refusal(deep(1_000_000))).toBe("JSON_INVALID: the body nests deeper than 32 levels");
  });

  test("what is refused always has our sentence, and what is taken is what JSON.parse takes", () => {
    const pieces = fc.constantFrom(...'{}[],:0123.eE+-"\\ \n'.split(""), '"a"', "true", "null", '"a":1', "01");
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        const text = parts.join("");
        const told = refusal(text);
        let isJson = true;
        try {
          JSON.parse(text);
        } catch {
          isJson = false;
        }
        if (told === "taken") expect(isJson).toBe(true);
        // A text that breaks off later may have a member twice before.
        else if (!told.startsWith("JSON_MEMBER_REPEATED"))
          expect([isJson, told]).toEqual([false, expect.not.stringMatching(/position \d|token|JSON input/)]);
      }),
      { numRuns: 20_000 },
    );
  });
});
