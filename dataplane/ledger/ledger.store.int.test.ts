import { connect, createServer, type Server, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { systemClock } from "../../lib/core/clock.ts";
import { toOperatorError } from "../../lib/core/errors.ts";
import { proposeOwners } from "../../lib/core/ring.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { openClient, type PostgresTarget, withClient } from "../../lib/node/postgres.ts";
import { eventually } from "../../testkit/wait.ts";
import { startTestPostgres, type TestPostgres, writeMap } from "../testing/postgres.ts";
import { identitiesOf, type TransferRequest } from "./fingerprint.ts";
import { loadMigrations, migrate } from "./ledger.migrate.ts";
import { openStore } from "./ledger.store.ts";
import { verifyShard } from "./ledger.verify.ts";
import { RESULT, type TransferResults } from "./ledger.work.ts";
import { createWriter, type LedgerWriter } from "./ledger.writer.ts";
import { createLocalLease } from "./local-lease.ts";
import type { WriterLease } from "./writer-takeover.ts";

// Goal: against the real database the fence, the guard, a lost COMMIT and a stopped rival do what the writer relies on
// (C26, C27, C28, C29).

let postgres: TestPostgres;
let made = 0;
const writers: LedgerWriter[] = [];
beforeAll(async () => {
  postgres = await startTestPostgres();
}, 120_000);
afterEach(async () => {
  await Promise.all(writers.splice(0).map((writer) => writer.stop("lost")));
});
afterAll(() => postgres?.stop());

const MAP = { version: 1, epoch: 1, owners: proposeOwners(1) };

async function freshDatabase(): Promise<string> {
  made += 1;
  const database = `store${made}`;
  await postgres.createLedgerDatabase(database, 0, MAP);
  const migrations = await loadMigrations();
  await withClient(postgres.role(database, "owner"), (client) =>
    migrate(
      client,
      {
        shard: 0,
        writerRole: `${database}_writer`,
        readerRole: `${database}_reader`,
        assets: [{ code: "CZK", scale: 2 }],
        adminKeyHash: Buffer.alloc(32),
      },
      migrations,
    ),
  );
  return database;
}

function start(target: PostgresTarget, lease: WriterLease = createLocalLease()): LedgerWriter {
  const writer = createWriter({
    shard: 0,
    lease,
    openStore: (instance) => openStore({ shard: 0, target, instance }),
    snapshotEvery: 100,
    clock: systemClock,
    log: silentLogger,
  });
  void writer.run();
  writers.push(writer);
  return writer;
}

const deposit = (id: string, amount = 1): TransferRequest => ({
  id,
  debitAccount: "system:external:CZK",
  creditAccount: "a",
  amount,
});

function send(writer: LedgerWriter, requests: TransferRequest[], mapVersion = 1): Promise<TransferResults> {
  return writer.transfer({ requests, identities: identitiesOf(requests), createAccounts: true, mapVersion });
}

async function storedIds(database: string): Promise<string[]> {
  return withClient(postgres.role(database, "reader"), async (client) => {
    const { rows } = await client.query<{ id: string }>("SELECT id FROM ledger.event ORDER BY position");
    return rows.map(({ id }) => id);
  });
}

async function expectIntact(database: string): Promise<void> {
  const replay = await verifyShard({ shard: 0, target: postgres.role(database, "reader"), snapshotEvery: 100 });
  expect(Object.values(replay.findings).filter((finding) => finding.violations > 0)).toEqual([]);
}

describe("a look at the database", () => {
  const TABLES = ["journal", "event", "account", "account_directory", "balance", "rejection", "snapshot", "asset"];
  const spoil = (database: string, sql: string): Promise<unknown> =>
    withClient(postgres.superuser(database), (client) => client.query(sql));
  const disarmed = (table: string, sql: string): string => `ALTER TABLE ledger.${table} DISABLE TRIGGER ALL; ${sql}`;

  test.each<[string, (database: string) => string, string]>([
    ...[...TABLES, "head", "api_key", "seal", "seal_end", "term", "acting_key"].map(
      (table): [string, () => string, string] => [
        `without table ${table}`,
        () => `DROP TABLE ledger.${table} CASCADE`,
        `INTERNAL: shard 0: relation "ledger.${table}" does not exist (SQLSTATE 42P01)`,
      ],
    ),
    [
      "with an emptied table of events",
      () => disarmed("event", "TRUNCATE ledger.event"),
      "LEDGER_CORRUPT: shard 0: the log ends at position 1, which table ledger.event does not have",
    ],
    [
      "with an emptied journal",
      () => disarmed("journal", "TRUNCATE ledger.journal"),
      "LEDGER_CORRUPT: shard 0: the log ends with block 2, which table ledger.journal does not have",
    ],
    [
      "with an emptied head",
      () => disarmed("head", "TRUNCATE ledger.head"),
      "LEDGER_CORRUPT: shard 0: table ledger.head has no row",
    ],
    [
      "without the end of its seals",
      () => disarmed("seal_end", "TRUNCATE ledger.seal_end"),
      "LEDGER_CORRUPT: shard 0: table ledger.seal_end has no row",
    ],
    [
      "whose writer may not write any more",
      (database) =>
        `REVOKE INSERT ON ledger.event FROM ${database}_writer; REVOKE UPDATE ON ledger.head FROM ${database}_writer`,
      "LEDGER_CORRUPT: shard 0: the writer's role lacks INSERT on ledger.event, UPDATE on ledger.head",
    ],
    [
      "whose writer may not use the schema any more",
      (database) => `REVOKE USAGE ON SCHEMA ledger FROM ${database}_writer`,
      "INTERNAL: shard 0: permission denied for schema ledger (SQLSTATE 42501)",
    ],
  ])("%s says so, and one that is whole says nothing", async (_what, sql, message) => {
    const database = await freshDatabase();
    const target = postgres.role(database, "writer");
    const writer = start(target);
    expect((await send(writer, [deposit("one")])).status[0]).toBe(RESULT.posted);
    const store = await openStore({ shard: 0, target, instance: "look" });
    try {
      await expect(store.inspect()).resolves.toBeUndefined();
      await spoil(database, sql(database));
      const found = await store.inspect().then(
        () => "nothing",
        (error: unknown) => toOperatorError(error),
      );
      expect(typeof found === "string" ? found : `${found.code}: ${found.message}`).toBe(message);
    } finally {
      await store.close();
    }
    // The writer itself finds it as soon as it begins again.
    const next = start(target);
    await eventually("it is told", () => next.status().problem !== undefined);
    expect(next.status().phase).not.toBe("writing");
  });
});

describe("two writers", () => {
  test("both go on claiming: every key once, positions gapless, each answer true", async () => {
    const database = await freshDatabase();
    const target = postgres.role(database, "writer");
    // Two processes that both believe to hold the right, as after a failed Lease: each fences the other in turn.
    const [one, two] = [start(target), start(target)];
    const answers = await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        const id = `k${index % 40}`;
        return { id, results: await send(index % 2 === 0 ? one : two, [deposit(id)]) };
      }),
    );
    const stored = await storedIds(database);
    expect(new Set(stored).size).toBe(stored.length);
    for (const { id, results } of answers) {
      if (results.status[0] === RESULT.posted) expect(stored[(results.position[0] as number) - 1]).toBe(id);
    }
    await expectIntact(database);
  });

  test("a rival that stopped in the middle of a transaction does not block its successor", async () => {
    const database = await freshDatabase();
    const target = postgres.role(database, "writer");
    const first = start(target);
    await send(first, [deposit("one")]);
    await first.stop("lost");
    const stopped = await openClient({ ...target, applicationName: "shieldx-writer-0-stopped" });
    await stopped.query("BEGIN");
    await stopped.query("SELECT * FROM ledger.head FOR UPDATE");
    const startedAt = systemClock.monotonic();
    const results = await send(start(target), [deposit("two")]);
    expect(results.status[0]).toBe(RESULT.posted);
    expect(systemClock.monotonic() - startedAt).toBeLessThan(3_000);
    await expect(stopped.query("SELECT 1")).rejects.toThrow();
    await expectIntact(database);
  });

  test("an older epoch cannot commit, whatever it sends", async () => {
    const database = await freshDatabase();
    const target = postgres.role(database, "writer");
    await send(start(target, createLocalLease(5)), [deposit("one")]);
    const store = await openStore({ shard: 0, target, instance: "late" });
    expect(await store.claim(5)).toBe(5);
    expect(await store.claim(3)).toBe(5);
    await store.close();
    expect(await storedIds(database)).toEqual(["one"]);
  });
});

