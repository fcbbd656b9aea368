/** The two programs that are compared: how each is built, started, asked and stopped. */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { access, mkdir, open, readdir, readFile, rename } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { systemClock } from "../../../lib/core/clock.ts";
import type { ResourceType } from "../../../lib/kube/types.ts";
import { freePort } from "../../../lib/node/testing/free-port.ts";
import { trackChild } from "../../../lib/node/testing/leftovers.ts";
import type { Widget } from "../../../testkit/widget.ts";
import { readUsage, type Usage } from "./procfs.ts";
import { type Stage, widgetKind } from "./stage.ts";

/** A program under test. */
export interface Contestant {
  readonly name: string;
  readonly kind: ResourceType<Widget>;
  readonly userAgent: string;
  /** Program and arguments. */
  readonly command: readonly string[];
  /** Added to that of the bench. */
  readonly environment?: Readonly<Record<string, string>>;
}

export interface ProgramOptions {
  readonly children: 1 | 3;
  readonly concurrency: number;
}

/** A running program. */
export interface Program {
  usage(): Promise<Usage>;
  /** Reconciles that ended since its start, and keys in its queue. */
  progress(): Promise<{ readonly reconciles: number; readonly depth: number }>;
  /** Asks it to end. @throws Error when it did not end with 0 */
  stop(): Promise<void>;
}

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, "../../..");
const BUILD = join(ROOT, ".build/bench");
const PEER_SOURCE = join(ROOT, "bench/peers/controller-runtime");
/**
 * How the image (images/build.sh) and the chart start the controllers. The last flag is what V8 takes by itself in the
 * chart's container: half of its limit. It decides how much garbage piles up before V8 collects it.
 */
export const START = {
  flags: ["--disable-warning=ExperimentalWarning", "--max-semi-space-size=4", "--max-old-space-size=256"],
  environment: {
    MALLOC_ARENA_MAX: "1",
  },
} as const;
const STOP_TIMEOUT_MS = 40_000;

/** Our program, compiled as for the image. */
export async function buildOurs(): Promise<Contestant> {
  await run(process.execPath, [
    join(ROOT, "node_modules/typescript/bin/tsc"),
    "-p",
    join(import.meta.dirname, "tsconfig.program.json"),
  ]);
  const program = join(BUILD, "program/testkit/widget-main.js");
  return {
    name: "ours",
    kind: widgetKind("Widget"),
    userAgent: "shieldx/bench",
    command: [process.execPath, ...START.flags, program, "--kind=Widget", "--log-level=warn"],
    environment: START.environment,
  };
}

/** The Go program; built once for each content of its folder. */
export async function buildPeer(): Promise<Contestant> {
  const hash = createHash("sha256");
  for (const name of (await readdir(PEER_SOURCE)).sort())
    hash.update(name).update(await readFile(join(PEER_SOURCE, name)));
  const program = join(BUILD, `controller-runtime-${hash.digest("hex").slice(0, 12)}`);
  const built = await access(program).then(
    () => true,
    () => false,
  );
  if (!built) {
    process.stdout.write("building the Go program (about two minutes the first time)…\n");
    await mkdir(BUILD, { recursive: true });
    // Renamed when it is whole: a build that was interrupted leaves nothing that looks like a program.
    const partial = `${program}.partial`;
    await run("go", ["build", "-mod=readonly", "-trimpath", "-ldflags", "-s -w", "-o", partial, "."], {
      cwd: PEER_SOURCE,
      env: { ...process.env, CGO_ENABLED: "0", GOWORK: "off" },
    });
    await rename(partial, program);
  }
  return {
    name: "controller-runtime",
    kind: widgetKind("GoWidget"),
    userAgent: "controller-runtime",
    command: [program],
  };
}

/** Starts a program; it works as soon as its caches are full and it leads. */
export async function startProgram(stage: Stage, who: Contestant, options: ProgramOptions): Promise<Program> {
  const [command = "", ...args] = who.command;
  const port = await freePort();
  const path = join(stage.directory, `${who.name}.log`);
  const log = await open(path, "a");
  const child = spawn(
    command,
    [
      ...args,
      `--server=${stage.server}`,
      `--service-account=${stage.serviceAccount}`,
      `--children=${options.children}`,
      `--concurrency=${options.concurrency}`,
      `--listen=${port}`,
      `--user-agent=${who.userAgent}`,
    ],
    { stdio: ["ignore", log.fd, log.fd], env: { ...process.env, ...who.environment } },
  );
  trackChild(child);
  await log.close();
  const ended = new Promise<string>((done) => {
    child.once("exit", (code, signal) => done(String(code ?? signal)));
    child.once("error", (error) => done(error.message));
  });
  return {
    usage: async () => readUsage(pidOf(child)),
    progress: async () => parseProgress(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()),
    stop: async () => {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
      const end = await ended;
      clearTimeout(timer);
      if (end !== "0") {
        throw new Error(`${who.name} ended with ${end}:\n${(await readFile(path, "utf8")).slice(-2_000)}`);
      }
    },
  };
}

/** Sums of the metrics that both programs have under the same names. */
export function parseProgress(text: string): { readonly reconciles: number; readonly depth: number } {
  let reconciles = 0;
  let depth = 0;
  for (const line of text.split("\n")) {
    const value = Number(line.slice(line.lastIndexOf(" ") + 1));
    if (line.startsWith("controller_runtime_reconcile_total{")) reconciles += value;
    if (line.startsWith("workqueue_depth{")) depth += value;
  }
  return { reconciles, depth };
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined || child.exitCode !== null) throw new Error("the program has ended");
  return child.pid;
}

/** Polls until a check holds. @throws Error with `what` after the time */
export async function until(what: string, timeoutMs: number, check: () => Promise<boolean>): Promise<void> {
  const endsAt = systemClock.monotonic() + timeoutMs;
  while (!(await check())) {
    if (systemClock.monotonic() > endsAt) throw new Error(`not within ${timeoutMs / 1000} s: ${what}`);
    await systemClock.sleep(POLL_MS);
  }
}

const POLL_MS = 50;
