/**
 * Claims, at their owners, the keys that a shard used before there were claims (docs/adr/0024-keys-of-the-ledger.md), in pages along
 * the log and the refusals. Done again, it finds what it did.
 */
import type { Client } from "pg";
import type { ShardMap } from "../../lib/core/shard-map.ts";
import { keyBucket, keyOwner } from "./key-owner.ts";

const PAGE = 10_000;

interface UsedKey {
  readonly key: string;
  readonly fingerprint: string;
  readonly id: string;
}

/** A page of keys after `after`, and where the next one begins; nothing where there are no more. */
type ReadPage = (client: Client, after: string | undefined) => Promise<readonly (UsedKey & { readonly at: string })[]>;

const readEvents: ReadPage = async (client, after = "0") => {
  const { rows } = await client.query<UsedKey & { at: string }>(
    `SELECT key::text, fingerprint::text, id, position::text AS at FROM ledger.event
      WHERE position > $1 ORDER BY position LIMIT ${PAGE}`,
    [after],
  );
  return rows;
};

const readRefusals: ReadPage = async (client, after) => {
  const { rows } = await client.query<UsedKey & { at: string }>(
    `SELECT key::text, fingerprint::text, id, key::text AS at FROM ledger.rejection
      WHERE $1::uuid IS NULL OR key > $1::uuid ORDER BY key LIMIT ${PAGE}`,
    [after ?? null],
  );
  return rows;
};

export interface FormerKeys {
  readonly shard: number;
  /** Asked for once there are keys. */
  readonly map: () => Promise<ShardMap>;
  /** Of the shard's database, as its owner role. */
  readonly client: Client;
  /** Does work on another shard's database, as its owner role. */
  readonly onShard: <T>(shard: number, work: (client: Client) => Promise<T>) => Promise<T>;
  /** Told after each page. */
  readonly onProgress: (read: number) => void;
}

/** @returns how many keys are claimed now that were not */
export async function claimFormerKeys(given: FormerKeys): Promise<number> {
  let claimed = 0;
  let read = 0;
  let map: ShardMap | undefined;
  for (const readPage of [readEvents, readRefusals]) {
    let after: string | undefined;
    for (;;) {
      const page = await readPage(given.client, after);
      if (page.length === 0) break;
      after = page.at(-1)?.at;
      map ??= await given.map();
      claimed += await claimPage(given, map, page);
      read += page.length;
      given.onProgress(read);
    }
  }
  return claimed;
}

async function claimPage(given: FormerKeys, map: ShardMap, page: readonly UsedKey[]): Promise<number> {
  const byOwner = new Map<number, (UsedKey & { bucket: number })[]>();
  for (const used of page) {
    const bucket = keyBucket(used.id, Buffer.from(used.key.replaceAll("-", ""), "hex"), 0);
    const owner = keyOwner(map, bucket);
    if (owner === given.shard) continue;
    const keys = byOwner.get(owner) ?? [];
    keys.push({ ...used, bucket });
    byOwner.set(owner, keys);
  }
  let claimed = 0;
  for (const [owner, keys] of byOwner) {
    claimed += await given.onShard(owner, (client) => insertClaims(client, given.shard, keys));
  }
  return claimed;
}

/** A key that two shards have used is that of the first one to come: the other's outcome stays, and answers there only. */
async function insertClaims(
  client: Client,
  shard: number,
  keys: readonly (UsedKey & { readonly bucket: number })[],
): Promise<number> {
  const { rowCount } = await client.query(
    `INSERT INTO ledger.key_claim (key, fingerprint, bucket, shard, batch)
     SELECT u.key, u.fingerprint, u.bucket, $4, (SELECT nextval('ledger.key_claim_batch'))
       FROM unnest($1::uuid[], $2::bigint[], $3::smallint[]) AS u(key, fingerprint, bucket)
     ON CONFLICT (key) DO NOTHING`,
    [keys.map(({ key }) => key), keys.map(({ fingerprint }) => fingerprint), keys.map(({ bucket }) => bucket), shard],
  );
  return rowCount ?? 0;
}
