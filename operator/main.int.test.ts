import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { eventually } from "../testkit/wait.ts";

// Goal: the command line is honest: help, version, and exit code 2 with a reason for what it does not understand.

/** As users start it: a flag of Node in the wrapper can take signals away from the program. */
const SHIELDX = resolve(import.meta.dirname, "../bin/shieldx");

function shieldx(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((done) => {
    execFile(SHIELDX, args, { timeout: 60_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      done({ code, stdout, stderr });
    });
  });
}

describe("shieldx", () => {
  it("tells its subcommands and its version", async () => {
    const help = await shieldx("--help");
    expect(help).toMatchObject({ code: 0, stderr: "" });
    for (const name of ["controller", "shard-agent", "ledger"]) expect(help.stdout).toContain(name);
    expect((await shieldx("--version")).stdout).toMatch(/^shieldx \d+\.\d+\.\d+\n$/);
    expect((await shieldx("controller", "--help")).stdout).toContain("--postgres-image");
  });

  it.each([
    [["nonsense"], 'unknown subcommand "nonsense"'],
    [["toString"], 'unknown subcommand "toString"'],
    [[], "no subcommand"],
    [["controller", "--nonsense"], "USAGE"],
    [["controller"], "CONFIG_INVALID: --shieldx-image"],
  ])("refuses %j with code 2 and a reason", async (args, reason) => {
    const { code, stdout, stderr } = await shieldx(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(reason);
  });
});

/** A cluster that nobody serves: the controller waits for it, which is all that these tests need. */
const NO_CLUSTER = {
  apiVersion: "v1",
  kind: "Config",
  "current-context": "none",
  contexts: [{ name: "none", context: { cluster: "none", user: "none" } }],
  clusters: [{ name: "none", cluster: { server: "https://127.0.0.1:1" } }],
  users: [{ name: "none", user: { token: "none" } }],
};

describe("shieldx controller", () => {
  it("changes its log level on SIGUSR1 and SIGUSR2, without a debugger, and ends in order on SIGTERM", async () => {
    const directory = await mkdtemp(join(tmpdir(), "shieldx-main-"));
    const kubeconfig = join(directory, "kubeconfig");
    await writeFile(kubeconfig, JSON.stringify(NO_CLUSTER));
    const images = ["--shieldx-image=a", "--postgres-image=b"];
    const args = ["controller", ...images, "--listen=0", "--log-level=warn", `--kubeconfig=${kubeconfig}`];
    const child = spawn(SHIELDX, args, { stdio: ["ignore", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    const ended = once(child, "exit");
    const logged = (text: string) => eventually(text, () => stdout.includes(text));
    try {
      // It has begun to list, so its signals are in its own hands.
      await logged('"level":"warn"');
      child.kill("SIGUSR1");
      await logged('"logLevel":"info"');
      child.kill("SIGUSR1");
      await logged('"logLevel":"debug"');
      child.kill("SIGUSR2");
      await logged('"logLevel":"warn"');
      child.kill("SIGTERM");
      expect(await ended).toEqual([0, null]);
      expect(stderr).toBe("");
    } finally {
      child.kill("SIGKILL");
      await rm(directory, { recursive: true });
    }
  });
});
