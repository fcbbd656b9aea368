// What a row of the reference page says about a field: type and bounds in words, immutability, rules.
import { describe, expect, test } from "@jest/globals";
import { z } from "zod";
import { immutable, immutableOptional, withRules } from "./common.ts";
import { apiReference } from "./reference.ts";
import { fieldsOf, typeText } from "./reference-fields.ts";
import { structural } from "./structural.ts";
import { TORTURE_KIND, tortureSpec } from "./testing/torture.ts";

describe("type and bounds", () => {
  const rows = new Map(fieldsOf(structural(tortureSpec), "spec").map((row) => [row.path, row]));

  test.each([
    ["spec.text", "text, 2 to 9 characters"],
    ["spec.pattern", "text, up to 12 characters like `^[a-z]+(-[0-9]{1,3})?$`"],
    ["spec.exact", "text, exactly 4 characters"],
    ["spec.time", "date-time"],
    ["spec.amount", "quantity; a whole number needs no quotes"],
    ["spec.count", "integer, -5 to 5"],
    ["spec.open", "integer, 1 to 99 in steps of 5"],
    ["spec.large", "integer, any"],
    ["spec.mode", "`Fast` or `Slow`"],
    ["spec.level", "`1` or `2` or `4`"],
    ["spec.flag", "boolean"],
    ["spec.nullText", "text, up to 5 characters, or null"],
    ["spec.parts", "list of up to 4 items: object, one for each id"],
    ["spec.tags", "list of up to 4 items: text, each once"],
    ["spec.steps", "list of 1 to 4 items: integer"],
    ["spec.labels", "map of up to 3 entries: text, up to 5 characters"],
    ["spec.share", "integer, up to 100, or text, up to 4 characters like `^[0-9]{1,3}%$`"],
    ["spec.anything", "anything"],
    ["spec.parts[].id", "text, 1 to 9 characters like `^[a-z]([-a-z0-9]*[a-z0-9])?$`"],
  ])("%s is %s", (path, words) => {
    expect(typeText(rows.get(path)?.schema ?? {})).toBe(words);
  });

  test("a page names every field, its default and the sentence of its rule", () => {
    const page = apiReference([TORTURE_KIND]);
    for (const path of rows.keys()) expect(page).toContain(`| \`${path}\` |`);
    expect(page).toContain("| `spec.count` | integer, -5 to 5 | `3` | A number. |");
    expect(page).toContain("Refused otherwise: *low must not exceed high*.");
  });
});

test("immutability and rules stand at the field that they are about", () => {
  const text = z.string().max(9).meta({ description: "D." });
  const schema = z.strictObject({
    always: immutable(text, "always stays"),
    part: immutableOptional(
      z.strictObject({ maybe: text.exactOptional(), other: text.exactOptional() }),
      "maybe",
      "it stays",
    ).meta({ description: "D." }),
    ruled: withRules(text, [{ rule: "self != 'x'", message: "not x", check: (value) => value !== "x" }]),
  });
  expect(
    fieldsOf(structural(schema), "spec").map(({ path, immutable: stays, rules }) => ({ path, stays, rules })),
  ).toEqual([
    { path: "spec.always", stays: true, rules: ["always stays"] },
    { path: "spec.part", stays: false, rules: [] },
    { path: "spec.part.maybe", stays: true, rules: ["it stays"] },
    { path: "spec.part.other", stays: false, rules: [] },
    { path: "spec.ruled", stays: false, rules: ["not x"] },
  ]);
});