describe("a lost COMMIT", () => {
  test("is resolved by the journal: answered as posted, not as replayed, and not twice", async () => {
    const database = await freshDatabase();
    const target = postgres.role(database, "writer");
    const cut = await startCuttingProxy(postgres.port);
    const writer = start({
      ...target,
      address: { ...(target.address as object), port: cut.port } as PostgresTarget["address"],
    });
    await send(writer, [deposit("warm")]);
    // The server answers the copied rows, the block, and COMMIT: each is lost in turn, COMMIT most often.
    for (const [round, number] of [1, 2, 3, 3, 3, 3].entries()) {
      const answer = send(writer, [deposit(`r${round}`)]);
      await cut.cutAtAnswer(number);
      const results = await answer;
      expect([round, results.status[0], results.replayed[0]]).toEqual([round, RESULT.posted, 0]);
    }
    expect(await storedIds(database)).toEqual(["warm", "r0", "r1", "r2", "r3", "r4", "r5"]);
    await expectIntact(database);
    await writer.stop("lost");
    await cut.close();
  });
});

describe("the shard map", () => {
  test("a newer one in the database stops commits until the sender comes with it", async () => {
    const database = await freshDatabase();
    const writer = start(postgres.role(database, "writer"));
    await send(writer, [deposit("one")]);
    await withClient(postgres.superuser(database), (client) =>
      writeMap(client, { shard: 0, map: { ...MAP, version: 2 } }),
    );
    const stale = await send(writer, [deposit("two")]);
    expect(stale.problems.get(0)?.code).toBe("SHARD_MAP_STALE");
    const fresh = await send(writer, [deposit("two")], 2);
    expect(fresh.status[0]).toBe(RESULT.posted);
    expect(await storedIds(database)).toEqual(["one", "two"]);
  });
});

