// What the agent does inside databases, on a real PostgreSQL and against tenants that do what their roles allow them to.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import type { Client } from "pg";
import type { DatabaseRequest } from "../../crds/database-request.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { proposeOwners } from "../../lib/core/ring.ts";
import type { ShardMap } from "../../lib/core/shard-map.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { openClient, type PostgresTarget, sqlState, withClient } from "../../lib/node/postgres.ts";
import { scramVerifier } from "../../lib/node/scram.ts";
import { eventually } from "../../testkit/wait.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";
import { type DatabasesOutcome, reconcileDatabases } from "./databases.ts";
import { ensureMetaOwner } from "./shard-meta.ts";

const WRITERS = 16;

let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await startTestPostgres();
  await withClient(postgres.superuser(), ensureMetaOwner);
}, 120_000);

afterAll(async () => {
  await postgres?.stop();
});

function mapOf(version: number): ShardMap {
  return { version, epoch: 1, owners: proposeOwners(2) };
}

/** Each role's password is its own name. */
function role(name: string): { name: string; verifier: string } {
  return { name, verifier: scramVerifier(name, Buffer.alloc(16, name)) };
}

function requestOf(database: string, names: Partial<Record<"owner" | "writer" | "reader", string>> = {}) {
  const named = (kind: "owner" | "writer" | "reader") => role(names[kind] ?? `${database}_${kind}`);
  return { database, owner: named("owner"), writer: named("writer"), reader: named("reader") };
}

function reconcile(requests: readonly DatabaseRequest[], map: ShardMap): Promise<DatabasesOutcome> {
  return reconcileDatabases({ target: postgres.superuser, log: silentLogger, shard: 0 }, requests, map);
}

function login(database: string, user: string): PostgresTarget {
  return { ...postgres.superuser(database), user, password: user };
}

async function storedVersion(database: string): Promise<number | undefined> {
  return withClient(postgres.superuser(database), async (client) => {
    const found = await client.query<{ version: number }>("SELECT version FROM shard_meta.map");
    return found.rows[0]?.version;
  });
}

describe("a change of the shard map", () => {
  const request = requestOf("map_db");
  const writers: Client[] = [];
  let version = 1;

  beforeAll(async () => {
    expect((await reconcile([request], mapOf(version))).mapApplied).toBe(true);
  });

  beforeEach(async () => {
    while (writers.length < WRITERS) writers.push(await openClient(login("map_db", "map_db_writer")));
  });

  afterEach(async () => {
    await Promise.all(writers.splice(0).map((client) => client.end()));
  });

  test("does not starve behind 16 writers whose transactions overlap without a gap", async () => {
    const stop = new AbortController();
    const counts = { before: 0, stale: 0 };
    const transaction = `BEGIN; SELECT shard_meta.guard(${version}); SELECT pg_sleep(0.05); COMMIT`;
    const work = writers.map(async (client) => {
      while (!stop.signal.aborted) {
        try {
          await client.query(transaction);
          counts.before += 1;
        } catch (error) {
          expect(sqlState(error)).toBe("SH001");
          await client.query("ROLLBACK");
          counts.stale += 1;
          if (counts.stale > WRITERS) return;
        }
      }
    });
    try {
      await eventually("all writers write", () => counts.before > 2 * WRITERS);
      const began = systemClock.monotonic();
      const outcome = await reconcile([request], mapOf((version += 1)));
      const tookMs = systemClock.monotonic() - began;
      expect(outcome.states).toMatchObject([{ ready: true }]);
      expect(tookMs).toBeLessThan(1_000);
      expect(await storedVersion("map_db")).toBe(version);
    } finally {
      stop.abort();
      await Promise.all(work);
    }
  }, 120_000);

  test("gives way to a transaction that does not end, says whose it is, and is carried out after it", async () => {
    const [sleeper, other] = writers as [Client, Client];
    await sleeper.query("BEGIN");
    await sleeper.query("SELECT shard_meta.guard($1)", [version]);
    const next = mapOf(version + 1);
    const changing = reconcile([request], next);
    // Writers that come meanwhile wait behind the change for a second at most.
    const began = systemClock.monotonic();
    while (systemClock.monotonic() - began < 2_000) await other.query("SELECT shard_meta.guard($1)", [version]);
    const outcome = await changing;
    expect(outcome.mapApplied).toBe(false);
    expect(outcome.states[0]).toMatchObject({
      ready: false,
      message: expect.stringMatching(
        /^shard map version \d+ waits for a transaction of role map_db_writer \(process \d+, idle in transaction\) that began at \S+Z and holds the map; it is tried again$/,
      ),
    });
    await sleeper.query("COMMIT");
    expect((await reconcile([request], next)).mapApplied).toBe(true);
    version += 1;
    await expect(other.query("SELECT shard_meta.guard($1)", [version - 1])).rejects.toMatchObject({ code: "SH001" });
  });

  test("cannot be held up by the roles of a database without the guard", async () => {
    for (const user of ["map_db_owner", "map_db_reader", "map_db_writer"]) {
      const tenant = await openClient(login("map_db", user));
      for (const mode of ["ROW SHARE", "SHARE", "ACCESS EXCLUSIVE"]) {
        await expect(tenant.query(`BEGIN; LOCK TABLE shard_meta.map IN ${mode} MODE`)).rejects.toMatchObject({
          code: "42501",
        });
        await tenant.query("ROLLBACK");
      }
      await tenant.query("BEGIN; SELECT * FROM shard_meta.map");
      expect((await reconcile([request], mapOf((version += 1)))).mapApplied).toBe(true);
      await tenant.end();
    }
  });
});

