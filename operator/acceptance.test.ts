import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { describeManagerItems } from "../testkit/acceptance/all.ts";
import { type AcceptanceSuite, describeCases, ITEMS } from "../testkit/acceptance/items.ts";
import { startFakeAcceptance } from "../testkit/acceptance/server.ts";
import { startFakeCaller } from "./admission/testing/fake-caller.ts";
import { describeRotation } from "./admission/testing/rotation-cases.ts";

// Goal: the whole acceptance list, ticked on the fake. See testkit/acceptance/README.md.

const suite: AcceptanceSuite = { start: startFakeAcceptance, covered: new Set() };
describeManagerItems(suite);
describeCases(suite, 13, () => describeRotation(startFakeCaller, { users: 4, authorities: 1, settleMs: 100 }));

describe("the list", () => {
  it("is complete on the fake", () => {
    expect([...suite.covered].sort((a, b) => a - b)).toEqual(Object.keys(ITEMS).map(Number));
  });

  it("has a row for each item in the README", async () => {
    const readme = await readFile(join(import.meta.dirname, "../testkit/acceptance/README.md"), "utf8");
    const rows = readme.split("\n").flatMap((line) => /^\| \d+ \| .*? \|/.exec(line)?.[0] ?? []);
    expect(rows).toEqual(Object.entries(ITEMS).map(([item, sentence]) => `| ${item} | ${sentence} |`));
  });
});
