/**
 * First write after a takeover, by the length of the history: a writer begins on a shard with 1, 10 and 50 million stored
 * keys, and is sent one transfer under a new key and one under a stored key. Events are made by SQL. The server's memory
 * is emptied before each round by a restart of it; the system's file cache is not.
 *
 *   node bench/ledger-takeover.bench.ts [--keys 1000000,10000000,50000000] [--rounds 3]
 */
import { parseArgs } from "node:util";
import type { Client } from "pg";
import { identitiesOf } from "../dataplane/ledger/fingerprint.ts";
import { loadMigrations, migrate } from "../dataplane/ledger/ledger.migrate.ts";
import { openStore } from "../dataplane/ledger/ledger.store.ts";
import { RESULT } from "../dataplane/ledger/ledger.work.ts";
import { createWriter } from "../dataplane/ledger/ledger.writer.ts";
import { createLocalLease } from "../dataplane/ledger/local-lease.ts";
import { startTestPostgres, type TestPostgres } from "../dataplane/testing/postgres.ts";
import { sha256 } from "../lib/core/canonical.ts";
import { systemClock } from "../lib/core/clock.ts";
import { proposeOwners } from "../lib/core/ring.ts";
import { silentLogger } from "../lib/node/logger.ts";
import { openClient, withClient } from "../lib/node/postgres.ts";
import { median, printTable, writeResult } from "./lib/results.ts";

const DATABASE = "takeover";

const { values } = parseArgs({
  options: {
    keys: { type: "string", default: "1000000,10000000,50000000" },
    rounds: { type: "string", default: "3" },
  },
});

/** Milliseconds since the writer began, and what it then holds. */
interface Round {
  readonly firstWriteMs: number;
  /** A retry of a stored key, sent right after: it must not wait for the filter either. */
  readonly replayMs: number;
  /** Until new keys need no look-up. */
  readonly filterMs: number;
  readonly rssMib: number;
}

async function prepare(postgres: TestPostgres): Promise<void> {
  await postgres.createLedgerDatabase(DATABASE, 0, { version: 1, epoch: 1, owners: proposeOwners(1) });
  const migrations = await loadMigrations();
  const settings = {
    shard: 0,
    writerRole: `${DATABASE}_writer`,
    readerRole: `${DATABASE}_reader`,
    assets: [{ code: "CZK", scale: 2 }],
    adminKeyHash: sha256("bench"),
  };
  await withClient(postgres.role(DATABASE, "owner"), (client) => migrate(client, settings, migrations));
  // Its external account, and one of a customer, as only a writer makes them.
  await takeOver(postgres, [deposit("first")]);
}

const deposit = (id: string) => ({ id, debitAccount: "system:external:CZK", creditAccount: "a", amount: 1 });

/** Fills the table of events up to a number of them. The journal keeps its end: a takeover reads no more of it. */
async function fill(postgres: TestPostgres, keys: number): Promise<void> {
  const target = { ...postgres.superuser(DATABASE), timeouts: { statementMs: 0, answerMs: 0 } };
  const client = await openClient(target);
  try {
    const run = (text: string): Promise<unknown> => client.query(text);
    await run("ALTER TABLE ledger.event DROP CONSTRAINT event_key");
    await run("ALTER TABLE ledger.event DROP CONSTRAINT event_pkey");
    const from = Number(await scalar(client, "SELECT max(position)::text FROM ledger.event")) + 1;
    await run(`
      INSERT INTO ledger.event
      SELECT p, md5(p::text)::uuid, 0, 1, 2, 1, 0, 1, p, p, p - 1, p - 1, now(), now(), 0, 'h' || p, NULL
        FROM generate_series(${from}, ${keys}) AS p`);
    await run("SET maintenance_work_mem = '1GB'");
    await run("ALTER TABLE ledger.event ADD CONSTRAINT event_pkey PRIMARY KEY (position)");
    await run("ALTER TABLE ledger.event ADD CONSTRAINT event_key UNIQUE (key)");
    await run(`UPDATE ledger.head SET position = ${keys}`);
    await run("VACUUM ANALYZE ledger.event");
    await run("CHECKPOINT");
  } finally {
    await client.end();
  }
}