describe("a tenant's settings", () => {
  const request = requestOf("set_db");
  let version = 1;

  beforeAll(async () => {
    expect((await reconcile([request], mapOf(version))).states).toMatchObject([{ ready: true }]);
  });

  /** Statements of the database's owner, sent from another database: its own may be closed. */
  async function asOwner(...statements: string[]): Promise<void> {
    await withClient(postgres.superuser(), async (client) => {
      await client.query("SET ROLE set_db_owner");
      for (const statement of statements) await client.query(statement);
    });
  }

  test.each([
    "SET default_transaction_read_only = on",
    "SET default_transaction_isolation = 'serializable'",
    "SET default_transaction_deferrable = on",
    "SET statement_timeout = 1",
    "SET lock_timeout = 1",
    "SET transaction_timeout = 1",
    "SET idle_in_transaction_session_timeout = 1",
    "SET idle_session_timeout = 1",
    "SET search_path = public, pg_catalog",
    "SET role = 'set_db_reader'",
    "SET local_preload_libraries = 'no_such_library'",
    "SET synchronous_commit = off",
    "SET standard_conforming_strings = off",
    "SET client_encoding = 'LATIN1'",
    "SET bytea_output = 'escape'",
    "SET quote_all_identifiers = on",
    "SET row_security = off",
    "SET default_tablespace = 'pg_global'",
    "CONNECTION LIMIT 0",
    "ALLOW_CONNECTIONS false",
  ])("ALTER DATABASE ... %s does not keep the map from its database", async (setting) => {
    await asOwner(`ALTER DATABASE set_db ${setting}`);
    try {
      const { states, mapApplied } = await reconcile([request], mapOf((version += 1)));
      expect(states).toEqual([{ database: "set_db", ready: true, requestHash: expect.any(String) }]);
      expect(mapApplied).toBe(true);
    } finally {
      await asOwner("ALTER DATABASE set_db RESET ALL", "ALTER DATABASE set_db ALLOW_CONNECTIONS true");
    }
    expect(await storedVersion("set_db")).toBe(version);
  });

  test("do not close the database to its writer and reader, nor open it to others", async () => {
    await asOwner(
      "REVOKE CONNECT ON DATABASE set_db FROM set_db_writer, set_db_reader",
      "GRANT ALL ON DATABASE set_db TO PUBLIC",
      "ALTER DATABASE set_db CONNECTION LIMIT 0",
      "COMMENT ON DATABASE set_db IS 'mine'",
    );
    expect((await reconcile([request], mapOf(version))).states).toMatchObject([{ ready: true }]);
    for (const user of ["set_db_writer", "set_db_reader"]) {
      await withClient(login("set_db", user), (client) => client.query("SELECT 1"));
    }
    await withClient(postgres.superuser(), (client) => client.query("CREATE ROLE stranger LOGIN PASSWORD 'stranger'"));
    await expect(openClient(login("set_db", "stranger"))).rejects.toMatchObject({
      message: expect.stringContaining("permission denied"),
    });
  });

  test("and a schema public that is gone do not keep a newer agent's statements from their database", async () => {
    await withClient(login("set_db", "set_db_owner"), (client) => client.query("DROP SCHEMA IF EXISTS public CASCADE"));
    await withClient(postgres.superuser("set_db"), (client) =>
      client.query("COMMENT ON SCHEMA shard_meta IS 'of an older agent'"),
    );
    expect((await reconcile([request], mapOf(version))).states).toMatchObject([{ ready: true }]);
  });

  test("and objects of the same names in other schemas are not picked up", async () => {
    await withClient(login("set_db", "set_db_owner"), (client) =>
      client.query(`
        CREATE SCHEMA trap;
        CREATE FUNCTION trap.boom(oid, name) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trapped''; END';
        CREATE FUNCTION trap.obj_description(oid, text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trapped''; END';
        CREATE VIEW trap.pg_namespace AS SELECT 1 AS oid;
        ALTER DATABASE set_db SET search_path = trap, pg_catalog;
      `),
    );
    expect((await reconcile([request], mapOf((version += 1)))).states).toMatchObject([{ ready: true }]);
    await asOwner("ALTER DATABASE set_db RESET ALL");
  });
});

