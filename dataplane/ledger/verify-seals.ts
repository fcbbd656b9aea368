/**
 * Follows the chain of seals: rows that the journal does not hold (refusals, claims of keys, assets, API keys, who acted,
 * takeovers, steps of the schema) were sealed when they came, see migrations/0003_seals.sql. Rows and seals are joined by the server and come as
 * one stream, so nothing is kept here but the last link.
 */
import { hash } from "node:crypto";
import type { Client } from "pg";
import { type BinaryRow, readRows } from "./copy-reader.ts";
import { keyOf } from "./fingerprint.ts";
import { HASH_BYTES } from "./journal-codec.ts";
import { STORED_REFUSALS } from "./ledger.decider.ts";
import { check, type Replay, violate } from "./verify-fold.ts";
import type { Head } from "./verify-rows.ts";

/** Key and columns of each sealed table, as its trigger has them, in SQL. */
const SEALED = {
  schema_version: { key: "version::text", columns: "version, name, checksum, applied_at" },
  asset: { key: "code", columns: "code, scale" },
  term: { key: "epoch::text", columns: "epoch, claimed_at" },
  api_key: { key: "encode(hash, 'hex')", columns: "hash, id, name, scopes, created_at" },
  api_key_revocation: { key: "encode(hash, 'hex')", columns: "hash, revoked_at" },
  acting_key: { key: "first_position::text", columns: "first_position, last_position, api_key" },
  rejection: { key: "key::text", columns: "key, fingerprint, id, code, detail, recorded_at" },
} as const;
/** The only format of all of them so far. */
const FORMAT = 1;
/** Its rows are sealed by the batch, see migrations/0004_key_claims.sql. */
const BATCHED = "key_claim";

const ROWS = Object.entries(SEALED)
  .map(
    ([name, { key, columns }]) =>
      `SELECT '${name}'::text AS relation, ${key} AS key, record_send(ROW('${name}'::text, ${FORMAT}::smallint, ${columns})) AS bytes FROM ledger.${name}`,
  )
  .join(" UNION ALL ");

const BATCHES = `
  SELECT '${BATCHED}'::text, batch::text, record_send(ROW('${BATCHED}'::text, ${FORMAT}::smallint, batch))
         || string_agg(record_send(ROW(key, fingerprint, bucket, shard)), ''::bytea ORDER BY key)
    FROM ledger.${BATCHED} GROUP BY batch`;

/** Rows without a seal come last, with number 0 and an empty hash; seals without a row have no bytes. */
const sealsAndRows = (rows: string): string => `
  SELECT coalesce(s.number, 0), coalesce(s.relation, r.relation), coalesce(s.key, r.key), coalesce(s.format, 0::smallint),
         coalesce(s.hash, ''), coalesce(r.bytes, '')
    FROM ledger.seal s FULL JOIN (${rows}) r ON r.relation = s.relation AND r.key = s.key
   ORDER BY s.number NULLS LAST, 2, 3`;

/** False before migration 4. */
async function hasClaims(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>(
    `SELECT to_regclass('ledger.${BATCHED}') IS NOT NULL AS there`,
  );
  return rows[0]?.there === true;
}

/** True when the database seals rows: those that no migration of this version has reached do not. */
export async function hasSeals(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>("SELECT to_regclass('ledger.seal') IS NOT NULL AS there");
  return rows[0]?.there === true;
}

