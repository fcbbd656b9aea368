/**
 * Runs checks and tests, and ends with one line that sums them: "N passed, N failed, N skipped".
 *
 *   bin/test.ts STAGE...      tools  verify  images  unit  int  e2e, in the order given
 *
 *   TIERS="unit int"          runs these in place of the stages named on the command line
 *   E2E=name                  of the end-to-end tests, only the files whose name begins so
 *
 * A stage that fails does not stop the next ones: the last line tells of all. A tier in which no test ran has failed.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const RESULTS = join(ROOT, ".build", "results");
const NODE = [process.execPath, "--disable-warning=ExperimentalWarning"] as const;
const BIN = join(ROOT, "node_modules", ".bin");

/** Values that a chart needs and that say nothing. */
const CHART_VALUES = ["--set", "image.reference=example/shieldx:1,postgresImage.reference=example/shieldx-postgres:1"];

/** Checks at once: the machine has two cores at least, and the longest ones (types, lint) use one each. */
const CHECKS_AT_ONCE = 2;

/** Lines of a failed check that are shown: enough to see what is wrong, without burying the other checks. */
const SHOWN_LINES = 60;

interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

interface Check {
  readonly name: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** What `make verify` is made of. The longest come first. */
const CHECKS: readonly Check[] = [
  { name: "types", command: [...NODE, join(BIN, "tsc"), "--noEmit", "-p", "tsconfig.json"] },
  { name: "lint", command: [...NODE, join(BIN, "eslint"), "--quiet", "."] },
  {
    name: "walls (who imports whom)",
    command: [
      ...[...NODE, join(BIN, "depcruise"), "--config", ".dependency-cruiser.cjs"],
      ...["bin", "lib", "crds", "operator", "controllers", "dataplane", "testkit", "e2e", "bench", "charts"],
    ],
  },
  { name: "unused files, exports and dependencies", command: [...NODE, join(BIN, "knip")] },
  {
    name: "chart templates",
    command: jest(["charts/operator.int.test.ts", "--silent"]),
    env: { SHIELDX_TIER: "int" },
  },
  {
    name: "chart lint",
    command: [join(ROOT, ".build/bin/helm"), "lint", "--strict", "charts/operator", ...CHART_VALUES],
  },
  { name: "format", command: [...NODE, join(BIN, "biome"), "check", "."] },
  { name: "generated files", command: [...NODE, "crds/generate.ts", "--check"] },
  { name: "links of the docs, references of the comments", command: [...NODE, "bin/check-links.ts"] },
];

function jest(args: readonly string[]): string[] {
  return [...NODE, "--experimental-vm-modules", join(ROOT, "node_modules/jest/bin/jest.js"), "--ci", ...args];
}

/** Runs a command to its end; its output is shown at once, or given back. */
function run(
  command: readonly string[],
  options: { readonly show: boolean; readonly env?: Readonly<Record<string, string>> },
): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const [program = "", ...args] = command;
    const stdio = options.show ? "inherit" : "pipe";
    const child = spawn(program, args, {
      cwd: ROOT,
      env: { ...process.env, ...options.env },
      stdio: ["ignore", stdio, stdio],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => (output += text));
    }
    child.on("error", (error) => {
      resolve({ code: 1, output: `${output}${error.message}\n` });
    });
    child.on("close", (code) => {
      resolve({ code: code ?? 1, output });
    });
  });
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}

function tallyOf(passed: boolean): Tally {
  return { passed: passed ? 1 : 0, failed: passed ? 0 : 1, skipped: 0 };
}

function sum(tallies: readonly Tally[]): Tally {
  return {
    passed: tallies.reduce((total, { passed }) => total + passed, 0),
    failed: tallies.reduce((total, { failed }) => total + failed, 0),
    skipped: tallies.reduce((total, { skipped }) => total + skipped, 0),
  };
}

/** A script that makes what later stages need. */
async function prepare(name: string, command: readonly string[]): Promise<Tally> {
  console.log(`== ${name}`);
  const { code } = await run(command, { show: true });
  if (code !== 0) console.log(`FAILED  ${name}`);
  return tallyOf(code === 0);
}

