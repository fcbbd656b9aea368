import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { proposeOwners } from "../../lib/core/ring.ts";
import { sqlState, withClient } from "../../lib/node/postgres.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";
import { ADMIN_KEY_ID } from "./ledger.admin-keys.ts";
import { loadMigrations, type MigrationTarget, migrate } from "./ledger.migrate.ts";

// Goal: migrations run once, refuse what they do not know, and leave a schema that nobody can rewrite (C38, C39).

const MAP = { version: 1, epoch: 1, owners: proposeOwners(1) };
const KEY_HASH = Buffer.alloc(32, 7);

function target(database: string, overrides: Partial<MigrationTarget> = {}): MigrationTarget {
  return {
    shard: 0,
    writerRole: `${database}_writer`,
    readerRole: `${database}_reader`,
    assets: [{ code: "CZK", scale: 2 }],
    adminKeyHash: KEY_HASH,
    ...overrides,
  };
}

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
}, 90_000);
afterAll(() => postgres.stop());

let made = 0;
async function freshDatabase(): Promise<string> {
  made += 1;
  const database = `ledger_m${made}`;
  await postgres.createLedgerDatabase(database, 0, MAP);
  return database;
}

describe("migrate", () => {
  test("applies every step once and can be repeated", async () => {
    const database = await freshDatabase();
    const migrations = await loadMigrations();
    await withClient(postgres.role(database, "owner"), async (client) => {
      expect(await migrate(client, target(database), migrations)).toEqual(migrations.map(({ version }) => version));
      expect(await migrate(client, target(database), migrations)).toEqual([]);
      const { rows } = await client.query("SELECT shard, epoch, position, block FROM ledger.head");
      expect(rows).toEqual([{ shard: 0, epoch: 0, position: 0, block: 0 }]);
      const keys = await client.query("SELECT name, scopes FROM ledger.api_key");
      expect(keys.rows).toEqual([{ name: "admin", scopes: ["read", "write", "mint", "admin"] }]);
    });
  });

  test("keys from before scopes were four keep what they could do; only the operator's manages keys", async () => {
    const database = await freshDatabase();
    const migrations = await loadMigrations();
    await withClient(postgres.role(database, "owner"), async (client) => {
      // The first step alone: what follows it, the present rows, does not fit it and is rolled back.
      await expect(migrate(client, target(database), migrations.slice(0, 1))).rejects.toMatchObject({
        code: "MIGRATION_FAILED",
      });
      const add = (hash: Buffer, name: string, scopes: string[]): Promise<unknown> =>
        client.query(
          `INSERT INTO ledger.api_key VALUES ($1, ${name === "admin" ? ADMIN_KEY_ID("$1::bytea") : "gen_random_uuid()"}, $2, $3, now())`,
          [hash, name, scopes],
        );
      await add(KEY_HASH, "admin", ["read", "write"]);
      await add(Buffer.alloc(32, 1), "both", ["read", "write"]);
      await add(Buffer.alloc(32, 2), "reads", ["read"]);
      await add(Buffer.alloc(32, 3), "writes", ["write"]);
      expect(await migrate(client, target(database), migrations)).toEqual(
        migrations.slice(1).map(({ version }) => version),
      );
      const { rows } = await client.query("SELECT name, scopes FROM ledger.api_key ORDER BY name");
      expect(rows).toEqual([
        { name: "admin", scopes: ["read", "write", "mint", "admin"] },
        { name: "both", scopes: ["read", "write", "mint"] },
        { name: "reads", scopes: ["read"] },
        { name: "writes", scopes: ["write", "mint"] },
      ]);
      await expect(client.query("DELETE FROM ledger.api_key")).rejects.toMatchObject({ code: "SX001" });
    });
  });

  test("two runs at once end with one schema", async () => {
    const database = await freshDatabase();
    const migrations = await loadMigrations();
    const run = (): Promise<number[]> =>
      withClient(postgres.role(database, "owner"), (client) => migrate(client, target(database), migrations));
    const applied = await Promise.all([run(), run()]);
    expect(applied.flat().sort()).toEqual(migrations.map(({ version }) => version));
  });

  test("refuses a database that is newer than the program", async () => {
    const database = await freshDatabase();
    const migrations = await loadMigrations();
    const newer = { version: migrations.length + 1, name: "future", sql: "SELECT 1", checksum: "x" };
    await withClient(postgres.role(database, "owner"), async (client) => {
      await migrate(client, target(database), [...migrations, newer]);
      await expect(migrate(client, target(database), migrations)).rejects.toMatchObject({ code: "MIGRATION_UNKNOWN" });
    });
  });

  test("refuses a step whose text changed after it was applied", async () => {
    const database = await freshDatabase();
    const migrations = await loadMigrations();
    const changed = migrations.map((migration) => ({ ...migration, checksum: "0" }));
    await withClient(postgres.role(database, "owner"), async (client) => {
      await migrate(client, target(database), migrations);
      await expect(migrate(client, target(database), changed)).rejects.toMatchObject({ code: "MIGRATION_UNKNOWN" });
    });
  });

  test("a step that fails leaves nothing behind", async () => {
    const database = await freshDatabase();
    const migrations = await loadMigrations();
    const broken = {
      version: migrations.length + 1,
      name: "broken",
      sql: "CREATE TABLE ledger.half (); SELECT 1/0",
      checksum: "x",
    };
    await withClient(postgres.role(database, "owner"), async (client) => {
      await expect(migrate(client, target(database), [...migrations, broken])).rejects.toMatchObject({
        code: "MIGRATION_FAILED",
      });
      const { rows } = await client.query("SELECT to_regclass('ledger.half') AS half");
      expect(rows).toEqual([{ half: null }]);
      expect(await migrate(client, target(database), migrations)).toEqual([]);
    });
  });

  test("refuses the database of another shard and another scale of an asset", async () => {
    const database = await freshDatabase();
    const migrations = await loadMigrations();
    await withClient(postgres.role(database, "owner"), async (client) => {
      await migrate(client, target(database), migrations);
      await expect(migrate(client, target(database, { shard: 1 }), migrations)).rejects.toMatchObject({
        code: "MIGRATION_FAILED",
      });
      const assets = [{ code: "CZK", scale: 3 }];
      await expect(migrate(client, target(database, { assets }), migrations)).rejects.toMatchObject({
        code: "MIGRATION_FAILED",
      });
    });
  });
});

