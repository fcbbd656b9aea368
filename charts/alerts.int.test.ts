// The alerts in Prometheus' own hands: promtool reads the rules and runs them over series of charts/testing/rollout-alerts.yaml.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";

const ROOT = join(import.meta.dirname, "..");
const RULES = join(ROOT, "charts/operator/alerts/rollouts.yaml");
const TESTS = join(ROOT, "charts/testing/rollout-alerts.yaml");

function promtool(args: readonly string[]): Promise<{ readonly ok: boolean; readonly output: string }> {
  return new Promise((resolve) => {
    execFile(join(ROOT, ".build/bin/promtool"), args, (error, stdout, stderr) => {
      resolve({ ok: error === null, output: stdout + stderr });
    });
  });
}

describe("promtool", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "shieldx-alerts-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** The tests over other rules. */
  async function withRules(
    change: (rules: string) => string,
  ): Promise<{ readonly ok: boolean; readonly output: string }> {
    const rules = join(folder, "rules.yaml");
    const tests = join(folder, "tests.yaml");
    writeFileSync(rules, change(readFileSync(RULES, "utf8")));
    writeFileSync(tests, readFileSync(TESTS, "utf8").replace("../operator/alerts/rollouts.yaml", rules));
    return promtool(["test", "rules", tests]);
  }

  test("takes the rules", async () => {
    expect(await promtool(["check", "rules", "--lint=all", "--lint-fatal", RULES])).toMatchObject({ ok: true });
  });

  test("alerts fire when they should, and only then", async () => {
    expect(await promtool(["test", "rules", TESTS])).toMatchObject({ ok: true });
  });

  test.each([
    ["one that never fires", '{reason="RolledBack"}) == 1', '{reason="RolledBack"}) == 2', "RolledBack"],
    ["one that always fires", "> 0.5", ">= 0", "RolloutUnknown"],
    ["one that waits too long", "for: 2m", "for: 20m", "ShieldXWithoutLeader"],
  ])("would notice %s", async (_, from, to, alert) => {
    const { ok, output } = await withRules((rules) => {
      expect(rules).toContain(from);
      return rules.replace(from, to);
    });
    expect(ok).toBe(false);
    expect(output).toContain(alert);
  });
});
