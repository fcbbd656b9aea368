import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Client } from "pg";
import { sha256 } from "../../lib/core/canonical.ts";
import { isOperatorError, OperatorError } from "../../lib/core/errors.ts";
import { inTransaction, isConnectionLoss } from "../../lib/node/postgres.ts";
import { GENESIS_HASH } from "./journal-codec.ts";
import { ADMIN_KEY_ID, ADMIN_KEY_NAME } from "./ledger.admin-keys.ts";

/** One numbered step of the schema. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of the text, hex: a step that was applied never changes afterwards. */
  readonly checksum: string;
}

/** What a database is for; everything that the schema's data needs from outside. */
export interface MigrationTarget {
  readonly shard: number;
  readonly writerRole: string;
  readonly readerRole: string;
  /** Minor digits by asset code. */
  readonly assets: readonly AssetDefinition[];
  /** SHA-256 of the administrator's raw API key. */
  readonly adminKeyHash: Buffer;
}

export interface AssetDefinition {
  readonly code: string;
  readonly scale: number;
}

/** Taken for the whole run: two Jobs at once apply each step once. */
const ADVISORY_LOCK = 0x5358_4c47;
const FILE_NAME = /^(\d{4})_([a-z0-9_]+)\.sql$/;

/** Reads the steps that this program brings, in order. */
export async function loadMigrations(directory = join(import.meta.dirname, "migrations")): Promise<Migration[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith(".sql")).sort();
  const migrations: Migration[] = [];
  for (const file of names) {
    const match = FILE_NAME.exec(file);
    const version = Number(match?.[1]);
    if (match === null || version !== migrations.length + 1) {
      throw new OperatorError("MIGRATION_FAILED", `migration file ${file} does not continue the numbering`);
    }
    const sql = await readFile(join(directory, file), "utf8");
    migrations.push({ version, name: match[2] as string, sql, checksum: sha256(sql).toString("hex") });
  }
  return migrations;
}

/**
 * Brings one shard's database to the version of this program, as the owner role; running it again changes nothing.
 * @param upTo the last step to be applied now, for what has to be done on every shard before the next one
 * @returns the versions applied now
 * @throws OperatorError MIGRATION_UNKNOWN when the database is newer, MIGRATION_FAILED for the rest
 */
export async function migrate(
  client: Client,
  target: MigrationTarget,
  migrations: readonly Migration[],
  upTo = migrations.length,
): Promise<number[]> {
  try {
    await client.query("SELECT pg_advisory_lock($1)", [ADVISORY_LOCK]);
    await inTransaction(client, () => createVersionTable(client));
    const applied = await appliedVersions(client);
    checkKnown(applied, migrations);
    const pending = migrations.filter(({ version }) => !applied.has(version) && version <= upTo);
    for (const migration of pending) await inTransaction(client, () => applyMigration(client, target, migration));
    await inTransaction(client, () => seed(client, target));
    return pending.map((migration) => migration.version);
  } catch (error) {
    if (isOperatorError(error) || isConnectionLoss(error)) throw error;
    throw new OperatorError("MIGRATION_FAILED", `shard ${target.shard}: ${(error as Error).message}`, { cause: error });
  } finally {
    // A lost connection has released the lock already.
    await client.query("SELECT pg_advisory_unlock($1)", [ADVISORY_LOCK]).catch(() => undefined);
  }
}

async function createVersionTable(client: Client): Promise<void> {
  await client.query(`
    CREATE SCHEMA IF NOT EXISTS ledger;
    REVOKE ALL ON SCHEMA ledger FROM PUBLIC;
    CREATE TABLE IF NOT EXISTS ledger.schema_version (
      version integer PRIMARY KEY,
      name text NOT NULL,
      checksum text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now()
    )`);
}

async function appliedVersions(client: Client): Promise<Map<number, { name: string; checksum: string }>> {
  const { rows } = await client.query<{ version: number; name: string; checksum: string }>(
    "SELECT version, name, checksum FROM ledger.schema_version ORDER BY version",
  );
  return new Map(rows.map((row) => [row.version, row]));
}

function checkKnown(applied: Map<number, { name: string; checksum: string }>, migrations: readonly Migration[]): void {
  for (const [version, row] of applied) {
    const known = migrations[version - 1];
    if (known === undefined) {
      throw new OperatorError(
        "MIGRATION_UNKNOWN",
        `the database is at schema version ${version} (${row.name}); this program knows versions up to ${migrations.length}`,
      );
    }
    if (known.checksum !== row.checksum) {
      throw new OperatorError(
        "MIGRATION_UNKNOWN",
        `migration ${version} (${row.name}) was applied with another text than this program's`,
      );
    }
  }
}

async function applyMigration(client: Client, target: MigrationTarget, migration: Migration): Promise<void> {
  await client.query(
    "SELECT set_config('shieldx.writer_role', $1, true), set_config('shieldx.reader_role', $2, true)",
    [target.writerRole, target.readerRole],
  );
  await client.query(migration.sql);
  await client.query("INSERT INTO ledger.schema_version (version, name, checksum) VALUES ($1, $2, $3)", [
    migration.version,
    migration.name,
    migration.checksum,
  ]);
}

/** Rows that every shard has from the start: its head, the assets, the administrator's key. */
async function seed(client: Client, target: MigrationTarget): Promise<void> {
  await client.query(
    `INSERT INTO ledger.head (shard, epoch, position, block, accounts, hash, recorded_at)
     SELECT $1, 0, 0, 0, 0, $2, 'epoch' WHERE NOT EXISTS (SELECT 1 FROM ledger.head)`,
    [target.shard, GENESIS_HASH],
  );
  const head = await client.query<{ shard: number }>("SELECT shard FROM ledger.head");
  if (head.rows[0]?.shard !== target.shard) {
    throw new OperatorError(
      "MIGRATION_FAILED",
      `the database belongs to shard ${head.rows[0]?.shard}, not to shard ${target.shard}`,
    );
  }
  for (const asset of target.assets) await seedAsset(client, asset);
  await client.query(
    `INSERT INTO ledger.api_key (hash, id, name, scopes, created_at)
     VALUES ($1, ${ADMIN_KEY_ID("$1::bytea")}, $2, ARRAY['read', 'write', 'mint', 'admin'], now()) ON CONFLICT (hash) DO NOTHING`,
    [target.adminKeyHash, ADMIN_KEY_NAME],
  );
}

async function seedAsset(client: Client, asset: AssetDefinition): Promise<void> {
  await client.query("INSERT INTO ledger.asset (code, scale) VALUES ($1, $2) ON CONFLICT (code) DO NOTHING", [
    asset.code,
    asset.scale,
  ]);
  const { rows } = await client.query<{ scale: number }>("SELECT scale FROM ledger.asset WHERE code = $1", [
    asset.code,
  ]);
  if (rows[0]?.scale !== asset.scale) {
    throw new OperatorError(
      "MIGRATION_FAILED",
      `asset ${asset.code} has ${rows[0]?.scale} minor digits in the database and cannot be changed to ${asset.scale}`,
    );
  }
}