describe("a renamed role", () => {
  const before = requestOf("ren_db", { writer: "ren_db_old" });
  const after = requestOf("ren_db", { writer: "ren_db_new" });

  test("is ready only when it can log in, and its predecessor cannot any more", async () => {
    expect((await reconcile([before], mapOf(1))).states).toMatchObject([{ ready: true }]);
    const open = await openClient(login("ren_db", "ren_db_old"));
    expect((await reconcile([after], mapOf(1))).states).toMatchObject([{ ready: true }]);
    await withClient(login("ren_db", "ren_db_new"), (client) => client.query("SELECT shard_meta.guard(1)"));
    await expect(openClient(login("ren_db", "ren_db_old"))).rejects.toMatchObject({ code: "SHARD_UNAVAILABLE" });
    await expect(open.query("SELECT shard_meta.guard(1)")).rejects.toThrow();
    await withClient(postgres.superuser(), async (client) => {
      const found = await client.query(
        "SELECT rolcanlogin, rolpassword, has_database_privilege(oid, 'ren_db', 'CONNECT') AS connects FROM pg_authid WHERE rolname = 'ren_db_old'",
      );
      expect(found.rows).toEqual([{ rolcanlogin: false, rolpassword: null, connects: false }]);
    });

    // And back again.
    expect((await reconcile([before], mapOf(1))).states).toMatchObject([{ ready: true }]);
    await withClient(login("ren_db", "ren_db_old"), (client) => client.query("SELECT shard_meta.guard(1)"));
    await expect(openClient(login("ren_db", "ren_db_new"))).rejects.toMatchObject({ code: "SHARD_UNAVAILABLE" });

    // A drop takes the roles of all former names with it.
    expect((await reconcile([{ ...before, drop: true }], mapOf(1))).states).toMatchObject([{ ready: true }]);
    await withClient(postgres.superuser(), async (client) => {
      const found = await client.query("SELECT rolname FROM pg_roles WHERE rolname LIKE 'ren_db%'");
      expect(found.rows).toEqual([]);
    });
  });

  test("that owns the database is refused with the way out", async () => {
    expect((await reconcile([requestOf("own_db")], mapOf(1))).states).toMatchObject([{ ready: true }]);
    const renamed = requestOf("own_db", { owner: "own_db_chief" });
    expect((await reconcile([renamed], mapOf(1))).states).toMatchObject([
      {
        ready: false,
        message:
          "database own_db belongs to role own_db_owner, not own_db_chief; name own_db_owner as its owner, since everything in the database belongs to it",
      },
    ]);
    // Nothing was changed.
    await withClient(login("own_db", "own_db_owner"), (client) => client.query("SELECT 1"));
  });
});
