/**
 * Strict ingest (acknowledged after COMMIT), one shard, over HTTPS bulk, client included, against pgbench's TPC-B on the
 * same PostgreSQL in the same run. Both do "debit here, credit there, keep a record, durable": TPC-B in one transaction
 * a transfer, the ledger in one a batch. Rounds alternate, so that both see the same machine; medians are compared.
 *
 *   node bench/ledger-ingest.bench.ts [--local] [--rounds 3] [--seconds 10] [--items 2000] [--requests 4]
 */
import { parseArgs } from "node:util";
import { prng } from "../lib/core/prng.ts";
import { openAccounts, runLoad } from "./lib/ingest-load.ts";
import { openStage } from "./lib/open-stage.ts";
import { median, printTable, quantile, writeResult } from "./lib/results.ts";
import type { Stage } from "./lib/stage.ts";

/** Fifty branches, 5 million accounts: larger than the caches that matter, and the scale of the seed figures. */
const SCALE = 50;
const PGBENCH_CLIENTS = 8;
const ACCOUNTS = 100_000;
const WARM_UP_SECONDS = 3;

const { values } = parseArgs({
  options: {
    local: { type: "boolean", default: false },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "10" },
    items: { type: "string", default: "2000" },
    requests: { type: "string", default: "4" },
    seed: { type: "string", default: "1" },
  },
});

async function measure(stage: Stage): Promise<void> {
  const seconds = Number(values.seconds);
  const load = {
    client: stage.client,
    asset: stage.asset,
    itemsPerRequest: Number(values.items),
    requests: Number(values.requests),
    random: prng(Number(values.seed)),
  };
  process.stdout.write(`ledger-ingest on ${stage.name}\n`);
  await stage.pgbench(["-i", "-s", String(SCALE), "-q"]);
  const accounts = await openAccounts(load, ACCOUNTS, (id) => stage.isOnShard(id));
  await runLoad({ ...load, accounts }, WARM_UP_SECONDS);

  const tpcb: number[] = [];
  const ingest: number[] = [];
  const latencies: number[] = [];
  for (let round = 1; round <= Number(values.rounds); round += 1) {
    const args = ["-M", "prepared", "-c", String(PGBENCH_CLIENTS), "-j", "2", "-T", String(seconds)];
    tpcb.push((await stage.pgbench(args)) as number);
    const figures = await runLoad({ ...load, accounts }, seconds);
    ingest.push(figures.perSecond);
    latencies.push(...figures.latenciesMs);
    process.stdout.write(
      `  round ${round}: TPC-B ${Math.round(tpcb.at(-1) as number)} tps, ledger ${Math.round(figures.perSecond)} events/s\n`,
    );
  }

  const ratio = median(ingest) / median(tpcb);
  const path = await writeResult({
    bench: "ledger-ingest",
    ratio: Math.round(ratio * 100) / 100,
    eventsPerSecond: Math.round(median(ingest)),
    tpcbPerSecond: Math.round(median(tpcb)),
    rounds: ingest.map((events, index) => ({ eventsPerSecond: events, tpcbPerSecond: tpcb[index] })),
    requestLatencyMs: { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) },
    setup: {
      stage: stage.name,
      accounts: ACCOUNTS,
      itemsPerRequest: load.itemsPerRequest,
      requests: load.requests,
      pgbench: `scale ${SCALE}, prepared, ${PGBENCH_CLIENTS} clients`,
    },
  });
  printTable([
    ["pgbench TPC-B, transactions/s", String(Math.round(median(tpcb)))],
    ["ledger, strict, HTTPS bulk, events/s", String(Math.round(median(ingest)))],
    ["ratio", ratio.toFixed(2)],
    ["request p50 / p99, ms", `${quantile(latencies, 0.5).toFixed(0)} / ${quantile(latencies, 0.99).toFixed(0)}`],
  ]);
  process.stdout.write(`written to ${path}\n`);
}

const stage = await openStage(values.local);
try {
  await measure(stage);
} finally {
  await stage.close();
}