describe("immutability", () => {
  const appendOnly = ["journal", "event", "account", "account_directory", "rejection", "snapshot", "api_key", "asset"];
  let database: string;
  beforeAll(async () => {
    database = await freshDatabase();
    await withClient(postgres.role(database, "owner"), async (client) => {
      await migrate(client, target(database), await loadMigrations());
    });
  });

  async function stateOf(kind: "owner" | "writer" | "reader", sql: string): Promise<string | undefined> {
    try {
      await withClient(postgres.role(database, kind), (client) => client.query(sql));
      return "done";
    } catch (error) {
      return sqlState(error);
    }
  }

  const statements = (table: string): string[] => [
    `UPDATE ledger.${table} SET ${firstColumn(table)} = ${firstColumn(table)}`,
    `DELETE FROM ledger.${table}`,
    `TRUNCATE ledger.${table}`,
    `MERGE INTO ledger.${table} t USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE`,
  ];
  const firstColumn = (table: string): string =>
    ({ journal: "block", event: "amount", asset: "code", api_key: "name", rejection: "code", snapshot: "posted" })[
      table
    ] ?? "placement_key";

  test.each(appendOnly)("%s: the writer and the reader have no right to change a row", async (table) => {
    for (const sql of statements(table)) {
      expect([sql, await stateOf("writer", sql)]).toEqual([sql, "42501"]);
      expect([sql, await stateOf("reader", sql)]).toEqual([sql, "42501"]);
    }
  });

  test.each(appendOnly)("%s: even the owner is stopped by the trigger, matched rows or not", async (table) => {
    for (const sql of statements(table)) {
      const got = await stateOf("owner", sql);
      // TRUNCATE of a referenced table is refused by its foreign key before any trigger.
      expect([sql, got]).toEqual([sql, table === "asset" && sql.startsWith("TRUNCATE") ? "0A000" : "SX001"]);
    }
  });

  test("the writer cannot switch a trigger off", async () => {
    expect(await stateOf("writer", "ALTER TABLE ledger.event DISABLE TRIGGER ALL")).toBe("42501");
    expect(await stateOf("writer", "SET session_replication_role = replica")).toBe("42501");
  });

  test("head and balances cannot be removed", async () => {
    for (const table of ["head", "balance"]) {
      expect(await stateOf("writer", `DELETE FROM ledger.${table}`)).toBe("42501");
      expect(await stateOf("owner", `DELETE FROM ledger.${table}`)).toBe("SX001");
      expect(await stateOf("owner", `TRUNCATE ledger.${table}`)).toBe("SX001");
    }
  });
});
