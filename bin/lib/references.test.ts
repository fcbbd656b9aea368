// What pages and comments say about this repository is found, and prose is left alone.
import { describe, expect, test } from "@jest/globals";
import { filesWrittenBy, namesOfCode, referencesOfComments, referencesOfPage } from "./references.ts";
import { createTree } from "./tree.ts";

const FILES = [
  "README.md",
  "Makefile",
  "controllers/ledger/README.md",
  "controllers/ledger/ledger.plan.ts",
  "controllers/ledger/__golden__/begin.story.txt",
  "docs/adr/0011-pace-of-a-key.md",
  "lib/kube/lease.ts",
  "lib/kube/lease.int.test.ts",
];
const vocabulary = { folders: new Set(["controllers", "docs", "lib"]), kinds: new Set(["ledger"]) };
const tree = createTree(FILES, new Set(["createLease", "podHash"]));

function lost(file: string, text: string): string[] {
  const references = file.endsWith(".md")
    ? referencesOfPage(text, vocabulary)
    : referencesOfComments(file, text, vocabulary);
  const by = { file, written: file.endsWith(".md") ? filesWrittenBy(text) : [] };
  return references.filter((it) => !tree.has(it, by)).map(({ kind, name, line }) => `${line} ${kind} ${name}`);
}

describe("in a page", () => {
  test.each([
    ["a path", "See `lib/kube/pace.ts`.", ["1 path lib/kube/pace.ts"]],
    ["a folder", "All of `lib/node`\nand more.", ["1 path lib/node"]],
    ["a path in prose", "It is in docs/pace.md.", ["1 path docs/pace.md"]],
    ["a path in a drawing", "```\n ──► lib/kube/pace\n```\n", ["2 path lib/kube/pace"]],
    ["a file by its bare name", "\n`queue.ts` says it", ["2 path queue.ts"]],
    ["a file of another folder", "`lease.ts`", ["1 path lease.ts"]],
    ["a file relative to the page", "`ledger.status.ts`", ["1 path ledger.status.ts"]],
    ["a file of a kind, without its ending", "`ledger.throttle`", ["1 stem ledger.throttle"]],
    ["a file in a table of files", "| file | duty |\n|---|---|\n| `rotation` | turns |\n", ["3 stem rotation"]],
    [
      "one in its second column",
      "| duty | files |\n|---|---|\n| turns | `ledger.plan`, `rotation` |\n",
      ["3 stem rotation"],
    ],
    ["a role", "the objects (`.desired`)", ["1 role desired"]],
    ["a pattern", "`<kind>.desired.ts`, `lib/*/pace.ts`", ["1 path <kind>.desired.ts", "1 path lib/*/pace.ts"]],
    ["a record", "as in ADR 12", ["1 decision 12"]],
    ["a name", "why: `desiredService`", ["1 symbol desiredService"]],
  ])("%s that leads nowhere", (_, text, expected) => {
    expect(lost("controllers/ledger/README.md", text)).toEqual(expected);
  });

  test.each([
    ["paths", "`lib/kube/lease.ts`, `lib/kube`, `lib/kube/lease`, `ledger.plan.ts`, `.plan`, ADR 11"],
    ["patterns", "`<kind>.plan.ts`, `controllers/*/__golden__/*.story.txt`, `lib/kube/{lease,lease.int.test}.ts`"],
    [
      "words",
      "Node.js, apps/v1, `/etc/lib/x.ts`, `ca.crt`, `map.json`, https://x.dev/docs/lib/a.md, `shieldx.dev/lib`",
    ],
    ["names", "`podHash`, `createLease()`, `Ready`"],
    ["code of its own", "```ts\n// lib/new/a.ts\nconst other = unknownName;\n```\nThen `lib/new/a.ts` has it."],
  ])("%s that are right, or none", (_, text) => {
    expect(lost("controllers/ledger/README.md", text)).toEqual([]);
  });
});

test("a page about no folder names files of all folders by their bare names", () => {
  expect(lost("docs/adr/0011-pace-of-a-key.md", "`lease.ts`, `ledger.plan`, `.plan`; `pace.ts`")).toEqual([
    "1 path pace.ts",
  ]);
});

describe("in comments", () => {
  test.each([
    ["x.ts", "const a = 1; // as lib/kube/pace.ts\n", ["1 path lib/kube/pace.ts"]],
    ["x.ts", "/**\n * See `makeLease`; architecture.md\n */\n", ["2 path architecture.md", "2 symbol makeLease"]],
    ["x.cjs", "// in ledger.status\n", ["1 stem ledger.status"]],
    ["x.sh", "#!/bin/sh\nrun # docs/adr/0001-a.md\n", ["2 path docs/adr/0001-a.md"]],
    ["Makefile", "# ADR 0013\n", ["1 decision 0013"]],
    ["x.yaml", "{{- /* lib/kube/pace.ts */}}\na: 1 # b.ts\n", ["2 path b.ts", "1 path lib/kube/pace.ts"]],
    ["x.sql", "-- lib/kube/pace.ts\n", ["1 path lib/kube/pace.ts"]],
  ])("of %s", (file, text, expected) => {
    expect(lost(file, text)).toEqual(expected);
  });

  test("code is no comment", () => {
    expect(lost("x.ts", 'import { a } from "./lib/kube/pace.ts";\nconst url = "https://lib/kube/pace.ts";\n')).toEqual(
      [],
    );
  });
});

test("a name that only a comment has is no name of the code", () => {
  expect(namesOfCode("x.ts", "/** `ghost` */\nconst body = ghostly; // ghost\n")).toEqual(
    new Set(["const", "body", "ghostly"]),
  );
});
