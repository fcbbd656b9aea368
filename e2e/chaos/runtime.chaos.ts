/**
 * Ten minutes of seeded chaos for the operator runtime, on a real etcd and kube-apiserver:
 *
 *   make chaos CHAOS=runtime        SEED=n repeats a run, CHAOS_SECONDS=n makes it shorter or longer
 *
 * Two processes of an operator compete for one Lease while a user creates, edits, damages and deletes. The API server is
 * killed, frozen and restarted, connections are cut every few seconds, replicas are killed, frozen and cut off. Ends with
 * a table, exit code 0 when everything held, and `.build/results/chaos-runtime.json`. After a failure the logs of the
 * replicas and the audit log are kept in `.build/failures`.
 */
import { randomInt } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../lib/core/clock.ts";
import { environment } from "../../lib/node/env.ts";
import { ROOT } from "../run.ts";
import type { RuntimeChaosReport } from "./chaos-run.ts";
import { runRuntimeChaos } from "./runtime.ts";

const SECONDS = 600;
const WIDGETS = 60;
const REST_SECONDS = 30;
const CUT_SECONDS = { min: 1.5, spread: 3.5 };
const RESULTS = join(ROOT, ".build", "results");

function print(report: RuntimeChaosReport): void {
  const width = Math.max(
    ...[...report.findings.map(({ what }) => what), ...Object.keys(report.figures)].map((t) => t.length),
  );
  const rows = [
    "",
    ...report.findings.map(({ what, ok, value }) => `  ${ok ? "ok    " : "FAILED"}  ${what.padEnd(width)}  ${value}`),
    ...Object.entries(report.figures).map(([what, value]) => `          ${what.padEnd(width)}  ${value}`),
    "",
  ];
  process.stdout.write(`${rows.join("\n")}\n`);
}

async function main(): Promise<number> {
  const { SEED, CHAOS_SECONDS: seconds } = environment();
  const seed = SEED === undefined ? randomInt(2 ** 31) : Number(SEED);
  const limit = seconds === undefined ? SECONDS : Number(seconds);
  if (!Number.isSafeInteger(seed) || !(limit > 0)) {
    process.stderr.write("SEED must be a whole number, CHAOS_SECONDS a positive one\n");
    return 2;
  }
  process.stdout.write(`chaos runtime: SEED=${seed} CHAOS_SECONDS=${limit}\n`);
  const report = await runRuntimeChaos({
    seed,
    seconds: limit,
    widgets: WIDGETS,
    leaseTimes: [15, 10, 2],
    cutSeconds: CUT_SECONDS,
    restSeconds: REST_SECONDS,
    say: (line) => process.stdout.write(`${line}\n`),
  });
  print(report);
  await mkdir(RESULTS, { recursive: true });
  const at = new Date(systemClock.now()).toISOString();
  await writeFile(
    join(RESULTS, "chaos-runtime.json"),
    `${JSON.stringify({ at, seconds: limit, ...report }, null, 2)}\n`,
  );
  const failed = report.findings.filter(({ ok }) => !ok).length;
  process.stdout.write(`${report.findings.length - failed} held, ${failed} failed (SEED=${seed})\n`);
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main();
