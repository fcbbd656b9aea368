import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { sha256 } from "../../lib/core/canonical.ts";
import { withClient } from "../../lib/node/postgres.ts";
import { type LocalLedger, startLocalLedger } from "../testing/local-ledger.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";
import { revokeKeys } from "./ledger.admin-keys.ts";
import { loadMigrations, migrate } from "./ledger.migrate.ts";
import { type OnShard, revokeSuperseded } from "./ledger.migrate-shards.ts";

// Goal: whoever deletes the Secret of the administrator's key is left with one key, the new one, at any moment with at
// least one, and a key that was brought back goes on working.

const SHARDS = 2;
let postgres: TestPostgres;
let ledger: LocalLedger;
beforeAll(async () => {
  postgres = await startTestPostgres();
  ledger = await startLocalLedger({ postgres, name: "keys", shards: SHARDS });
}, 90_000);
afterAll(async () => {
  await ledger.stop();
  await postgres.stop();
});

const newKey = (): string => `sxk_${randomBytes(32).toString("base64url")}`;
const hashOf = (key: string): string => sha256(key).toString("hex");
const onShard: OnShard = (shard, work) =>
  withClient(postgres.role(ledger.databases[shard] ?? "", "owner"), (client) => work(client));

/** The part of a migration that makes a key known, on some shards. */
async function makeKnown(key: string, shards: readonly number[]): Promise<void> {
  const migrations = await loadMigrations();
  for (const shard of shards) {
    const database = ledger.databases[shard] ?? "";
    const roles = { writerRole: `${database}_writer`, readerRole: `${database}_reader` };
    const assets = ["CZK", "EUR"].map((code) => ({ code, scale: 2 }));
    await onShard(shard, (client) =>
      migrate(client, { shard, ...roles, assets, adminKeyHash: sha256(key) }, migrations),
    );
  }
}

const statusOf = async (key: string): Promise<number> =>
  (await ledger.clientWith(key).send("GET", "/v1/shards")).status;

interface Listed {
  readonly keys: readonly { readonly name: string; readonly revoked: boolean; readonly revokedAt?: string }[];
}

test("a new key revokes those before it once every shard knows it (trial 7)", async () => {
  const [first, second] = [ledger.adminKey, newKey()];
  // The Job died after the first shard: both work, wherever they are asked for.
  await makeKnown(second, [0]);
  expect([await statusOf(first), await statusOf(second)]).toEqual([200, 200]);
  await makeKnown(second, [0, 1]);
  expect(await revokeSuperseded(SHARDS, hashOf(second), onShard)).toBe(1);
  const { keys } = (await ledger.clientWith(second).send("GET", "/v1/api-keys")).json<Listed>();
  expect(keys.map(({ name, revoked }) => [name, revoked])).toEqual([
    ["admin", true],
    ["admin", false],
  ]);
  expect(Date.parse(keys[0]?.revokedAt ?? "")).not.toBeNaN();
  expect(keys[1]).not.toHaveProperty("revokedAt");
  expect([await statusOf(first), await statusOf(second)]).toEqual([401, 200]);
  expect(await revokeSuperseded(SHARDS, hashOf(second), onShard)).toBe(0);

  // A run for the former key that comes late takes nothing from the present one.
  await makeKnown(first, [0, 1]);
  expect(await revokeSuperseded(SHARDS, hashOf(first), onShard)).toBe(0);
  expect(await statusOf(second)).toBe(200);

  // A revocation that ended half-way is carried to its end.
  const third = newKey();
  await makeKnown(third, [0, 1]);
  await onShard(1, (client) => revokeKeys(client, [hashOf(second)]));
  expect(await revokeSuperseded(SHARDS, hashOf(third), onShard)).toBe(1);
  // Other pods see it within seconds; whoever lists the keys sees it at once.
  expect((await ledger.clientWith(third).send("GET", "/v1/api-keys")).status).toBe(200);
  expect([await statusOf(second), await statusOf(third)]).toEqual([401, 200]);

  // A restored Secret brings a key that was never followed by another one here.
  await makeKnown(third, [0, 1]);
  expect(await revokeSuperseded(SHARDS, hashOf(third), onShard)).toBe(0);
  expect(await statusOf(third)).toBe(200);
});
