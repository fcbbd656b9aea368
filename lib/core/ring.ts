import { hash } from "node:crypto";
import { sha256 } from "./canonical.ts";
import { createMemo } from "./memo.ts";

/** Number of buckets that a ShardSet spreads its keys over. It never changes: buckets move, keys do not. */
export const BUCKET_COUNT = 4096;

/** Points that each shard owns on the ring (the figure of the original system). */
export const VIRTUAL_NODES_PER_SHARD = 256;

/** Tenant of every key until ledgers have several tenants. */
export const DEFAULT_TENANT = "default";

/** Bucket of a placement key: the first 16 bits of sha256(tenant, 0x00, key) modulo 4096 (docs/adr/0003-buckets.md). */
export function bucketOf(tenant: string, placementKey: string): number {
  // In one call and to a string: several times as fast as an object with a buffer, and ledgers ask for each transfer.
  return Number.parseInt(hash("sha256", `${tenant}\0${placementKey}`, "hex").slice(0, 4), 16) % BUCKET_COUNT;
}

/** As many as a ShardSet may have shards; a proposal has 16 KiB. */
const proposals = createMemo<readonly number[]>(64);

/**
 * The owner that consistent hashing proposes for each bucket: the shard of the first virtual node at or after the
 * bucket's own point (Karger et al., 1997). The ring only proposes; the shard map decides.
 * @returns one shard index per bucket, `BUCKET_COUNT` long
 */
export function proposeOwners(shardCount: number): readonly number[] {
  // 60 ms of processor time for 64 shards, at each look at a ShardSet whose map is lost.
  return proposals(String(shardCount), () => Object.freeze(ownersOnRing(shardCount)));
}

function ownersOnRing(shardCount: number): number[] {
  const points: { at: number; shard: number }[] = [];
  for (let shard = 0; shard < shardCount; shard += 1) {
    for (let node = 0; node < VIRTUAL_NODES_PER_SHARD; node += 1) {
      points.push({ at: sha256(`shard-${shard}-node-${node}`).readUInt32BE(0), shard });
    }
  }
  points.sort((a, b) => a.at - b.at || a.shard - b.shard);
  return Array.from({ length: BUCKET_COUNT }, (_, bucket) => {
    const at = sha256(`bucket-${bucket}`).readUInt32BE(0);
    // Beyond the last point the ring begins anew.
    return (points[firstAtOrAfter(points, at)] ?? points[0])?.shard ?? 0;
  });
}

/** Index of the first of the sorted points that is not before `at`; their number when there is none. */
function firstAtOrAfter(points: readonly { readonly at: number }[], at: number): number {
  let [low, high] = [0, points.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((points[middle]?.at ?? 0) < at) low = middle + 1;
    else high = middle;
  }
  return low;
}
