import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { Client } from "pg";
import { proposeOwners } from "../../lib/core/ring.ts";
import { withClient } from "../../lib/node/postgres.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";
import { keyOf } from "./fingerprint.ts";
import { loadMigrations, migrate } from "./ledger.migrate.ts";
import { verifyShard } from "./ledger.verify.ts";
import { isIntact, type Replay } from "./verify-fold.ts";

// Goal: a database of the version before is verified as it is, sealed by the migration as it is found, and every later row
// is sealed by the database, whoever inserts it and however.

const MAP = { version: 1, epoch: 1, owners: proposeOwners(1) };

let postgres: TestPostgres;
let made = 0;
beforeAll(async () => {
  postgres = await startTestPostgres();
}, 90_000);
afterAll(() => postgres.stop());

/** @param steps of the schema, all when absent */
async function migrated(database: string, steps?: number): Promise<void> {
  const migrations = (await loadMigrations()).slice(0, steps);
  const roles = { writerRole: `${database}_writer`, readerRole: `${database}_reader` };
  const target = { shard: 0, ...roles, assets: [{ code: "CZK", scale: 2 }], adminKeyHash: Buffer.alloc(32, 7) };
  await asOwner(database, (client) => migrate(client, target, migrations));
}

async function freshDatabase(): Promise<string> {
  made += 1;
  const database = `seals_${made}`;
  await postgres.createLedgerDatabase(database, 0, MAP);
  return database;
}

const asOwner = <T>(database: string, work: (client: Client) => Promise<T>): Promise<T> =>
  withClient(postgres.role(database, "owner"), work);

const verified = (database: string): Promise<Replay> =>
  verifyShard({ shard: 0, target: postgres.role(database, "reader"), snapshotEvery: 0 });

async function refuse(client: Client, ids: readonly string[]): Promise<void> {
  await client.query(
    `INSERT INTO ledger.rejection (key, fingerprint, id, code, detail, recorded_at)
     SELECT encode(key, 'hex')::uuid, 1, id, 'INSUFFICIENT_CREDIT', 'has 0', now() FROM unnest($1::bytea[], $2::text[]) AS r (key, id)`,
    [ids.map(keyOf), ids],
  );
}

const sealsOf = async (client: Client): Promise<string[]> =>
  (await client.query<{ relation: string }>("SELECT relation FROM ledger.seal ORDER BY number")).rows.map(
    ({ relation }) => relation,
  );

test("a database of the version before is verified without seals, and with them after its migration", async () => {
  const database = await freshDatabase();
  await migrated(database, 2);
  await asOwner(database, async (client) => {
    await client.query("UPDATE ledger.head SET epoch = 3");
    await refuse(client, ["a", "b"]);
  });
  const before = await verified(database);
  expect([isIntact(before), before.isSealed]).toEqual([true, false]);

  await migrated(database);
  const after = await verified(database);
  expect(after.findings.seals.first).toBeUndefined();
  expect([isIntact(after), after.isSealed]).toEqual([true, true]);
  await asOwner(database, async (client) => {
    const steps = (await loadMigrations()).slice(2).map(() => "schema_version");
    expect(await sealsOf(client)).toEqual([
      ...["schema_version", "schema_version", "asset", "term", "api_key", "rejection", "rejection", ...steps],
    ]);
  });
});

test("a repeated migration seals nothing, since it inserts nothing", async () => {
  const database = await freshDatabase();
  await migrated(database);
  const before = await asOwner(database, sealsOf);
  await migrated(database);
  expect(await asOwner(database, sealsOf)).toEqual(before);
});

test("many rows of one statement, two sessions at once, and a session of another encoding", async () => {
  const database = await freshDatabase();
  await migrated(database);
  const ids = (prefix: string): string[] => Array.from({ length: 500 }, (_, index) => `${prefix}${index}`);
  await Promise.all(["a", "b"].map((prefix) => asOwner(database, (client) => refuse(client, ids(prefix)))));
  await asOwner(database, async (client) => {
    await client.query("SET client_encoding = 'LATIN2'");
    // Bytes, since the driver speaks UTF-8 only.
    await client.query(
      `INSERT INTO ledger.api_key (hash, id, name, scopes, created_at)
       VALUES (sha256('k'), gen_random_uuid(), convert_from(decode('c3ba', 'hex'), 'UTF8'), ARRAY['read'], now())`,
    );
  });
  const replay = await verified(database);
  expect(replay.findings.seals.first).toBeUndefined();
  expect(isIntact(replay)).toBe(true);
});

test("a refusal under another id's key is told", async () => {
  const database = await freshDatabase();
  await migrated(database);
  await asOwner(database, (client) =>
    client.query(
      "INSERT INTO ledger.rejection VALUES (gen_random_uuid(), 1, 'mine', 'INSUFFICIENT_CREDIT', 'has 0', now())",
    ),
  );
  expect((await verified(database)).findings.refusals.first).toBe(
    'table rejection, id "mine": column key is not the key of the id',
  );
});

test("nobody but the database seals", async () => {
  const database = await freshDatabase();
  await migrated(database);
  for (const role of ["writer", "reader"] as const) {
    await withClient(postgres.role(database, role), async (client) => {
      for (const statement of [
        "INSERT INTO ledger.seal VALUES (99, 'asset', 1, 'EUR', sha256('x'))",
        "UPDATE ledger.seal_end SET seals = 0",
        "DELETE FROM ledger.term",
      ]) {
        await expect(client.query(statement)).rejects.toMatchObject({ code: "42501" });
      }
    });
  }
  await asOwner(database, async (client) => {
    await expect(client.query("DELETE FROM ledger.seal")).rejects.toMatchObject({ code: "SX001" });
    await expect(client.query("TRUNCATE ledger.seal_end")).rejects.toMatchObject({ code: "SX001" });
  });
});
