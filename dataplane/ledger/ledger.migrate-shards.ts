/** `shieldx ledger migrate`: every shard, as the owner role. */
import { writeFile } from "node:fs/promises";
import type { Client } from "pg";
import { backoffMs } from "../../lib/core/backoff.ts";
import { sha256 } from "../../lib/core/canonical.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { isOperatorError, OperatorError } from "../../lib/core/errors.ts";
import { createLogger, type Logger } from "../../lib/node/logger.ts";
import { withClient } from "../../lib/node/postgres.ts";
import { claimFormerKeys } from "./former-keys.ts";
import { type AdminKey, readAdminKeys, revokeKeys, supersededKeys } from "./ledger.admin-keys.ts";
import type { MigrateFlags } from "./ledger.config.ts";
import { loadMigrations, type MigrationTarget, migrate } from "./ledger.migrate.ts";
import { shardMapOf } from "./ledger.reads.ts";
import { createTargets, readText, roleName } from "./ledger.targets.ts";

const TERMINATION_LOG = "/dev/termination-log";
const RAW_KEY = /^sxk_[A-Za-z0-9_-]{43}$/;
const RETRY = { baseMs: 250, capMs: 5_000 };
/** The step before which keys of all shards are claimed, see migrations/0005_former_keys.sql. */
const FORMER_KEYS = 5;
/** Data definition may wait for readers, and an index over existing rows takes its time. */
const OWNER_TIMEOUTS = { statementMs: 0, answerMs: 0, lockMs: 60_000 };

/** Migrates one shard after another; what was done stays done when a later one fails. */
export async function migrateShards(flags: MigrateFlags): Promise<number> {
  const log = createLogger(flags.logLevel, { process: "ledger-migrate", ledger: flags.ledger });
  const migrations = await loadMigrations();
  const target = await createTargets(flags, "owner", "shieldx-ledger-migrate");
  const rawKey = (await readText(flags.adminKeyFile)).trim();
  if (!RAW_KEY.test(rawKey)) {
    throw new OperatorError(
      "CONFIG_INVALID",
      `${flags.adminKeyFile} does not hold an API key (sxk_ and 43 characters)`,
    );
  }
  const endsAt = systemClock.monotonic() + flags.waitSeconds * 1000;
  const onShard: OnShard = (shard, work) =>
    untilReachable(endsAt, () => withClient({ ...target(shard), timeouts: OWNER_TIMEOUTS }, work));
  const adminKeyHash = sha256(rawKey);

  const targetOf = (shard: number): MigrationTarget => ({
    shard,
    writerRole: roleName(flags.database, "writer"),
    readerRole: roleName(flags.database, "reader"),
    assets: flags.assets,
    adminKeyHash,
  });
  for (let shard = 0; shard < flags.shards; shard += 1) {
    const applied = await onShard(shard, (client) => migrate(client, targetOf(shard), migrations, FORMER_KEYS - 1));
    log.info({ shard, applied, version: FORMER_KEYS - 1 }, "migrated");
  }
  // From here on every shard has room for claims.
  for (let shard = 0; shard < flags.shards; shard += 1) {
    const claimed = await onShard(shard, (client) => migrateKeys(client, { shard, onShard, log }));
    const applied = await onShard(shard, (client) => migrate(client, targetOf(shard), migrations));
    if (applied.length > 0) log.info({ shard, applied, version: migrations.length, claimed }, "migrated");
  }
  // Every shard knows the present key, so those before it may go.
  const revoked = await revokeSuperseded(flags.shards, adminKeyHash.toString("hex"), onShard);
  if (revoked > 0) log.info({ revoked }, "former keys of the administrator are revoked");
  await report(migrations.length);
  return 0;
}

/** @returns how many keys were claimed now */
async function migrateKeys(
  client: Client,
  { shard, onShard, log }: { shard: number; onShard: OnShard; log: Logger },
): Promise<number> {
  const { rowCount } = await client.query("SELECT FROM ledger.schema_version WHERE version = $1", [FORMER_KEYS]);
  if (rowCount !== 0) return 0;
  return claimFormerKeys({
    shard,
    client,
    onShard,
    map: () => shardMapOf(client, shard),
    onProgress: (read) => log.info({ shard, read }, "claiming the keys that were used before"),
  });
}

/** Does work on one shard as its owner. */
export type OnShard = <T>(shard: number, work: (client: Client) => Promise<T>) => Promise<T>;

/**
 * Revokes the administrator's keys that the present one follows, on every shard; done again, it goes on where it ended.
 * @param current hash of the present key, hex @returns how many keys some shard did not know to be revoked
 */
export async function revokeSuperseded(shards: number, current: string, onShard: OnShard): Promise<number> {
  const known: (readonly AdminKey[])[] = [];
  for (let shard = 0; shard < shards; shard += 1) known.push(await onShard(shard, readAdminKeys));
  const hashes = supersededKeys(known, current);
  if (hashes.length === 0) return 0;
  for (let shard = 0; shard < shards; shard += 1) await onShard(shard, (client) => revokeKeys(client, hashes));
  return hashes.length;
}

/** Leaves the version where the kubelet reads a container's last words; outside a pod there is no such file. */
async function report(schemaVersion: number): Promise<void> {
  try {
    await writeFile(TERMINATION_LOG, JSON.stringify({ schemaVersion }), { flag: "r+" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/** A shard that is still starting is waited for; everything else fails at once. */
async function untilReachable<T>(endsAt: number, work: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (!isOperatorError(error, "SHARD_UNAVAILABLE") || systemClock.monotonic() >= endsAt) throw error;
    }
    await systemClock.sleep(backoffMs(attempt, RETRY));
  }
}
