import { spawn } from "node:child_process";
import { join } from "node:path";
import { trackChild } from "../lib/node/testing/leftovers.ts";

/** Root of the repository. */
export const ROOT = join(import.meta.dirname, "..");

/** A finished child process. */
export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Text for standard input. */
  readonly input?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Kills the process after this time; default 5 minutes. */
  readonly timeoutMs?: number;
  /** Shows the output while it runs. */
  readonly echo?: boolean;
  /** Shows standard error only, for example a progress bar. */
  readonly showErrors?: boolean;
  /** Exit codes besides 0 that `must` takes for success. */
  readonly alsoGood?: readonly number[];
  /** Called with each line of standard output. */
  readonly onLine?: (line: string) => void;
}

/** Runs a program to its end, whatever its exit code. Nothing is given to a shell. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: ROOT,
      env: { ...process.env, ...options.env },
      stdio: ["pipe", "pipe", options.echo || options.showErrors ? "inherit" : "pipe"],
      timeout: options.timeoutMs ?? 300_000,
      killSignal: "SIGKILL",
    });
    trackChild(child);
    let stdout = "";
    let stderr = "";
    let pending = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      if (options.echo) process.stdout.write(text);
      const lines = (pending + text).split("\n");
      pending = lines.pop() ?? "";
      for (const line of lines) options.onLine?.(line);
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (signal !== null) stderr += `\n${program} was ended by ${signal}`;
      resolve({ code: code ?? 1, stdout, stderr });
    });
    child.stdin?.on("error", () => undefined); // A child that ends early closes its input: its exit code tells.
    child.stdin?.end(options.input ?? "");
  });
}

/** Runs a program that must succeed. @returns its standard output @throws with the output when it fails */
export async function must(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const finished = await run(program, args, options);
  if (finished.code !== 0 && options.alsoGood?.includes(finished.code) !== true) {
    throw new Error(
      `${program.split("/").pop()} ${args.join(" ")} ended with ${finished.code}\n${finished.stdout.slice(-4000)}\n${finished.stderr.slice(-4000)}`,
    );
  }
  return finished.stdout;
}

/** Polls until `probe` returns a value; the last failure is part of the error when the time is up. */
export async function waitFor<T>(
  what: string,
  timeoutMs: number,
  probe: () => Promise<T | undefined | false>,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      const cause = last instanceof Error ? `; last failure: ${last.message}` : "";
      throw new Error(`waited ${Math.round(timeoutMs / 1000)} s in vain for ${what}${cause}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}
