import { spawn } from "node:child_process";
import { readdir, readFile, readlink } from "node:fs/promises";
import type { Clock } from "../../lib/core/clock.ts";
import { OperatorError } from "../../lib/core/errors.ts";

/** What a short-lived program answered. */
export interface ToolResult {
  /** Exit code; `undefined` when it was ended by a signal. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Most characters of a tool's output that are kept. */
const OUTPUT_MAX = 64 * 1024;

/** Time for what a program wrote at its end to arrive. */
const LAST_WORDS_MS = 500;

/** Environment of PostgreSQL's programs: nothing of our own configuration reaches them. */
export function postgresEnvironment(path: string): Record<string, string> {
  // Messages in English, so that they can be recognised; times in UTC.
  return { PATH: path, LANG: "C.UTF-8", LC_MESSAGES: "C", TZ: "UTC" };
}

/**
 * Runs a program to its end.
 * @throws what `spawn` throws, for example when the program does not exist
 */
export function runTool(
  command: string,
  args: readonly string[],
  options: { readonly env: Readonly<Record<string, string>>; readonly timeoutMs: number },
): Promise<ToolResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: options.env,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: options.timeoutMs,
      killSignal: "SIGKILL",
    });
    const texts = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8");
      child[name].on("data", (chunk: string) => {
        texts[name] = (texts[name] + chunk).slice(-OUTPUT_MAX);
      });
    }
    child.on("error", reject);
    const end = (code: number | null): void => {
      // Otherwise a pipe that somebody else still has open would keep our own end of it.
      for (const name of ["stdout", "stderr"] as const) child[name].destroy();
      resolve({ code: code ?? undefined, ...texts });
    };
    child.on("close", end);
    // A child of the program may hold its output open for as long as it lives; the last words come at once.
    child.on("exit", (code) => void setTimeout(end, LAST_WORDS_MS, code));
  });
}

/**
 * Processes that work in a directory. Every process of a PostgreSQL server has its data directory as working
 * directory, so this finds them all, whoever is their parent by now, and nothing else.
 */
export async function processesIn(directory: string): Promise<number[]> {
  const found = await Promise.all(
    (await listProcesses()).map(async (pid) => {
      // A process may end while we look, and others' processes may not be looked at: neither is one of ours.
      const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
      return cwd === directory ? pid : undefined;
    }),
  );
  return found.filter((pid) => pid !== undefined);
}

/** Other processes than this one that have a file open, as far as we may look. */
async function processesWith(file: string): Promise<number[]> {
  const pids = (await listProcesses()).filter((pid) => pid !== process.pid);
  const found = await Promise.all(pids.map(async (pid) => ((await hasOpen(pid, file)) ? pid : undefined)));
  return found.filter((pid) => pid !== undefined);
}

async function hasOpen(pid: number, file: string): Promise<boolean> {
  const directory = `/proc/${pid}/fd`;
  const names = await readdir(directory).catch(() => []);
  const paths = await Promise.all(names.map((name) => readlink(`${directory}/${name}`).catch(() => undefined)));
  return paths.includes(file);
}

async function listProcesses(): Promise<number[]> {
  return (await readdir("/proc")).filter((name) => /^[0-9]+$/.test(name)).map(Number);
}

/** What the kernel says of a process that cannot run, with the way out; `undefined` when it can. */
export async function describeHang(pid: number): Promise<string | undefined> {
  // The name of the program, in parentheses, may hold spaces.
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  switch (stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3)) {
    case "T":
    case "t":
      return `process ${pid} is stopped by a signal or a debugger: SIGCONT lets it go on, deleting the pod starts it anew`;
    case "D":
      return `process ${pid} waits for the disk`;
    default:
      return undefined;
  }
}

/** How often `endProcessesIn` looks. */
const LOOK_EVERY_MS = 20;

/** Processes that SIGKILL has not ended by then hang in the kernel, usually on a dead disk. */
const LEFTOVER_LIMIT_MS = 30_000;

/** Grace between noticing leftovers and killing them: backends notice their postmaster's death within milliseconds. */
const LEFTOVER_GRACE_MS = 500;

/** What tells the processes of a server. */
export interface ServerTraces {
  /** Working directory of the server's own processes. */
  readonly directory: string;
  /** File that they have open, and that what they started may have inherited. */
  readonly lock: string;
}

/**
 * Waits until no process works in the directory or holds the lock, killing what is still there after a moment.
 * Two servers on one data directory destroy it; a new one starts only after the last process of the old one is gone.
 * @param signal ends the wait early
 * @returns the number of processes that had to be killed
 * @throws OperatorError POSTGRES_FAILED when a process cannot be ended
 */
export async function endProcessesIn(traces: ServerTraces, clock: Clock, signal?: AbortSignal): Promise<number> {
  const began = clock.monotonic();
  const killed = new Set<number>();
  for (;;) {
    const [working, holding] = await Promise.all([processesIn(traces.directory), processesWith(traces.lock)]);
    const pids = [...new Set([...working, ...holding])];
    if (pids.length === 0 || signal?.aborted === true) return killed.size;
    const waited = clock.monotonic() - began;
    if (waited >= LEFTOVER_LIMIT_MS) {
      throw new OperatorError("POSTGRES_FAILED", `processes ${pids.join(", ")} of an earlier server cannot be ended`);
    }
    if (waited >= LEFTOVER_GRACE_MS) {
      for (const pid of pids) {
        killed.add(pid);
        signalProcess(pid, "SIGKILL");
      }
    }
    await clock.sleep(LOOK_EVERY_MS, signal);
  }
}

/** Sends a signal. @returns false when the process is gone already */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}
