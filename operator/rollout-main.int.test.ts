import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { encodeRun, RUN_DATA_KEY } from "../controllers/rollout/sampling/run.store.ts";
import type { RolloutRun } from "../crds/rollout-run.ts";

// Goal: a user tries the judge on counters of their own, keeps the run, and judges it again; what is wrong is named.

const SHIELDX = resolve(import.meta.dirname, "../bin/shieldx");
const EXAMPLE = resolve(import.meta.dirname, "../docs/examples/bad-release.json");

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function shieldx(args: readonly string[], input = ""): Promise<Ended> {
  return new Promise((done) => {
    const child = execFile(SHIELDX, ["rollout", ...args], { timeout: 60_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      done({ code, stdout, stderr });
    });
    child.stdin?.end(input);
  });
}

let folder = "";
const inFolder = async (name: string, document: unknown): Promise<string> => {
  const path = join(folder, name);
  await writeFile(path, JSON.stringify(document));
  return path;
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "shieldx-rollout-"));
});
afterAll(() => rm(folder, { recursive: true }));

describe("shieldx rollout replay", () => {
  it("judges counters, tick by tick", async () => {
    const { code, stdout } = await shieldx(["replay", EXAMPLE]);
    expect(code).toBe(0);
    expect(stdout).toContain("NoData: errors: no fresh counts");
    expect(stdout).toMatch(/\nend: Fail \(Harm\): errors: canary \d+ of \d+ .* e-value \d+ of 200\n$/);
  });

  it("makes a run of them, and tells the same of it again", async () => {
    const { run } = JSON.parse((await shieldx(["replay", EXAMPLE, "--json"])).stdout) as { run: object };
    const { code, stdout } = await shieldx(["replay", "-"], JSON.stringify(run));
    expect(stdout).toMatch(/\nrecorded: the same, bit for bit\n$/);
    expect(code).toBe(0);

    const patient = await inFolder("patient.json", { falseRollbackRate: 0.0001 });
    const other = await shieldx(["replay", await inFolder("run.json", run), "--policy", patient]);
    expect(other.stdout).toMatch(
      /\nother policy: decides otherwise at \d+ of 40 rows, first at tick \d+ .*: Fail \(Harm\) was recorded, now Inconclusive \(\w+\)\n$/,
    );
    expect(other.code).toBe(0);
  });

  it("reads a run where a Rollout keeps it", async () => {
    const { run } = JSON.parse((await shieldx(["replay", EXAMPLE, "--json"])).stdout) as { run: RolloutRun };
    const stored = (text: string) => ({ apiVersion: "v1", kind: "ConfigMap", data: { [RUN_DATA_KEY]: text } });
    const { code, stdout } = await shieldx(["replay", "-"], JSON.stringify(stored(encodeRun(run))));
    expect(stdout).toMatch(/\nrecorded: the same, bit for bit\n$/);
    expect(code).toBe(0);
    const broken = await shieldx(["replay", await inFolder("cm.json", stored("broken"))]);
    expect(broken.code).toBe(2);
    expect(broken.stderr).toContain("data: run.json.gz.base64: stored run: incorrect header check");
  });

  it("ends with code 1 when a record was changed", async () => {
    const { run } = JSON.parse((await shieldx(["replay", EXAMPLE, "--json"])).stdout) as {
      run: { rows: { canary: { errors: number } }[] };
    };
    for (const row of run.rows.slice(0, 1)) row.canary.errors += 1;
    const changed = await shieldx(["replay", "-"], JSON.stringify(run));
    expect(changed.code).toBe(1);
    expect(changed.stdout).toContain("recorded: DIFFERS at ");
  });

  it.each<[string, readonly string[], string]>([
    ["no file", ["replay"], "USAGE: missing required argument 'file'"],
    ["an unknown option", ["replay", "-", "--nonsense"], "USAGE: unknown option '--nonsense'"],
    ["no JSON", ["replay", "-"], "ROLLOUT_RUN_INVALID: standard input: "],
  ])("refuses %s with code 2", async (_, args, reason) => {
    const { code, stdout, stderr } = await shieldx(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(reason);
  });

  it("names the document and the field", async () => {
    const samples = JSON.parse(await readFile(EXAMPLE, "utf8")) as object;
    const policy = await inFolder("policy.json", { errors: { ratio: 0.5 } });
    const { code, stderr } = await shieldx(["replay", "-", "--policy", policy], JSON.stringify(samples));
    expect(code).toBe(2);
    expect(stderr).toContain(`ROLLOUT_RUN_INVALID: ${policy}: errors.ratio: `);
    expect(stderr).toContain("docs/judging.md");
  });

  it("tells how to use it", async () => {
    const { code, stdout } = await shieldx(["replay", "--help"]);
    expect(code).toBe(0);
    expect(stdout).toContain("--policy <file>");
  });
});
