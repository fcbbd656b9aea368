/**
 * Strict ingest (acknowledged after COMMIT), one shard, over HTTPS bulk, client included, against pgbench's TPC-B on the
 * same PostgreSQL in the same run. Both do "debit here, credit there, keep a record, durable": TPC-B in one transaction
 * a transfer, the ledger in one a batch. Rounds alternate, so that both see the same machine; medians are compared.
 *
 * Processor time is counted in the same rounds.
 *
 *   node bench/ledger-ingest.bench.ts [--local] [--rounds 3] [--seconds 10] [--items 2000] [--requests 4]
 *     [--clients 8] [--scale 50] [--set name=value]
 */
import { parseArgs } from "node:util";
import { prng } from "../lib/core/prng.ts";
import { type LoadFigures, microsPerEvent, openAccounts, runLoad } from "./lib/ingest-load.ts";
import { openStage } from "./lib/open-stage.ts";
import { createMeter, type MeterSum, type MicrosByPart, shownMicros, sumOfMicros } from "./lib/processor-time.ts";
import { hundredths, median, printTable, quantile, writeResult } from "./lib/results.ts";
import type { PgbenchFigures, Stage } from "./lib/stage.ts";

const ACCOUNTS = 100_000;
const WARM_UP_SECONDS = 3;

const { values } = parseArgs({
  options: {
    local: { type: "boolean", default: false },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "10" },
    items: { type: "string", default: "2000" },
    requests: { type: "string", default: "4" },
    /** Fifty branches, 5 million accounts: larger than the caches that matter, and the scale of the seed figures. */
    scale: { type: "string", default: "50" },
    /** Of pgbench. */
    clients: { type: "string", default: "8" },
    /** Settings of the local PostgreSQL, as "name=value", to see what they do to the ratio. */
    set: { type: "string", multiple: true, default: [] },
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
  await stage.fillPgbench(Number(values.scale));
  const accounts = [await openAccounts(load, ACCOUNTS)];
  await runLoad({ ...load, accounts }, WARM_UP_SECONDS);

  const tpcb: PgbenchFigures[] = [];
  const ingest: LoadFigures[] = [];
  const time = { tpcb: createMeter(stage), ingest: createMeter(stage) };
  for (let round = 1; round <= Number(values.rounds); round += 1) {
    const args = ["-M", "prepared", "-c", values.clients, "-j", "2", "-T", String(seconds)];
    tpcb.push(await time.tpcb.around(() => stage.pgbench(args)));
    ingest.push(await time.ingest.around(() => runLoad({ ...load, accounts }, seconds)));
    const [transactions, events] = [tpcb, ingest].map((rounds) => Math.round(rounds.at(-1)?.perSecond ?? 0));
    process.stdout.write(`  round ${round}: TPC-B ${transactions} tps, ledger ${events} events/s\n`);
  }

  const [transactionsPerSecond, eventsPerSecond] = [tpcb, ingest].map((rounds) =>
    median(rounds.map((round) => round.perSecond)),
  ) as [number, number];
  const ratio = eventsPerSecond / transactionsPerSecond;
  const latencies = ingest.flatMap((round) => round.latenciesMs);
  const micros = { tpcb: perTransaction(time.tpcb.sum(), tpcb), event: microsPerEvent(time.ingest.sum(), ingest) };
  const cpuRatio = sumOfMicros(micros.tpcb) / sumOfMicros(micros.event);
  // What each side kept busy: the ratio is that of the work, times the ledger's cores over TPC-B's.
  const cores = {
    tpcb: (transactionsPerSecond * sumOfMicros(micros.tpcb)) / 1e6,
    ledger: (eventsPerSecond * sumOfMicros(micros.event)) / 1e6,
  };
  const path = await writeResult({
    bench: "ledger-ingest",
    ratio: hundredths(ratio),
    ...(micros.event === undefined
      ? {}
      : { cpuRatio: hundredths(cpuRatio), cores: { tpcb: hundredths(cores.tpcb), ledger: hundredths(cores.ledger) } }),
    eventsPerSecond: Math.round(eventsPerSecond),
    tpcbPerSecond: Math.round(transactionsPerSecond),
    cpuMicrosPerEvent: micros.event,
    cpuMicrosPerTpcb: micros.tpcb,
    rounds: ingest.map((figures, index) => ({
      eventsPerSecond: figures.perSecond,
      tpcbPerSecond: tpcb[index]?.perSecond,
    })),
    requestLatencyMs: { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) },
    setup: {
      stage: stage.name,
      accounts: ACCOUNTS,
      itemsPerRequest: load.itemsPerRequest,
      requests: load.requests,
      pgbench: `scale ${values.scale}, prepared, ${values.clients} clients`,
    },
  });
  printTable([
    ["pgbench TPC-B, transactions/s", String(Math.round(transactionsPerSecond))],
    ["ledger, strict, HTTPS bulk, events/s", String(Math.round(eventsPerSecond))],
    ["ratio", ratio.toFixed(2)],
    ["request p50 / p99, ms", `${quantile(latencies, 0.5).toFixed(0)} / ${quantile(latencies, 0.99).toFixed(0)}`],
    ["CPU of an event, µs: PostgreSQL + ledger + client", shownMicros(micros.event)],
    ["CPU of a TPC-B transaction, µs: PostgreSQL + pgbench", shownMicros(micros.tpcb)],
    ["ratio of these sums", cpuRatio.toFixed(2)],
    ["cores kept busy, TPC-B / ledger", `${cores.tpcb.toFixed(2)} / ${cores.ledger.toFixed(2)}`],
  ]);
  process.stdout.write(`written to ${path}\n`);
}

function perTransaction(sum: MeterSum | undefined, rounds: readonly PgbenchFigures[]): MicrosByPart | undefined {
  const transactions = rounds.reduce((all, round) => all + round.transactions, 0);
  const pgbench = rounds.reduce((all, round) => all + round.clientMicros, 0);
  if (sum === undefined) return undefined;
  return { postgres: sum.postgres / transactions, pgbench: pgbench / transactions };
}

/** From "name=value". */
function settingsOf(texts: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    texts.map((text): [string, string] => {
      const [name = "", ...rest] = text.split("=");
      return [name, rest.join("=")];
    }),
  );
}

const stage = await openStage(values.local, settingsOf(values.set));
try {
  await measure(stage);
} finally {
  await stage.close();
}
