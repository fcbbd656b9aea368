import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { NOT_COVERED, notCovered } from "./verify-coverage.ts";

// Goal: what verify cannot see is said, on the page and on the verdict line, neither more nor less.

test("docs/verify.md lists exactly what is not covered", async () => {
  const page = await readFile(join(import.meta.dirname, "../../docs/verify.md"), "utf8");
  const section = page.slice(page.indexOf("\n## Not covered"));
  const listed = [...section.matchAll(/^\| (.+?) \| (.+?) \|$/gm)].map(([, what, why]) => [what, why]).slice(1);
  expect(listed).toEqual([["---", "---"], ...NOT_COVERED.map(({ what, reason }) => [what, reason])].slice(1));
});

test("a cut tail is covered as soon as something remembers the position", () => {
  const memory = { position: 9, systemIdentifier: "7" };
  expect(notCovered({ memory, isSealed: true, journalOnly: false })).toEqual([
    "books rewritten as a whole",
    "the schema's code",
  ]);
  expect(notCovered({ memory: undefined, isSealed: true, journalOnly: false })).toContain("a cut tail");
  expect(notCovered({ memory: { ...memory, position: undefined }, isSealed: true, journalOnly: false })).toContain(
    "a cut tail",
  );
});

test("a database without seals says what it leaves open", () => {
  expect(notCovered({ memory: undefined, isSealed: false, journalOnly: false })).toContain(
    "refusals, assets, API keys and epochs",
  );
});
