import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { clearLeftovers } from "./leftovers.ts";

/** A run that starts a program and makes a folder, says which, and waits. */
const RUN = `
  const { spawn } = await import("node:child_process");
  const { temporaryFolder, trackChild } = await import(${JSON.stringify(join(import.meta.dirname, "leftovers.ts"))});
  const folder = temporaryFolder("test");
  const child = spawn(process.execPath, ["-e", "setTimeout(() => {}, 60_000)"], { stdio: "ignore" });
  trackChild(child);
  console.log(JSON.stringify({ folder, pid: child.pid }));
  setTimeout(() => {}, 60_000);`;

async function startRun(): Promise<{ run: ChildProcess; folder: string; pid: number }> {
  const run = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", RUN], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const line = await new Promise<string>((done) => run.stdout?.once("data", (data: Buffer) => done(data.toString())));
  return { run, ...(JSON.parse(line) as { folder: string; pid: number }) };
}

async function kill(run: ChildProcess): Promise<void> {
  const exited = new Promise((done) => run.once("exit", done));
  run.kill("SIGKILL");
  await exited;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("what a run left that was killed goes, and what belongs to one that lives stays", async () => {
  const [dead, living] = await Promise.all([startRun(), startRun()]);
  try {
    await kill(dead.run);
    expect(isAlive(dead.pid)).toBe(true);
    const removed = clearLeftovers();
    expect(removed).toEqual(expect.arrayContaining([`process ${String(dead.pid)}`, `folder ${dead.folder}`]));
    expect(existsSync(dead.folder)).toBe(false);
    expect(existsSync(living.folder)).toBe(true);
    expect(isAlive(living.pid)).toBe(true);
    expect(clearLeftovers()).not.toContain(`process ${String(dead.pid)}`);
  } finally {
    await kill(living.run);
    const removed = clearLeftovers();
    expect(removed).toContain(`process ${String(living.pid)}`);
  }
});
