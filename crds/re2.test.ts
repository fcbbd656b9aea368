// Patterns that JavaScript and the API server's RE2 read differently are refused, the others are not.
import { expect, test } from "@jest/globals";
import { QUANTITY_PATTERN } from "./quantity.ts";
import { re2Problems } from "./re2.ts";

test.each([
  ["^[a-z]([-a-z0-9]*[a-z0-9])?$"],
  ["^(?:a|b)+?$"],
  ["^[^\\n.()?]*$"],
  ["^a\\.b\\/c\\-d$"],
  ["^\\d{1,1000}\\w\\b$"],
  ["^[\\x00-\\x1f]*$"],
  ["^a{,3}$"],
  [QUANTITY_PATTERN.source],
])("%s is read alike", (source) => {
  expect(re2Problems(source)).toEqual([]);
});

const LOOK = "the API server's patterns (RE2) know no look-around and no back-references";

test.each([
  ["(?=a)", LOOK],
  ["(?!a)", LOOK],
  ["(?<=a)b", LOOK],
  ["(?<name>a)\\k<name>", LOOK],
  ["(a)\\1", LOOK],
  ["a.b", "'.' leaves out other line ends there: name the characters, for example [^\\n]"],
  ["\\s+", "\\s matches other spaces there: list the characters"],
  ["[\\S]", "\\S matches other spaces there: list the characters"],
  ["\\u00e9", "the API server's patterns (RE2) know no \\u: write the character itself"],
  ["\\cJ", "the API server's patterns (RE2) know no \\c: write \\x and two digits"],
  ["[^]", "an empty class of characters means something else there"],
  ["[]a", "an empty class of characters means something else there"],
  ["a{1001}", "the API server's patterns (RE2) repeat at most 1000 times: bound the length instead"],
  ["a{0,2000}", "the API server's patterns (RE2) repeat at most 1000 times: bound the length instead"],
])("%s is refused", (source, problem) => {
  expect(re2Problems(source)).toContain(problem);
});