describe("order", () => {
  test("batches in flight keep the order in which they came (C29)", async () => {
    const database = await freshDatabase();
    const writer = start(postgres.role(database, "writer"));
    const ids = Array.from({ length: 12 }, (_, group) =>
      Array.from({ length: 900 }, (_unused, index) => `g${group}-${index}`),
    );
    await Promise.all(
      ids.map((group) =>
        send(
          writer,
          group.map((id) => deposit(id)),
        ),
      ),
    );
    expect(await storedIds(database)).toEqual(ids.flat());
    await expectIntact(database);
  });
});

/** Passes everything on, until it is told to swallow the n-th piece that the server sends from now on and to cut all connections. */
async function startCuttingProxy(
  target: number,
): Promise<{ port: number; cutAtAnswer(number: number): Promise<void>; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  let pass = (): boolean => true;
  const server: Server = createServer((near) => {
    const far = connect(target, "127.0.0.1");
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      socket.on("error", () => undefined);
    }
    near.on("data", (data) => far.write(data));
    far.on("data", (data) => {
      if (pass()) near.write(data);
    });
    near.once("close", () => far.destroy());
    far.once("close", () => near.destroy());
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    port: (server.address() as { port: number }).port,
    cutAtAnswer: (number) =>
      new Promise((done) => {
        let left = number;
        pass = () => {
          left -= 1;
          if (left > 0) return true;
          pass = () => true;
          for (const socket of sockets) socket.destroy();
          done();
          return false;
        };
      }),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}
