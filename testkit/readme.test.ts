import { existsSync, readFileSync } from "node:fs";
import { expect, it } from "@jest/globals";

it("the README of the test kit names files that exist", () => {
  const readme = readFileSync(`${import.meta.dirname}/README.md`, "utf8");
  const names = [...readme.matchAll(/`((?:[a-z-]+\/)*[a-z][a-z.-]*\.ts)`/g)].map(([, name = ""]) => name);
  expect(names.length).toBeGreaterThan(10);
  expect(names.filter((name) => !existsSync(`${import.meta.dirname}/${name}`))).toEqual([]);
});
