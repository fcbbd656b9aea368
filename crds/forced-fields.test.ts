import { glob, readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { expect, it } from "@jest/globals";
import { FORCED_FIELDS } from "./forced-fields.ts";

// Goal: what is taken from other field managers stands in one table, in the code and for the reader.

const ROOT = resolve(import.meta.dirname, "..");

it("nothing is forced but what the table lists, and all of that is", async () => {
  const forced: string[] = [];
  const used: string[] = [];
  for await (const file of glob("{charts,controllers,crds,dataplane,lib,operator}/**/*.ts", { cwd: ROOT })) {
    if (/\.test\.ts$|\/testing\//.test(file)) continue;
    const text = await readFile(resolve(ROOT, file), "utf8");
    // A file that is removed by force is none of Kubernetes.
    if (/\bforce: true\b/.test(text.replace(/\brm(Sync)?\(.*/g, ""))) forced.push(file);
    for (const [, name = ""] of text.matchAll(/taking\("(\w+)"\)/g)) used.push(name);
  }
  expect(forced).toEqual(["crds/forced-fields.ts"]);
  expect(used.toSorted()).toEqual(Object.keys(FORCED_FIELDS).toSorted());
});

it("docs/lifecycle.md shows the table", async () => {
  const text = await readFile(resolve(ROOT, "docs/lifecycle.md"), "utf8");
  const rows = Object.values(FORCED_FIELDS).map(({ fields, why }) => `| ${fields} | ${why} |`);
  const table = ["| taken | why |", "|---|---|", ...rows, ""].join("\n");
  expect(text).toContain(table);
});
