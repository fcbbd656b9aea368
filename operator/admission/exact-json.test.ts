import { describe, expect, it } from "@jest/globals";
import { copyJson, parseExactJson } from "./exact-json.ts";
import { diffJson } from "./json-patch.ts";

// Goal: what goes through us without being looked at comes out digit by digit as it went in.

describe("parseExactJson", () => {
  it.each([
    '{"a":9223372036854775807,"b":[-9007199254740993]}',
    '{"a":{"b":18446744073709551615},"c":"12345678901234567890"}',
    '{"a":9007199254740991,"b":"9007199254740993"}',
    '{"__proto__":{"a":1},"b":9223372036854775807}',
    '{"a":1,"b":[true,null,"x",0.5]}',
  ])("%s comes out as it went in, also as a copy", (text) => {
    expect(JSON.stringify(parseExactJson(text))).toBe(text);
    expect(JSON.stringify(copyJson(parseExactJson(text)))).toBe(text);
  });

  it("leaves ordinary numbers to calculate with", () => {
    expect(parseExactJson('{"a":12,"b":9223372036854775807}')).toMatchObject({ a: 12 });
  });

  it("gives a patch that does not touch a long number, and replaces one that changed", () => {
    const before = parseExactJson('{"a":9223372036854775807,"b":1}') as Record<string, unknown>;
    expect(diffJson(before, { ...copyJson(before), b: 2 })).toEqual([{ op: "replace", path: "/b", value: 2 }]);
    expect(JSON.stringify(diffJson(before, parseExactJson('{"a":9223372036854775806,"b":1}')))).toBe(
      '[{"op":"replace","path":"/a","value":9223372036854775806}]',
    );
  });

  it("rejects what is not JSON", () => {
    expect(() => parseExactJson('{"a":12345678901234567890,}')).toThrow(SyntaxError);
  });
});
