import { sha256 } from "./canonical.ts";

/** Number of buckets that a ShardSet spreads its keys over. It never changes: buckets move, keys do not. */
export const BUCKET_COUNT = 4096;

/** Points that each shard owns on the ring (the figure of the original system). */
export const VIRTUAL_NODES_PER_SHARD = 256;

/** Tenant of every key until ledgers have several tenants. */
export const DEFAULT_TENANT = "default";

/** Bucket of a placement key: the first 16 bits of sha256(tenant, 0x00, key) modulo 4096 (docs/adr/0003-buckets.md). */
export function bucketOf(tenant: string, placementKey: string): number {
  return sha256(tenant, "\0", placementKey).readUInt16BE(0) % BUCKET_COUNT;
}

/**
 * The owner that consistent hashing proposes for each bucket: the shard of the first virtual node at or after the
 * bucket's own point (Karger et al., 1997). The ring only proposes; the shard map decides.
 * @returns one shard index per bucket, `BUCKET_COUNT` long
 */
export function proposeOwners(shardCount: number): number[] {
  const points: { at: number; shard: number }[] = [];
  for (let shard = 0; shard < shardCount; shard += 1) {
    for (let node = 0; node < VIRTUAL_NODES_PER_SHARD; node += 1) {
      points.push({ at: sha256(`shard-${shard}-node-${node}`).readUInt32BE(0), shard });
    }
  }
  points.sort((a, b) => a.at - b.at || a.shard - b.shard);
  return Array.from({ length: BUCKET_COUNT }, (_, bucket) => {
    const at = sha256(`bucket-${bucket}`).readUInt32BE(0);
    const successor = points.find((point) => point.at >= at) ?? points[0];
    return successor?.shard ?? 0;
  });
}
