import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { sha256 } from "../../lib/core/canonical.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { proposeOwners } from "../../lib/core/ring.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { closePool, openPool, type PostgresTarget, withClient } from "../../lib/node/postgres.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";
import { type SilentWire, startSilentWire } from "../testing/silent-wire.ts";
import { identitiesOf } from "./fingerprint.ts";
import { loadMigrations, migrate } from "./ledger.migrate.ts";
import { openStore } from "./ledger.store.ts";
import { verifyShard } from "./ledger.verify.ts";
import { RESULT, type TransferResults } from "./ledger.work.ts";
import { createWriter, type LedgerWriter } from "./ledger.writer.ts";
import { createLocalLease } from "./local-lease.ts";

// Goal: a connection that dies without a word (a node that goes, a firewall that forgets) costs the time limit of one
// answer, never the minutes after which the kernel gives it up.

const DATABASE = "silence";
const ANSWER_MS = 2_000;
/** The limit of an answer, a goodbye that nobody takes, and a new session. */
const BOUND_MS = 10_000;

let postgres: TestPostgres;
let wire: SilentWire;
let writer: LedgerWriter;
let sent = 0;

beforeAll(async () => {
  postgres = await startTestPostgres();
  await postgres.createLedgerDatabase(DATABASE, 0, { version: 1, epoch: 1, owners: proposeOwners(1) });
  const migrations = await loadMigrations();
  await withClient(postgres.role(DATABASE, "owner"), (client) =>
    migrate(
      client,
      {
        shard: 0,
        writerRole: `${DATABASE}_writer`,
        readerRole: `${DATABASE}_reader`,
        assets: [{ code: "CZK", scale: 2 }],
        adminKeyHash: sha256("x"),
      },
      migrations,
    ),
  );
}, 120_000);
afterAll(() => postgres.stop());

beforeEach(async () => {
  wire = await startSilentWire(postgres.port);
  writer = createWriter({
    shard: 0,
    lease: createLocalLease(),
    openStore: (instance) => openStore({ shard: 0, target: overWire("writer"), instance }),
    snapshotEvery: 100,
    clock: systemClock,
    log: silentLogger,
  });
  void writer.run();
  expect(await outcome(send())).toBe(RESULT.posted);
});
afterEach(async () => {
  await writer.stop("lost");
  await wire.close();
});

function overWire(role: "writer" | "reader"): PostgresTarget {
  const target = postgres.role(DATABASE, role);
  const address = { host: "127.0.0.1", port: wire.port, caPem: postgres.caPem };
  return { ...target, address, timeouts: { answerMs: ANSWER_MS } };
}

function send(): Promise<TransferResults> {
  sent += 1;
  const requests = [{ id: `k${sent}`, debitAccount: "system:external:CZK", creditAccount: "a", amount: 1 }];
  return writer.transfer({ requests, identities: identitiesOf(requests), createAccounts: true, mapVersion: 1 });
}

const outcome = async (answer: Promise<TransferResults>): Promise<number | undefined> => (await answer).status[0];

/** Milliseconds that it took. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = systemClock.monotonic();
  await work();
  return systemClock.monotonic() - startedAt;
}

test("a writer writes again within the limit of one answer, and keeps every key's one effect", async () => {
  for (let round = 0; round < 2; round += 1) {
    wire.silence();
    expect(await timed(async () => expect(await outcome(send())).toBe(RESULT.posted))).toBeLessThan(BOUND_MS);
  }
  const { rows } = await withClient(postgres.role(DATABASE, "reader"), (client) =>
    client.query<{ count: string }>("SELECT count(*)::text AS count FROM ledger.event WHERE id = $1", [`k${sent}`]),
  );
  expect(rows[0]?.count).toBe("1");
});

test("a writer whose connections are silent ends in time when it is told to", async () => {
  wire.silence();
  expect(await timed(() => writer.stop("drain"))).toBeLessThan(BOUND_MS);
});

test("a pool of silent connections ends in time", async () => {
  const pool = openPool(overWire("reader"), { max: 2, onIdleError: () => undefined });
  const clients = await Promise.all([pool.connect(), pool.connect()]);
  for (const client of clients) client.release();
  wire.silence();
  expect(await timed(() => closePool(pool))).toBeLessThan(BOUND_MS);
});

test("a check whose connection is silent by its end ends in time, with what it found", async () => {
  const replay = verifyShard({
    shard: 0,
    target: overWire("reader"),
    // The journal has been read by then, the other rows are still to come.
    rowsTarget: postgres.role(DATABASE, "reader"),
    snapshotEvery: 100,
    onProgress: ({ done, total }) => {
      if (done === total) wire.silence();
    },
  });
  let position: number | undefined;
  const ms = await timed(async () => {
    position = (await replay).state.position;
  });
  expect(position).toBeGreaterThan(0);
  expect(ms).toBeLessThan(BOUND_MS);
});
