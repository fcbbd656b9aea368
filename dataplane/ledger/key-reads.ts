/** What the database knows of idempotency keys: those that are asked for, and all of them for the filter. */
import type { Client } from "pg";
import { readRowsPromptly } from "./copy-reader.ts";
import { KEY_BYTES } from "./fingerprint.ts";
import { uuidArray } from "./pg-binary.ts";

/** What the database knows of an idempotency key. */
export type StoredOutcome =
  | {
      readonly type: "posted";
      readonly fingerprint: string;
      readonly position: number;
      readonly debitBalance: number;
      readonly creditBalance: number;
      readonly recordedAtMicros: number;
    }
  | { readonly type: "refused"; readonly fingerprint: string; readonly code: string; readonly detail: string }
  | { readonly type: "claimed"; readonly fingerprint: string; readonly shard: number };

const LOOKUP = `
  SELECT key, fingerprint::text, position, debit_balance, credit_balance,
         (extract(epoch FROM recorded_at) * 1000000)::bigint AS recorded_at, NULL AS code, NULL AS detail,
         NULL::smallint AS shard
    FROM ledger.event WHERE key = ANY ($1)
  UNION ALL
  SELECT key, fingerprint::text, NULL, NULL, NULL, NULL, code, detail, NULL FROM ledger.rejection WHERE key = ANY ($1)
  UNION ALL
  SELECT key, fingerprint::text, NULL, NULL, NULL, NULL, NULL, NULL, shard FROM ledger.key_claim WHERE key = ANY ($1)`;

/** Outcomes by key (16 bytes as a latin1 string) of the keys that are known. */
export async function lookupKeys(client: Client, keys: readonly Buffer[]): Promise<Map<string, StoredOutcome>> {
  const found = new Map<string, StoredOutcome>();
  if (keys.length === 0) return found;
  const { rows } = await client.query<{
    key: string;
    fingerprint: string;
    position: number;
    debit_balance: number;
    credit_balance: number;
    recorded_at: number;
    code: string | null;
    detail: string | null;
    shard: number | null;
  }>({ name: "lookup", text: LOOKUP, values: [uuidArray(keys)] });
  for (const row of rows) {
    const key = Buffer.from(row.key.replaceAll("-", ""), "hex").toString("latin1");
    const { fingerprint } = row;
    if (row.shard !== null) {
      // An answer says more than the payload that it was given to.
      if (!found.has(key)) found.set(key, { type: "claimed", fingerprint, shard: row.shard });
    } else if (row.code === null) {
      found.set(key, {
        type: "posted",
        fingerprint,
        position: row.position,
        debitBalance: row.debit_balance,
        creditBalance: row.credit_balance,
        recordedAtMicros: row.recorded_at,
      });
    } else {
      found.set(key, { type: "refused", fingerprint, code: row.code, detail: row.detail ?? "" });
    }
  }
  return found;
}

/** Keys of a page: some hundredths of a second, which no time limit cuts off. */
const KEYS_PAGE = 50_000;

/** Reads a table's keys in pages along the index of keys, which is a fifth of the table. */
async function readKeysOf(client: Client, table: string, onKey: (key: Buffer) => void): Promise<void> {
  const last = Buffer.alloc(KEY_BYTES);
  for (let count = KEYS_PAGE, isFirst = true; count === KEYS_PAGE; isFirst = false) {
    count = 0;
    const after = isFirst ? "" : `WHERE key > '${last.toString("hex")}'`;
    await readRowsPromptly(
      client,
      `SELECT key FROM ledger.${table} ${after} ORDER BY key LIMIT ${KEYS_PAGE}`,
      (row) => {
        const key = row.bytes(0);
        onKey(key);
        key.copy(last);
        count += 1;
      },
    );
  }
}

/** Every key that was there at the call, table by table. */
export async function readKeys(client: Client, onKey: (key: Buffer) => void): Promise<void> {
  for (const table of ["event", "rejection", "key_claim"]) await readKeysOf(client, table, onKey);
}
