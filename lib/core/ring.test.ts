// Goal: a key finds the same bucket for ever, and the ring moves as little as it can. The buckets below are stored facts: with
// another hash every account would be looked for in the wrong place.
import { createHash } from "node:crypto";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { BUCKET_COUNT, bucketOf, DEFAULT_TENANT, proposeOwners } from "./ring.ts";

describe("bucketOf", () => {
  test.each([
    ["576", 3321],
    ["alice", 2917],
    ["system:external:CZK", 3903],
    ["", 2970],
  ])("%j is in bucket %i", (key, bucket) => {
    expect(bucketOf(DEFAULT_TENANT, key)).toBe(bucket);
  });

  test("is the first 16 bits of sha256(tenant, 0x00, key) modulo 4096, as decision 3 says", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (tenant, key) => {
        const digest = createHash("sha256").update(`${tenant}\0${key}`).digest("hex");
        expect(bucketOf(tenant, key)).toBe(Number.parseInt(digest.slice(0, 4), 16) % 4096);
      }),
    );
  });
});

describe("proposeOwners", () => {
  test.each([1, 2, 3, 8, 64])("gives each of %i shards a share of all buckets", (shards) => {
    const owners = proposeOwners(shards);
    expect(owners).toHaveLength(BUCKET_COUNT);
    for (let shard = 0; shard < shards; shard += 1) {
      const share = owners.filter((owner) => owner === shard).length / (BUCKET_COUNT / shards);
      expect(share).toBeGreaterThan(0.5);
      expect(share).toBeLessThan(1.6);
    }
  });

  test.each([1, 3, 17])(
    "of %i shards is the shard of the first of 256 points each at or after the bucket's own",
    (shards) => {
      const at = (text: string): number => createHash("sha256").update(text).digest().readUInt32BE(0);
      const points = Array.from({ length: shards * 256 }, (_, index) => {
        const shard = Math.floor(index / 256);
        return { shard, at: at(`shard-${shard}-node-${index % 256}`) };
      }).sort((a, b) => a.at - b.at);
      const owners = Array.from({ length: BUCKET_COUNT }, (_, bucket) => {
        const own = at(`bucket-${bucket}`);
        return (points.find((point) => point.at >= own) ?? points[0])?.shard;
      });
      expect(proposeOwners(shards)).toEqual(owners);
      // Others share it.
      expect(Object.isFrozen(proposeOwners(shards))).toBe(true);
    },
  );

  test("a new shard only takes: no bucket moves between old ones", () => {
    for (const shards of [1, 3, 7]) {
      const [before, after] = [proposeOwners(shards), proposeOwners(shards + 1)];
      expect(after.filter((owner, bucket) => owner !== before[bucket] && owner !== shards)).toEqual([]);
    }
  });
});
