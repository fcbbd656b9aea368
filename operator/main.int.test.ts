import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { describe, expect, it } from "@jest/globals";

// Goal: the command line is honest: help, version, and exit code 2 with a reason for what it does not understand.

const MAIN = resolve(import.meta.dirname, "main.ts");

function shieldx(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((done) => {
    execFile(process.execPath, [MAIN, ...args], { timeout: 60_000 }, (error, stdout, stderr) => {
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
