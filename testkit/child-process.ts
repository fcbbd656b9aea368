import { type ChildProcess, spawn } from "node:child_process";
import { systemClock } from "../lib/core/clock.ts";
import { trackChild } from "../lib/node/testing/leftovers.ts";

/** A program that a test has started. */
export interface Child {
  readonly name: string;
  /** For signals of the caller's own, and for reading `/proc`. */
  readonly pid: number;
  /** The exit code or signal, once it has ended. */
  ended(): string | undefined;
  /** The last lines of its output: the ones that explain a failure. */
  output(): string;
  signal(name: NodeJS.Signals): void;
  /** Ends it by SIGKILL, as a crash or a lost node does. */
  kill(): Promise<void>;
  /** Ends it in order, by force after 10 s; also when it is frozen. */
  stop(): Promise<void>;
}

const STOP_TIMEOUT_MS = 10_000;
const LINES_KEPT = 200;
const POLL_MS = 50;

/** Starts a program in a directory. */
export function startChild(
  program: string,
  args: readonly string[],
  how: { readonly name: string; readonly directory: string },
): Child {
  const child: ChildProcess = spawn(program, args, { cwd: how.directory, stdio: ["ignore", "pipe", "pipe"] });
  trackChild(child);
  const lines: string[] = [];
  let end: string | undefined;
  const keep = (data: Buffer): void => {
    lines.push(data.toString("utf8"));
    if (lines.length > LINES_KEPT) lines.shift();
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  const exited = new Promise<void>((done) => {
    child.once("error", (error) => {
      end ??= error.message;
      done();
    });
    child.once("exit", (code, signal) => {
      end ??= `exit ${code ?? signal}`;
      done();
    });
  });
  return {
    name: how.name,
    pid: child.pid ?? 0,
    ended: () => end,
    output: () => lines.join(""),
    signal: (signal) => void child.kill(signal),
    kill: async () => {
      if (end === undefined) child.kill("SIGKILL");
      await exited;
    },
    stop: async () => {
      if (end !== undefined) return;
      child.kill("SIGCONT");
      child.kill("SIGTERM");
      const killer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
      await exited;
      clearTimeout(killer);
    },
  };
}

/**
 * Repeats a probe until it does not throw.
 * @throws Error with a child's last words as soon as one has ended; after the time limit
 */
export async function waitForProbe<T>(
  what: string,
  probe: () => Promise<T>,
  how: { readonly children: readonly Child[]; readonly timeoutMs: number },
): Promise<T> {
  const endsAt = systemClock.monotonic() + how.timeoutMs;
  for (;;) {
    try {
      return await probe();
    } catch (error) {
      const dead = how.children.find((child) => child.ended() !== undefined);
      if (dead !== undefined) throw new Error(`${dead.name} ended (${dead.ended()}):\n${dead.output()}`);
      if (systemClock.monotonic() > endsAt) throw new Error(`no ${what} within ${how.timeoutMs} ms`, { cause: error });
    }
    await systemClock.sleep(POLL_MS);
  }
}
