/**
 * Replay and verification of a million events with the program's own `verify`: the journal is read, its hash chain
 * checked, every balance, version and limit folded, and every row of events, balances, snapshots, accounts and head
 * compared with the result. Three runs, the median counts, scaled to a million events.
 *
 *   node bench/ledger-replay.bench.ts [--local] [--events 1000000] [--runs 3]
 */
import { parseArgs } from "node:util";
import { prng } from "../lib/core/prng.ts";
import { openAccounts, runLoad } from "./lib/ingest-load.ts";
import { openStage } from "./lib/open-stage.ts";
import { median, printTable, writeResult } from "./lib/results.ts";
import type { Stage } from "./lib/stage.ts";

const ACCOUNTS = 20_000;
const MILLION = 1_000_000;
const LOAD_SECONDS = 5;

const { values } = parseArgs({
  options: {
    local: { type: "boolean", default: false },
    events: { type: "string", default: String(MILLION) },
    runs: { type: "string", default: "3" },
    seed: { type: "string", default: "1" },
  },
});

async function measure(stage: Stage): Promise<void> {
  const load = {
    client: stage.client,
    asset: stage.asset,
    itemsPerRequest: 4_000,
    requests: 4,
    random: prng(Number(values.seed)),
  };
  process.stdout.write(`ledger-replay on ${stage.name}\n`);
  const accounts = await openAccounts(load, ACCOUNTS, (id) => stage.isOnShard(id));
  for (let events = ACCOUNTS; events < Number(values.events); ) {
    events += (await runLoad({ ...load, accounts }, LOAD_SECONDS)).events;
  }
  const runs: { events: number; seconds: number; perMillion: number }[] = [];
  for (let run = 1; run <= Number(values.runs); run += 1) {
    const { events, seconds, intact } = await stage.verify();
    if (!intact) throw new Error("verification found a violated invariant");
    runs.push({ events, seconds, perMillion: (seconds / events) * MILLION });
    process.stdout.write(`  run ${run}: ${events} events in ${seconds.toFixed(2)} s\n`);
  }
  const seconds = median(runs.map((run) => run.perMillion));
  const path = await writeResult({
    bench: "ledger-replay",
    seconds: Math.round(seconds * 100) / 100,
    events: runs[0]?.events,
    runs,
    setup: { stage: stage.name, accounts: ACCOUNTS },
  });
  printTable([
    ["events", String(runs[0]?.events)],
    ["replay and verify a million, s", seconds.toFixed(2)],
  ]);
  process.stdout.write(`written to ${path}\n`);
}

const stage = await openStage(values.local);
try {
  await measure(stage);
} finally {
  await stage.close();
}