async function check({ name, command, env = {} }: Check): Promise<Tally> {
  const start = performance.now();
  const { code, output } = await run(command, { show: false, env });
  console.log(`${code === 0 ? "ok      " : "FAILED  "}${name} (${seconds(start)})`);
  if (code !== 0) console.log(excerpt(output, command));
  return tallyOf(code === 0);
}

function excerpt(output: string, command: readonly string[]): string {
  const lines = output.trimEnd().split("\n");
  if (lines.length <= SHOWN_LINES) return lines.join("\n");
  const program = command.map((word) => word.replace(`${ROOT}/`, "")).join(" ");
  return [...lines.slice(0, SHOWN_LINES), `... ${lines.length - SHOWN_LINES} more lines of: ${program}`].join("\n");
}

async function verify(): Promise<Tally> {
  console.log("== verify");
  const waiting = [...CHECKS];
  const done: Tally[] = [];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) done.push(await check(next));
  };
  await Promise.all(Array.from({ length: CHECKS_AT_ONCE }, worker));
  return sum(done);
}

/** What Jest writes with --json, as far as it is read here. */
interface JestResult {
  readonly success: boolean;
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly numRuntimeErrorTestSuites: number;
}

async function tier(name: "unit" | "int" | "e2e"): Promise<Tally> {
  console.log(`== ${name} tests`);
  const file = join(RESULTS, `${name}.json`);
  mkdirSync(RESULTS, { recursive: true });
  rmSync(file, { force: true });
  const pattern = name === "e2e" ? (process.env["E2E"] ?? "") : "";
  const only = pattern === "" ? [] : [`e2e/${pattern}[^/]*\\.e2e\\.test\\.ts$`];
  const args = ["--json", `--outputFile=${file}`, ...only];
  const { code } = await run(jest(args), { show: true, env: { SHIELDX_TIER: name } });
  const tally = existsSync(file) ? tallyOfJest(JSON.parse(readFileSync(file, "utf8")) as JestResult) : tallyOf(false);
  if (tally.passed + tally.failed === 0) {
    console.log(`FAILED  no ${name} test ran`);
    return { ...tally, failed: 1 };
  }
  // A Jest that found nothing wrong and still ended badly (an open handle, a crash at the end) is a failure too.
  return code !== 0 && tally.failed === 0 ? { ...tally, failed: 1 } : tally;
}

/** The end-to-end tests. Their cluster stays for a quick second run, except on CI, where there is none. */
async function endToEnd(): Promise<Tally> {
  const tally = await tier("e2e");
  if (process.env["CI"] !== "true") return tally;
  const env = { CLUSTERS: process.env["E2E_CLUSTER"] ?? "shieldx-test" };
  const { code } = await run([join(ROOT, "e2e/cluster/down.sh")], { show: true, env });
  return code === 0 ? tally : { ...tally, failed: tally.failed + 1 };
}

function tallyOfJest(result: JestResult): Tally {
  return {
    passed: result.numPassedTests,
    failed: result.numFailedTests + result.numRuntimeErrorTestSuites,
    skipped: result.numPendingTests + result.numTodoTests,
  };
}

const STAGES: Readonly<Record<string, () => Promise<Tally>>> = {
  tools: () => prepare("tools", [join(ROOT, "e2e/cluster/toolchain.sh"), "tools"]),
  images: () => prepare("images", [join(ROOT, "images/build.sh")]),
  verify,
  unit: () => tier("unit"),
  int: () => tier("int"),
  e2e: endToEnd,
};

async function main(): Promise<number> {
  const chosen = process.env["TIERS"]?.split(/[\s,]+/).filter((name) => name !== "") ?? [];
  const names = chosen.length > 0 ? chosen : process.argv.slice(2);
  const unknown = names.filter((name) => !(name in STAGES));
  if (names.length === 0 || unknown.length > 0) {
    console.error(
      `usage: bin/test.ts ${Object.keys(STAGES).join("|")}...${unknown.length > 0 ? `; not ${unknown.join(", ")}` : ""}`,
    );
    return 2;
  }
  const tallies: Tally[] = [];
  for (const name of names) {
    const stage = STAGES[name];
    if (stage !== undefined) tallies.push(await stage());
  }
  const { passed, failed, skipped } = sum(tallies);
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

process.exitCode = await main();
