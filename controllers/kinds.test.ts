// The pages of the kinds' folders name what is there: every file, every check in its order, every reason.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { KINDS } from "../crds/kinds.ts";
import { CREDIT_LEDGER_POLICIES } from "./creditledger/creditledger.policies.ts";
import { ROLLOUT_POLICIES } from "./rollout/rollout.policies.ts";
import { SHARD_SET_POLICIES } from "./shardset/shardset.policies.ts";

const FOLDERS = readdirSync(import.meta.dirname, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

function page(folder: string): string {
  return readFileSync(join(import.meta.dirname, folder, "README.md"), "utf8");
}

/** First cells of the table whose first column has this heading, without the rows that go on with the one above. */
function firstCells(text: string, heading: string): string[] {
  const rows = new RegExp(`^\\| ${heading} \\|.*\\n\\|[-|]+\\n((?:\\|.*\\n)+)`, "m").exec(text)?.[1] ?? "";
  return rows
    .split("\n")
    .map((row) => (row.split("|")[1] ?? "").trim())
    .filter((cell) => cell !== "");
}

test.each(FOLDERS)("the page of %s names exactly the files of its folder", (folder) => {
  const named = firstCells(page(folder), "file").map((cell) => `${cell.replaceAll("`", "")}.ts`);
  const there = readdirSync(join(import.meta.dirname, folder), { encoding: "utf8", recursive: true }).filter(
    (file) => file.endsWith(".ts") && !file.endsWith(".test.ts") && !file.startsWith("testing/"),
  );
  expect(named.toSorted()).toEqual(there.toSorted());
});

test.each([
  ["shardset", SHARD_SET_POLICIES],
  ["creditledger", CREDIT_LEDGER_POLICIES],
  ["rollout", ROLLOUT_POLICIES],
])("the page of %s has the checks in their order", (folder, policies) => {
  const checks = firstCells(page(folder), "check").filter((check) => check !== "a step failed");
  expect(checks).toEqual(policies.map(([name]) => name));
});

describe("reasons", () => {
  test.each(KINDS.map((kind) => [kind.type.kind, kind] as const))(
    "the page of %s has every one",
    (name, { reasons }) => {
      const text = page(name.toLowerCase());
      expect(Object.keys(reasons).filter((reason) => !text.includes(`\`${reason}\``))).toEqual([]);
    },
  );
});
