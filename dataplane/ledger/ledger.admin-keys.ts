/**
 * The administrator's keys that the operator made. Whoever deletes Secret `<ledger>-admin-key` gets another one, and the one
 * before it is revoked: after the new one is known to every shard, so that there is always a key that works.
 */
import type { Client } from "pg";

/** Name of the administrator's keys; others may have it too. */
export const ADMIN_KEY_NAME = "admin";

/** The id of a key that the operator made: the beginning of its hash, where other keys have a random one. */
export const ADMIN_KEY_ID = (hash: string): string => `encode(substring(${hash} FROM 1 FOR 16), 'hex')::uuid`;

/** One of the administrator's keys, as one shard knows it. */
export interface AdminKey {
  /** SHA-256 of the raw key, hex. */
  readonly hash: string;
  /** When the shard got it, microseconds since the epoch. */
  readonly knownAt: bigint;
  readonly isRevoked: boolean;
}

/** The administrator's keys on one shard, as the owner role. */
export async function readAdminKeys(client: Client): Promise<readonly AdminKey[]> {
  const { rows } = await client.query<{ hash: string; known_at: string; is_revoked: boolean }>(
    `SELECT encode(k.hash, 'hex') AS hash, (extract(epoch FROM k.created_at) * 1000000)::bigint::text AS known_at,
            r.hash IS NOT NULL AS is_revoked
       FROM ledger.api_key k LEFT JOIN ledger.api_key_revocation r USING (hash)
      WHERE k.name = $1 AND k.id = ${ADMIN_KEY_ID("k.hash")}`,
    [ADMIN_KEY_NAME],
  );
  return rows.map((row) => ({ hash: row.hash, knownAt: BigInt(row.known_at), isRevoked: row.is_revoked }));
}

/**
 * The keys that the present one follows: those that were known anywhere before it was. A key that came later stays: this run
 * may be a late one, of a key that was replaced meanwhile. @param shards keys of each shard @param current hash, hex
 * @returns hashes in hex, of which some shard does not know yet that they are revoked
 */
export function supersededKeys(shards: readonly (readonly AdminKey[])[], current: string): readonly string[] {
  const knownAt = new Map<string, bigint>();
  const open = new Set<string>();
  for (const { hash, knownAt: at, isRevoked } of shards.flat()) {
    const before = knownAt.get(hash);
    if (before === undefined || at < before) knownAt.set(hash, at);
    if (!isRevoked) open.add(hash);
  }
  const since = knownAt.get(current);
  if (since === undefined) return [];
  return [...open].filter((hash) => hash !== current && (knownAt.get(hash) ?? since) < since);
}

/** Revokes keys on one shard, as the owner role; what is revoked already keeps its time. */
export async function revokeKeys(client: Client, hashes: readonly string[]): Promise<void> {
  await client.query(
    `INSERT INTO ledger.api_key_revocation (hash, revoked_at)
     SELECT decode(hash, 'hex'), now() FROM unnest($1::text[]) AS hash ON CONFLICT (hash) DO NOTHING`,
    [hashes],
  );
}
