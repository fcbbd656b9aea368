/**
 * Fifty thousand generated requests to the ledger's API, on a real PostgreSQL:
 *
 *   make chaos CHAOS=api            SEED=n repeats a run, FUZZ_REQUESTS=n makes it shorter or longer
 *
 * Schemathesis makes the requests of the server's own OpenAPI document and holds each answer against it: no 5xx, no status,
 * header or body that the document does not have. Between rounds the books are verified. Ends with exit code 0 when
 * everything held, and `.build/results/chaos-api.json`.
 */
import { randomInt } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { verifyShard } from "../../dataplane/ledger/ledger.verify.ts";
import { fuzzApi } from "../../dataplane/testing/fuzz/fuzz-api.ts";
import { type LocalLedger, startLocalLedger } from "../../dataplane/testing/local-ledger.ts";
import { startTestPostgres } from "../../dataplane/testing/postgres.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { environment } from "../../lib/node/env.ts";
import { ROOT } from "../run.ts";

const REQUESTS = 50_000;
/** Of each operation and kind in one round: some thousand requests. */
const EXAMPLES = 300;
/** A minute of two cores; a busy machine takes several times as long. */
const ROUND_TIMEOUT_MS = 1_800_000;
const SHARDS = 2;
const RESULTS = join(ROOT, ".build", "results");

interface Round {
  readonly seed: number;
  readonly requests: number;
  readonly held: boolean;
  /** Findings of `verify` on all shards. */
  readonly findings: readonly string[];
}

/** Requests that the server answered since it started, by its own metrics. */
async function answered(ledger: LocalLedger): Promise<number> {
  const metrics = await (await fetch(`${ledger.probeUrl}/metrics`)).text();
  const counts = metrics.matchAll(/^ledger_http_requests_total\{.*\} (\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

async function main(): Promise<number> {
  const { SEED, FUZZ_REQUESTS: wanted } = environment();
  const first = SEED === undefined ? randomInt(2 ** 31) : Number(SEED);
  const limit = wanted === undefined ? REQUESTS : Number(wanted);
  if (!Number.isSafeInteger(first) || !(limit > 0)) {
    process.stderr.write("SEED must be a whole number, FUZZ_REQUESTS a positive one\n");
    return 2;
  }
  process.stdout.write(`chaos api: SEED=${first} FUZZ_REQUESTS=${limit}\n`);
  const postgres = await startTestPostgres();
  const ledger = await startLocalLedger({ postgres, name: "fuzz", shards: SHARDS });
  const rounds: Round[] = [];
  const startedAt = systemClock.monotonic();
  try {
    for (let seed = first; (await answered(ledger)) < limit; seed += 1) {
      const before = await answered(ledger);
      const run = await fuzzApi({ ledger, examples: EXAMPLES, seed, timeoutMs: ROUND_TIMEOUT_MS });
      const findings: string[] = [];
      for (const [shard, database] of ledger.databases.entries()) {
        const replay = await verifyShard({ shard, target: postgres.role(database, "reader"), snapshotEvery: 100 });
        for (const [rule, { violations, first }] of Object.entries(replay.findings)) {
          if (violations > 0) findings.push(`shard ${shard}: ${rule}: ${first ?? ""} (${violations})`);
        }
      }
      const round = { seed, requests: (await answered(ledger)) - before, held: run.held, findings };
      rounds.push(round);
      process.stdout.write(
        `  ${round.held && findings.length === 0 ? "ok    " : "FAILED"}  ${JSON.stringify(round)}\n`,
      );
      if (!run.held) process.stdout.write(`${run.report}\n`);
      // A fuzzer that sends nothing would go on for ever.
      if (round.requests === 0) throw new Error("no request arrived");
    }
  } finally {
    await ledger.stop();
    await postgres.stop();
  }
  const requests = rounds.reduce((sum, round) => sum + round.requests, 0);
  const failed = rounds.filter(({ held, findings }) => !held || findings.length > 0).length;
  const seconds = Math.round((systemClock.monotonic() - startedAt) / 1000);
  await mkdir(RESULTS, { recursive: true });
  const at = new Date(systemClock.now()).toISOString();
  const result = { at, seed: first, requests, seconds, failed, rounds };
  await writeFile(join(RESULTS, "chaos-api.json"), `${JSON.stringify(result, null, 2)}\n`);
  process.stdout.write(
    `${requests} requests in ${seconds} s, ${failed} of ${rounds.length} rounds failed (SEED=${first})\n`,
  );
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main();
