import { spawn } from "node:child_process";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { systemClock } from "../../lib/core/clock.ts";
import { eventually } from "../../testkit/wait.ts";
import { describeHang, endProcessesIn, postgresEnvironment, runTool } from "./processes.ts";

const env = postgresEnvironment("/usr/bin:/bin");

test("a tool has ended when it has, whatever a child of it does with its output", async () => {
  const began = systemClock.monotonic();
  const result = await runTool("sh", ["-c", "sleep 8 & echo told"], { env, timeoutMs: 60_000 });
  expect(result).toEqual({ code: 0, stdout: "told\n", stderr: "" });
  expect(systemClock.monotonic() - began).toBeLessThan(5_000);
});

test("a tool whose time is up is ended, and so is the wait for it", async () => {
  const began = systemClock.monotonic();
  const result = await runTool("sh", ["-c", "sleep 8 & wait"], { env, timeoutMs: 100 });
  expect(result.code).toBeUndefined();
  expect(systemClock.monotonic() - began).toBeLessThan(5_000);
});

test("a process that holds the lock is ended wherever it works; a signal ends the wait", async () => {
  const directory = await mkdtemp(join(tmpdir(), "shieldx-processes-"));
  const lock = join(directory, "lock");
  const file = await open(lock, "w");
  const child = spawn("sleep", ["60"], { cwd: "/", stdio: ["ignore", file.fd, "ignore"] });
  const ended = new Promise((done) => child.once("exit", (_code, signal) => done(signal)));
  await file.close();
  const traces = { directory: join(directory, "data"), lock };
  expect(await endProcessesIn(traces, systemClock, AbortSignal.abort())).toBe(0);
  expect(child.exitCode).toBeNull();
  expect(await endProcessesIn(traces, systemClock)).toBe(1);
  expect(await ended).toBe("SIGKILL");
  await rm(directory, { recursive: true });
});

test("a stopped process is told with the way out, a running one is not", async () => {
  const child = spawn("sleep", ["60"], { stdio: "ignore" });
  const pid = child.pid as number;
  expect(await describeHang(pid)).toBeUndefined();
  child.kill("SIGSTOP");
  expect(await eventually("stopped", () => describeHang(pid))).toBe(
    `process ${pid} is stopped by a signal or a debugger: SIGCONT lets it go on, deleting the pod starts it anew`,
  );
  child.kill("SIGKILL");
});
