/**
 * What a claim costs (docs/adr/0024-keys-of-the-ledger.md): a ledger of two shards, each with a PostgreSQL of its own, and
 * the same transfers under two kinds of ids, in alternating rounds:
 *
 *   tagged    `{account}:n`, owned where the account is: no claim
 *   untagged  `(account):n`, as long, without a tag: every other one is owned by the other shard, and claimed there first
 *
 * Bulk requests over HTTPS, client included, then single transfers, few at a time, for the latency. `ratio` is events a
 * second of untagged ids over those of tagged ones; `latencyRatio` the median latency of a tagged id over that of a
 * claimed one. Both have 1 where claims cost nothing.
 *
 *   node bench/ledger-keys.bench.ts [--rounds 3] [--seconds 10] [--items 2000] [--requests 4] [--singles 2]
 */
import { parseArgs } from "node:util";
import { keyOf } from "../dataplane/ledger/fingerprint.ts";
import { keyBucket } from "../dataplane/ledger/key-owner.ts";
import { prng } from "../lib/core/prng.ts";
import { proposeOwners } from "../lib/core/ring.ts";
import {
  type LoadFigures,
  type LoadOptions,
  microsPerEvent,
  openAccounts,
  runLoad,
  runSingles,
} from "./lib/ingest-load.ts";
import { openLocalStage } from "./lib/local-stage.ts";
import { createMeter, shownMicros } from "./lib/processor-time.ts";
import { hundredths, median, printTable, quantile, writeResult } from "./lib/results.ts";
import type { Stage } from "./lib/stage.ts";

const SHARDS = 2;
const ACCOUNTS_PER_SHARD = 50_000;
const WARM_UP_SECONDS = 3;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "10" },
    items: { type: "string", default: "2000" },
    requests: { type: "string", default: "4" },
    singles: { type: "string", default: "2" },
    seed: { type: "string", default: "1" },
  },
});

const IDS = {
  tagged: (serial: string, account: string): string => `{${account}}:${serial}`,
  untagged: (serial: string, account: string): string => `(${account}):${serial}`,
} as const;
type Kind = keyof typeof IDS;
const KINDS = Object.keys(IDS) as Kind[];

/** Whether the key is claimed; ids of both kinds begin with a bracket, the account and the other bracket. */
function isClaimed(stage: Stage, id: string): boolean {
  const account = id.slice(1, id.search(/[)}]/));
  return proposeOwners(SHARDS)[keyBucket(id, keyOf(id), 0)] !== stage.shardOf(account);
}

async function measure(stage: Stage): Promise<void> {
  const seconds = Number(values.seconds);
  const setup = {
    client: stage.client,
    asset: stage.asset,
    itemsPerRequest: Number(values.items),
    requests: Number(values.requests),
    random: prng(Number(values.seed)),
  };
  process.stdout.write(`ledger-keys on ${stage.name}\n`);
  const accounts: string[][] = [];
  for (let shard = 0; shard < SHARDS; shard += 1) {
    accounts.push(await openAccounts(setup, ACCOUNTS_PER_SHARD, (id) => stage.shardOf(id) === shard));
  }
  const load = (kind: Kind): LoadOptions => ({ ...setup, accounts, idOf: IDS[kind] });
  for (const kind of KINDS) await runLoad(load(kind), WARM_UP_SECONDS);

  const bulk: Record<Kind, LoadFigures[]> = { tagged: [], untagged: [] };
  const time = { tagged: createMeter(stage), untagged: createMeter(stage) };
  const latencies = { tagged: [] as number[], claimed: [] as number[], unclaimed: [] as number[] };
  for (let round = 1; round <= Number(values.rounds); round += 1) {
    // Whoever comes second finds larger tables: each kind is second in every other round.
    const order = round % 2 === 1 ? KINDS : KINDS.toReversed();
    for (const kind of order) {
      bulk[kind].push(await time[kind].around(() => runLoad(load(kind), seconds)));
    }
    for (const kind of order) {
      for (const [id, ms] of await runSingles({ ...load(kind), requests: Number(values.singles) }, seconds)) {
        if (kind === "tagged") latencies.tagged.push(ms);
        else latencies[isClaimed(stage, id) ? "claimed" : "unclaimed"].push(ms);
      }
    }
    const shown = KINDS.map((kind) => `${kind} ${Math.round(bulk[kind].at(-1)?.perSecond ?? 0)} events/s`);
    process.stdout.write(`  round ${round}: ${shown.join(", ")}\n`);
  }

  const perSecond = {
    tagged: bulk.tagged.map((figures) => figures.perSecond),
    untagged: bulk.untagged.map((figures) => figures.perSecond),
  };
  const micros = {
    tagged: microsPerEvent(time.tagged.sum(), bulk.tagged),
    untagged: microsPerEvent(time.untagged.sum(), bulk.untagged),
  };
  const ratio = median(perSecond.untagged) / median(perSecond.tagged);
  const latencyRatio = median(latencies.tagged) / median(latencies.claimed);
  const quantiles = (list: readonly number[]) => ({ p50: quantile(list, 0.5), p99: quantile(list, 0.99) });
  const path = await writeResult({
    bench: "ledger-keys",
    ratio: hundredths(ratio),
    latencyRatio: hundredths(latencyRatio),
    eventsPerSecond: {
      tagged: Math.round(median(perSecond.tagged)),
      untagged: Math.round(median(perSecond.untagged)),
    },
    cpuMicrosPerEvent: micros,
    rounds: perSecond.tagged.map((tagged, index) => ({ tagged, untagged: perSecond.untagged[index] })),
    singleLatencyMs: {
      tagged: quantiles(latencies.tagged),
      claimed: quantiles(latencies.claimed),
      unclaimed: quantiles(latencies.unclaimed),
    },
    setup: {
      stage: stage.name,
      shards: SHARDS,
      accounts: SHARDS * ACCOUNTS_PER_SHARD,
      itemsPerRequest: setup.itemsPerRequest,
      requests: setup.requests,
      singles: Number(values.singles),
    },
  });
  const shownLatency = (list: readonly number[]): string =>
    `${quantile(list, 0.5).toFixed(1)} / ${quantile(list, 0.99).toFixed(1)}`;
  printTable([
    ["bulk, tagged ids (no claims), events/s", String(Math.round(median(perSecond.tagged)))],
    ["bulk, untagged ids (half claimed), events/s", String(Math.round(median(perSecond.untagged)))],
    ["ratio", ratio.toFixed(2)],
    ["CPU of an event, tagged, µs: PostgreSQL + ledger + client", shownMicros(micros.tagged)],
    ["CPU of an event, untagged, µs: PostgreSQL + ledger + client", shownMicros(micros.untagged)],
    ["single, tagged, p50 / p99, ms", shownLatency(latencies.tagged)],
    ["single, untagged, key claimed, p50 / p99, ms", shownLatency(latencies.claimed)],
    ["single, untagged, key of its own shard, p50 / p99, ms", shownLatency(latencies.unclaimed)],
    ["ratio of the latency of a claimed key", latencyRatio.toFixed(2)],
  ]);
  process.stdout.write(`written to ${path}\n`);
}

const stage = await openLocalStage({ shards: SHARDS });
try {
  await measure(stage);
} finally {
  await stage.close();
}