/** Every seal with its row, and the end of the chain. */
export async function compareSeals(client: Client, replay: Replay, snapshots: number): Promise<void> {
  const chain = { seals: 0, hash: Buffer.alloc(HASH_BYTES) };
  const statement = sealsAndRows((await hasClaims(client)) ? `${ROWS} UNION ALL ${BATCHES}` : ROWS);
  await readRows(client, statement, (row) => {
    check(replay, "seals");
    followSeal(replay, chain, row);
  });
  const { rows } = await client.query<{ is_only: boolean; seals: number; hash: Buffer; snapshots: number }>(
    "SELECT is_only, seals, hash, snapshots FROM ledger.seal_end",
  );
  const [end] = rows;
  const told = (what: string): void => violate(replay, "seals", { what: `table seal_end: ${what}` });
  if (end === undefined || rows.length > 1) return told(`${rows.length} rows, where there is one`);
  if (!end.is_only) told("column is_only says false");
  if (end.seals !== chain.seals) told(`column seals says ${end.seals}, table seal ends with number ${chain.seals}`);
  else if (!end.hash.equals(chain.hash)) told("column hash is not that of the last seal");
  if (end.snapshots !== snapshots) {
    const what = `table snapshot has ${snapshots} rows, ${end.snapshots} were written (table seal_end, column snapshots)`;
    violate(replay, "snapshots", { what });
  }
}

function followSeal(replay: Replay, chain: { seals: number; hash: Buffer }, row: BinaryRow): void {
  const [number, relation, key] = [row.int64(0), row.text(1), row.text(2)];
  const where = `table ${relation}, ${relation === BATCHED ? `rows of batch ${key}` : `row ${shown(relation, key)}`}`;
  const told = (what: string): void => violate(replay, "seals", { what });
  if (number === 0) return told(`${where}: was never sealed, so it did not come through the ledger`);
  for (chain.seals += 1; chain.seals < number; chain.seals += 1)
    told(`table seal, number ${chain.seals}: the row is missing`);
  const bytes = row.bytes(5);
  const link = Buffer.from(row.bytes(4));
  if (relation !== BATCHED && !(relation in SEALED))
    told(`table seal, number ${number}: there is no sealed table "${relation}"`);
  else if (row.int16(3) !== FORMAT) {
    told(`table seal, number ${number}: format ${row.int16(3)}; formats up to ${FORMAT} are known`);
  } else if (bytes.length === 0) told(`${where}: is missing; its seal has number ${number} (table seal)`);
  else if (!hash("sha256", Buffer.concat([chain.hash, bytes]), "buffer").equals(link)) {
    told(`${where}: a column differs from what was sealed, or the seal does (table seal, number ${number})`);
  }
  chain.hash = link;
}

/** API keys are told by the beginning of their hash. */
function shown(relation: string, key: string): string {
  return relation.startsWith("api_key") ? `${key.slice(0, 8)}...` : `"${key}"`;
}

/** The head's epoch is that of the last takeover. */
export async function compareTerms(client: Client, replay: Replay, head: Head | undefined): Promise<void> {
  const { rows } = await client.query<{ epoch: number | null }>("SELECT max(epoch) AS epoch FROM ledger.term");
  const claimed = rows[0]?.epoch ?? 0;
  check(replay, "epochs");
  if (head === undefined || head.epoch === claimed) return;
  const what = `table head: column epoch says ${head.epoch}, table term ends with epoch ${claimed}`;
  violate(replay, "epochs", { what });
}

/** A key answers one thing: what was refused was not posted, and answers for its own id. */
export async function compareRefusals(client: Client, replay: Replay): Promise<void> {
  const told = (id: string, what: string): void =>
    violate(replay, "refusals", { what: `table rejection, id "${id}": ${what}` });
  // A look-up for each refusal: a join may walk all events.
  const posted = "coalesce((SELECT e.position FROM ledger.event e WHERE e.key = r.key), 0)";
  await readRows(client, `SELECT r.key, r.id, r.code, ${posted} FROM ledger.rejection r ORDER BY r.key`, (row) => {
    check(replay, "refusals");
    const [id, code, position] = [row.text(1), row.text(2), row.int64(3)];
    if (!keyOf(id).equals(row.bytes(0))) told(id, "column key is not the key of the id");
    if (!(STORED_REFUSALS as readonly string[]).includes(code)) {
      told(id, `column code says ${code}, which is never kept`);
    }
    if (position !== 0) told(id, `its key was also posted, at position ${position}`);
  });
}
