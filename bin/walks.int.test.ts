// The walks of docs/writing-a-controller.md are true: in a copy of this repository their blocks are applied in the order
// of the page, and their commands run.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { environment } from "../lib/node/env.ts";
import { carryOut, stepsOf } from "./testing/walk.ts";

const ROOT = join(import.meta.dirname, "..");
const PAGE = "docs/writing-a-controller.md";
/** Compiling everything, and a real API server for the new kind, on two busy cores. */
const WALK_TIMEOUT_MS = 400_000;

/** What a new kind may cost; the kit and the runtime do the rest. */
const KIND_LINES_MAX = 250;

/** Characters of a failed command's output that are shown. */
const SHOWN_MAX = 8_000;

const run = promisify(execFile);
let copy: string;

beforeAll(async () => {
  copy = mkdtempSync(join(tmpdir(), "shieldx-walk-"));
  // What is in the index, as it is in the work tree.
  const { stdout } = await run("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: ROOT,
    maxBuffer: 2 ** 24,
  });
  // What somebody has removed and not committed is still in the index.
  for (const path of stdout.split("\0").filter((name) => name !== "" && existsSync(join(ROOT, name)))) {
    mkdirSync(dirname(join(copy, path)), { recursive: true });
    cpSync(join(ROOT, path), join(copy, path), { force: true });
  }
  // Entry by entry: whatever clears a folder in the copy (npm ci does) removes links, and never what they lead to.
  for (const folder of ["node_modules", ".build/bin"]) linkEntries(folder);
  // Newer than the lock file of the copy, so that make finds the packages installed.
  const lock = readFileSync(join(copy, "package-lock.json"));
  mkdirSync(join(copy, ".build/deps"));
  writeFileSync(join(copy, ".build/deps", createHash("sha256").update(lock).digest("hex").slice(0, 16)), "");
});

afterAll(() => {
  rmSync(copy, { recursive: true, force: true });
});

function linkEntries(folder: string): void {
  mkdirSync(join(copy, folder), { recursive: true });
  for (const name of readdirSync(join(ROOT, folder))) symlinkSync(join(ROOT, folder, name), join(copy, folder, name));
}

test("a folder of packages is not a link: clearing it would clear the packages of this repository", () => {
  expect(lstatSync(join(copy, "node_modules")).isSymbolicLink()).toBe(false);
  expect(lstatSync(join(copy, ".build")).isSymbolicLink()).toBe(false);
});

test("a kind with a child, a CA, a Role and three conditions takes at most 250 lines of API and controller", () => {
  const steps = stepsOf(readFileSync(join(ROOT, PAGE), "utf8"));
  const files = steps.flatMap((step) => (step.type === "file" && isSource(step.path) ? [step.text] : []));
  const reasons = steps.flatMap((step) =>
    step.type === "change" && step.path === "crds/conditions.ts" ? step.hunks : [],
  );
  const added = reasons.map(({ before, after }) => linesOf(after) - linesOf(before));
  const lines = [...files.map(linesOf), ...added].reduce((sum, count) => sum + count, 0);
  expect(files.length).toBeGreaterThanOrEqual(6);
  expect(lines).toBeLessThanOrEqual(KIND_LINES_MAX);
  expect(readFileSync(join(ROOT, PAGE), "utf8")).toContain(`API and controller are\n${String(lines)} lines`);
});

function isSource(path: string): boolean {
  return path.endsWith(".ts") && !path.endsWith(".test.ts");
}

function linesOf(text: string): number {
  return text.split("\n").length - 1;
}

test(
  "every block fits, every command succeeds",
  async () => {
    const steps = stepsOf(readFileSync(join(ROOT, PAGE), "utf8"));
    expect(steps.filter(({ type }) => type === "command").length).toBeGreaterThanOrEqual(3);
    const { SHIELDX_TIER: _, ...env } = environment();
    for (const step of steps) {
      if (step.type !== "command") {
        carryOut(step, copy);
        continue;
      }
      const where = `${PAGE}, block at line ${String(step.line)}`;
      const failure = await run(
        "bash",
        ["-Eeuo", "pipefail", "-c", `trap 'echo "failed: $BASH_COMMAND" >&2' ERR\n${step.script}`],
        {
          cwd: copy,
          env,
          maxBuffer: 2 ** 24,
        },
      ).then(
        () => undefined,
        (error: unknown) => {
          const { stdout, stderr } = error as { stdout: string; stderr: string };
          // The command first: what it printed may be cut.
          return `${stderr.match(/^failed: .*$/m)?.[0] ?? "failed"}\n${`${stdout}\n${stderr}`.slice(-SHOWN_MAX)}`;
        },
      );
      expect({ where, failure }).toEqual({ where, failure: undefined });
    }
  },
  WALK_TIMEOUT_MS,
);
