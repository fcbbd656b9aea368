// How a decision goes through the files: counted on sources of the test, and kept low for a ShardSet.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "@jest/globals";
import { routesOf } from "./rooms.ts";

const ROOT = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "shieldx-rooms-"));

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

test("each call is followed into its file and back, also one that is handed on, and a circle ends", () => {
  writeFileSync(
    join(folder, "tsconfig.json"),
    '{ "compilerOptions": { "allowImportingTsExtensions": true, "noEmit": true } }',
  );
  writeFileSync(
    join(folder, "a.ts"),
    'import { b, c } from "./b.ts";\nexport function a(): number[] {\n  return [b(), b()].map(c);\n}\nfunction own(): void {}\nown();\n',
  );
  writeFileSync(
    join(folder, "b.ts"),
    'import { d } from "./d.ts";\nexport function b(): number {\n  return d(1);\n}\nexport function c(n: number): number {\n  return c(n);\n}\n',
  );
  writeFileSync(join(folder, "d.ts"), "export function d(n: number): number {\n  return Math.abs(n);\n}\n");
  const [route] = routesOf(folder, [{ file: "a.ts", name: "a" }]);
  const through = ["b.ts", "d.ts", "b.ts", "a.ts"];
  expect(route?.stays).toEqual(["a.ts", ...through, ...through, "b.ts", "a.ts"]);
  expect(route?.returns).toBe(8);
  expect(() => routesOf(folder, [{ file: "a.ts", name: "none" }])).toThrow("a.ts has no function none");
});

test("a reconcile of a ShardSet goes down its steps once", () => {
  const shardSet = (role: string, name: string) => ({ file: `controllers/shardset/shardset.${role}.ts`, name });
  const routes = routesOf(ROOT, [
    shardSet("observe", "observeShardSet"),
    { file: "controllers/kit/pki/make.ts", name: "makePki" },
    shardSet("assess", "assessShardSet"),
    shardSet("plan", "planShardSet"),
    shardSet("plan", "planGrowth"),
    shardSet("report", "reportShardSet"),
  ]);
  // 544 before the steps were put in order, 272 after; now with rotation, names apart, lost data, blocked starts and full volumes.
  expect(routes.reduce((sum, { returns }) => sum + returns, 0)).toBeLessThanOrEqual(259);
  const filesOf = (name: string): ReadonlySet<string> => new Set(routes.find((route) => route.name === name)?.stays);
  // Neither decides again what was assessed.
  for (const role of ["volumes", "map", "shards", "conditions", "databases"]) {
    expect(filesOf("planShardSet")).not.toContain(`controllers/shardset/shardset.${role}.ts`);
  }
  expect(filesOf("reportShardSet")).not.toContain("controllers/shardset/shardset.plan.ts");
}, 30_000);