async function scalar(client: Client, text: string): Promise<string> {
  const { rows } = await client.query<Record<string, string>>(text);
  return Object.values(rows[0] ?? {})[0] ?? "";
}

async function takeOver(postgres: TestPostgres, requests: readonly ReturnType<typeof deposit>[]): Promise<Round> {
  const startedAt = systemClock.monotonic();
  const since = (): number => systemClock.monotonic() - startedAt;
  let filterMs = Number.NaN;
  const filled = Promise.withResolvers<undefined>();
  const writer = createWriter({
    shard: 0,
    lease: createLocalLease(systemClock.now()),
    openStore: async (instance) => {
      const store = await openStore({ shard: 0, target: postgres.role(DATABASE, "writer"), instance });
      const readKeys = async (onKey: (key: Buffer) => void): Promise<boolean> => {
        try {
          return await store.readKeys(onKey);
        } finally {
          filterMs = since();
          filled.resolve(undefined);
        }
      };
      return { ...store, readKeys };
    },
    snapshotEvery: 100,
    clock: systemClock,
    log: silentLogger,
  });
  void writer.run();
  const times: number[] = [];
  for (const request of requests) {
    const results = await writer.transfer({
      requests: [request],
      identities: identitiesOf([request]),
      createAccounts: true,
      mapVersion: 1,
    });
    const code = results.problems.get(0)?.code;
    // Stored keys are not of our fingerprints: the refusal proves that they were found.
    if (results.status[0] !== RESULT.posted && code !== "IDEMPOTENCY_KEY_REUSED") throw new Error(`refused: ${code}`);
    times.push(since());
  }
  await filled.promise;
  const rssMib = process.memoryUsage().rss / 2 ** 20;
  await writer.stop("drain");
  const [firstWriteMs = Number.NaN, after = Number.NaN] = times;
  return { firstWriteMs, replayMs: after - firstWriteMs, filterMs, rssMib };
}

const postgres = await startTestPostgres({ fsync: true, settings: { shared_buffers: "256MB", max_wal_size: "8GB" } });
try {
  await prepare(postgres);
  const sizes = values.keys.split(",").map(Number);
  const rows: { keys: number; rounds: Round[] }[] = [];
  for (const keys of sizes) {
    process.stdout.write(`ledger-takeover: ${keys} keys…\n`);
    await fill(postgres, keys);
    const rounds: Round[] = [];
    for (let round = 0; round < Number(values.rounds); round += 1) {
      await postgres.kill();
      await postgres.start();
      rounds.push(await takeOver(postgres, [deposit(`new-${keys}-${round}`), deposit("first")]));
      process.stdout.write(`  round ${round + 1}: ${JSON.stringify(rounds.at(-1))}\n`);
    }
    rows.push({ keys, rounds });
  }
  const middle = (rounds: readonly Round[], member: keyof Round): number => median(rounds.map((each) => each[member]));
  const seconds = Math.max(...rows.map(({ rounds }) => middle(rounds, "firstWriteMs"))) / 1_000;
  const path = await writeResult({ bench: "ledger-takeover", seconds: Math.round(seconds * 1_000) / 1_000, rows });
  printTable(
    rows.flatMap(({ keys, rounds }) => [
      [`${keys} keys: first write, ms`, middle(rounds, "firstWriteMs").toFixed(0)],
      [`${keys} keys: retry of a stored key, ms`, middle(rounds, "replayMs").toFixed(1)],
      [`${keys} keys: filter filled after, s`, (middle(rounds, "filterMs") / 1_000).toFixed(1)],
      [`${keys} keys: memory of the process, MiB`, middle(rounds, "rssMib").toFixed(0)],
    ]),
  );
  process.stdout.write(`written to ${path}\n`);
} finally {
  await postgres.stop();
}
