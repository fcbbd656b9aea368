/**
 * Which shard owns an idempotency key: the one of the bucket that its id falls into (docs/adr/0024-keys-of-the-ledger.md).
 * Of an id with a part in braces only that part counts, as with the hash tags of Redis Cluster: `{acc-7}:order-1` is owned
 * where an account with the placement key `acc-7` lives.
 */
import { BUCKET_COUNT, bucketOf, DEFAULT_TENANT } from "../../lib/core/ring.ts";
import type { ShardMap } from "../../lib/core/shard-map.ts";

/** The first part in braces that is not empty. */
function hashTag(id: string): string | undefined {
  const open = id.indexOf("{");
  if (open < 0) return undefined;
  const close = id.indexOf("}", open + 1);
  return close > open + 1 ? id.slice(open + 1, close) : undefined;
}

/** @param key the 16 bytes of the id's key, from `offset` on: of an id without a tag they begin with its bucket */
export function keyBucket(id: string, key: Buffer, offset: number): number {
  const tag = hashTag(id);
  return tag === undefined ? key.readUInt16BE(offset) % BUCKET_COUNT : bucketOf(DEFAULT_TENANT, tag);
}

export function keyOwner(map: ShardMap, bucket: number): number {
  return map.owners[bucket] as number;
}
