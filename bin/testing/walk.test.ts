// How a page becomes steps: files, changes, commands; and that a change which does not fit is told.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { carryOut, type Step, stepsOf } from "./walk.ts";

const PAGE = `# A page

\`\`\`ts
// lib/new.ts
const one = 1;
\`\`\`

\`\`\`ts
const prose = true;
\`\`\`

\`\`\`diff
--- old.ts
@@
 a
-b
+c
@@
 d
+e
\`\`\`

\`\`\`sh
make generate
\`\`\`
`;

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "shieldx-walk-"));
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

type Editing = Exclude<Step, { type: "command" }>;

test("files, changes and commands in the order of the page; other blocks are prose", () => {
  expect(stepsOf(PAGE)).toEqual([
    { type: "file", line: 3, path: "lib/new.ts", text: "const one = 1;\n" },
    {
      type: "change",
      line: 12,
      path: "old.ts",
      hunks: [
        { before: "a\nb\n", after: "a\nc\n" },
        { before: "d\n", after: "d\ne\n" },
      ],
    },
    { type: "command", line: 23, script: "make generate\n" },
  ]);
});

test("a file is written once, a change is made in its place", () => {
  writeFileSync(join(root, "old.ts"), "a\nb\nd\n");
  const [file, change] = stepsOf(PAGE) as [Editing, Editing];
  carryOut(file, root);
  carryOut(change, root);
  expect(readFileSync(join(root, "lib/new.ts"), "utf8")).toBe("const one = 1;\n");
  expect(readFileSync(join(root, "old.ts"), "utf8")).toBe("a\nc\nd\ne\n");
  expect(() => carryOut(file, root)).toThrow("line 3: lib/new.ts exists already");
});

test.each([
  ["is not there", "x\n", "line 12: old.ts has this 0 times"],
  ["is there twice", "a\nb\na\nb\nd\n", "line 12: old.ts has this 2 times"],
])("a place that %s is told with the line of the page", (_, text, message) => {
  writeFileSync(join(root, "old.ts"), text);
  expect(() => carryOut(stepsOf(PAGE)[1] as Editing, root)).toThrow(message);
});
