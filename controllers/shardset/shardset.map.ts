import type { ShardSet } from "../../crds/shardset.ts";
import { proposeOwners } from "../../lib/core/ring.ts";
import type { ShardMap } from "../../lib/core/shard-map.ts";
import type { Target } from "./shardset.names.ts";
import type { World } from "./shardset.observe.ts";

// Which shard owns how many buckets: what the map says, and what is known when the map is lost.

/** What is known about the shard map. */
export interface MapState {
  /** Buckets of each shard that owns some, by the map that is published; empty without a readable one. */
  readonly counts: ReadonlyMap<number, number>;
  /** The same; from the status where the map is lost, since map and volumes may have been lost together. */
  readonly owners: ReadonlyMap<number, number>;
  /** The map to publish when there is none; `undefined` when there is one, or when the lost one cannot be told. */
  readonly wanted: ShardMap | undefined;
}

/** Reads the map and, where it is lost, the status. */
export function mapState(world: World): MapState {
  const { map, shardSet, target } = world;
  const counts = bucketCounts(map?.value);
  return {
    counts,
    owners: map?.value === undefined ? rememberedOwners(shardSet) : counts,
    wanted: map === undefined ? wantedMap(world, target) : undefined,
  };
}

/**
 * True where this very ShardSet had a map: volumes are made before it, agents and pods come after it. Where neither ConfigMap
 * nor status says which shards own buckets, the proposal for the shards of today would be wrong if some were added later.
 */
function hadMap({ claims, leases, pods, target }: World): boolean {
  const isOurs = [...claims.values()].some(({ createdFor }) => createdFor === target.owner.uid);
  const hasRun = [...leases.values()].some(
    ({ wasHeld, systemIdentifier }) => wasHeld || systemIdentifier !== undefined,
  );
  return isOurs && (hasRun || pods.size > 0);
}

function bucketCounts(map: ShardMap | undefined): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const owner of map?.owners ?? []) counts.set(owner, (counts.get(owner) ?? 0) + 1);
  return counts;
}

/** As the status remembers the map that this very ShardSet published. */
function rememberedOwners({ status, spec }: ShardSet): ReadonlyMap<number, number> {
  const states = status?.map === undefined ? [] : (status.shardStatuses ?? []);
  // Anybody may have added a shard that there never was, and what others say in a status stays.
  const owners = states.filter(({ shard, bucketCount }) => bucketCount > 0 && shard < spec.shards);
  return new Map(owners.map(({ shard, bucketCount }) => [shard, bucketCount]));
}

/**
 * The ring's proposal for a new ShardSet. A map that was lost is made anew from what the status remembers, with a higher
 * epoch; as long as no bucket can move, the ring's proposal is the only map there can be.
 */
function wantedMap(world: World, { spec }: Target): ShardMap | undefined {
  const { shardSet } = world;
  const before = shardSet.status?.map;
  if (before === undefined && hadMap(world)) return undefined;
  const remembered = rememberedOwners(shardSet);
  const shardCount = before === undefined ? spec.shards : remembered.size;
  if (shardCount === 0) return undefined;
  const owners = proposeOwners(shardCount);
  if (before === undefined) return { version: 1, epoch: 1, owners };
  const counts = bucketCounts({ version: 1, epoch: 1, owners });
  const fits = [...remembered].every(([shard, count]) => counts.get(shard) === count);
  return fits ? { version: before.version, epoch: before.epoch + 1, owners } : undefined;
}
