/**
 * Replay and verification of a million events with the program's own `verify`, beside what PostgreSQL itself needs to add
 * up the same events (GROUP BY over the event table), in the same run, one after the other.
 *
 *   fold    the journal is read, its hash chain checked, every balance, version and limit folded
 *   verify  the same, and every row of every table compared with the result
 *   peer    sum, number and last position of each account's events, by the server; no chain, no limits, no comparison
 *
 * Rounds alternate, medians count, scaled to a million events. `ratio` is the peer's time over the fold's.
 *
 * With `--before`, the folder of a checkout of another version with its packages, the whole verify of that version runs over
 * the same data in the same rounds, and `beforeRatio` is its time over ours.
 *
 *   node bench/ledger-replay.bench.ts [--local] [--events 1000000] [--runs 3] [--before <folder>]
 */
import { parseArgs } from "node:util";
import { prng } from "../lib/core/prng.ts";
import { openAccounts, runLoad } from "./lib/ingest-load.ts";
import { openStage } from "./lib/open-stage.ts";
import { hundredths, median, printTable, writeResult } from "./lib/results.ts";
import type { Stage } from "./lib/stage.ts";

const ACCOUNTS = 20_000;
const MILLION = 1_000_000;
const LOAD_SECONDS = 5;

/** What the fold computes of the balances, as SQL. */
const PEER = `
  SELECT account, sum(delta), count(*), max(position)
    FROM (SELECT debit_account AS account, -amount AS delta, position FROM ledger.event
          UNION ALL
          SELECT credit_account, amount, position FROM ledger.event) moves
   GROUP BY account`;

const { values } = parseArgs({
  options: {
    local: { type: "boolean", default: false },
    events: { type: "string", default: String(MILLION) },
    runs: { type: "string", default: "3" },
    before: { type: "string" },
    seed: { type: "string", default: "1" },
  },
});

/** Seconds for a million events. */
interface Round {
  readonly fold: number;
  readonly verify: number;
  readonly peer: number;
  /** The whole verify of another version; NaN without one. */
  readonly before: number;
}

async function measureRound(stage: Stage): Promise<Round & { readonly events: number }> {
  const fold = await stage.verify("journal");
  const peer = await stage.timeSql(PEER);
  const whole = await stage.verify("everything");
  const before = values.before === undefined ? undefined : await stage.verify("everything", values.before);
  if (!fold.intact || !whole.intact || before?.intact === false)
    throw new Error("verification found a violated invariant");
  const { events } = whole;
  const scaled = (seconds: number): number => (seconds / events) * MILLION;
  return {
    events,
    fold: scaled(fold.seconds),
    verify: scaled(whole.seconds),
    peer: scaled(peer),
    before: scaled(before?.seconds ?? Number.NaN),
  };
}

async function measure(stage: Stage): Promise<void> {
  const load = {
    client: stage.client,
    asset: stage.asset,
    itemsPerRequest: 4_000,
    requests: 4,
    random: prng(Number(values.seed)),
  };
  process.stdout.write(`ledger-replay on ${stage.name}\n`);
  const accounts = [await openAccounts(load, ACCOUNTS)];
  for (let events = ACCOUNTS; events < Number(values.events); ) {
    events += (await runLoad({ ...load, accounts }, LOAD_SECONDS)).events;
  }
  const rounds: (Round & { readonly events: number })[] = [];
  for (let run = 1; run <= Number(values.runs); run += 1) {
    const round = await measureRound(stage);
    rounds.push(round);
    const shown = (["fold", "peer", "verify", "before"] as const).map((part) => `${part} ${round[part].toFixed(2)}`);
    process.stdout.write(`  round ${run}, ${round.events} events, seconds a million: ${shown.join(", ")}\n`);
  }
  const of = (figure: keyof Round): number => hundredths(median(rounds.map((round) => round[figure])));
  const [fold, verify, peer, before] = [of("fold"), of("verify"), of("peer"), of("before")];
  const beforeRatio = hundredths(before / verify);
  const ratio = hundredths(peer / fold);
  const path = await writeResult({
    bench: "ledger-replay",
    ratio,
    seconds: verify,
    foldSeconds: fold,
    peerSeconds: peer,
    ...(Number.isNaN(before) ? {} : { beforeSeconds: before, beforeRatio }),
    events: rounds[0]?.events,
    rounds,
    setup: { stage: stage.name, accounts: ACCOUNTS },
  });
  printTable([
    ["events", String(rounds[0]?.events)],
    ["fold of the journal with its chain, s a million", fold.toFixed(2)],
    ["GROUP BY over table event, s a million", peer.toFixed(2)],
    ["ratio of the fold", ratio.toFixed(2)],
    ["verify, every table, s a million", verify.toFixed(2)],
    ...(Number.isNaN(before)
      ? []
      : ([
          ["verify of the version before, s a million", before.toFixed(2)],
          ["ratio of verify", beforeRatio.toFixed(2)],
        ] as const)),
  ]);
  process.stdout.write(`written to ${path}\n`);
}

const stage = await openStage(values.local);
try {
  await measure(stage);
} finally {
  await stage.close();
}
