import { compareQuantities } from "../../crds/quantity.ts";
import type { MapState } from "./shardset.map.ts";
import { isNew } from "./shardset.map.ts";
import type { World } from "./shardset.observe.ts";

// Volumes and the data on them: what is lost, what is about to go, what is kept from an earlier ShardSet, what is to grow.

/** What is so with the volumes. All lists of shards ascend. */
export interface VolumeState {
  /**
   * Shards that own buckets but have no volume. Volumes are made before the map, so this is never an interrupted
   * creation: the data is gone, and an empty volume in its place would look like an empty database.
   */
  readonly lost: readonly number[];
  /** Shards whose volume was deleted and is still there only because their pod uses it. */
  readonly ending: readonly number[];
  /** Bound and smaller than the spec asks for. */
  readonly toGrow: readonly number[];
  readonly larger: readonly number[];
  /** Not of the spec's size yet, for whatever reason. */
  readonly growing: readonly number[];
  /** Volumes or map were made by an earlier ShardSet of this name, and this one has not taken them over. */
  readonly isForeign: boolean;
  /** Why data that an earlier ShardSet of this name left behind cannot be taken over. */
  readonly conflict: string | undefined;
}

/** @param problem of the kept CA, if there is one */
export function volumeState(world: World, { owners }: MapState, problem: string | undefined): VolumeState {
  const { claims } = world;
  const lost = [...owners.keys()].filter((shard) => !claims.has(shard)).sort((a, b) => a - b);
  return {
    lost,
    ending: [...claims.values()]
      .filter(({ deleting }) => deleting)
      .map(({ shard }) => shard)
      .sort((a, b) => a - b),
    ...sizesOf(world),
    isForeign: isForeign(world),
    conflict: conflictOf(world, { lost, owners, problem }),
  };
}

function sizesOf({ claims, target }: World): Pick<VolumeState, "toGrow" | "larger" | "growing"> {
  const { size } = target.spec.storage;
  const compared = target.shards
    .flatMap((shard) => claims.get(shard) ?? [])
    .map(({ shard, requested, capacity }) => ({
      shard,
      order: compareQuantities(requested, size) ?? 0,
      isBound: capacity !== undefined,
      isFull: capacity === undefined || (compareQuantities(capacity, requested) ?? 0) >= 0,
    }));
  const shardsOf = (test: (claim: (typeof compared)[number]) => boolean): number[] =>
    compared.filter(test).map(({ shard }) => shard);
  return {
    // The server refuses to change a claim that has no volume yet.
    toGrow: shardsOf(({ order, isBound }) => order < 0 && isBound),
    larger: shardsOf(({ order }) => order > 0),
    growing: shardsOf(({ order, isFull }) => order < 0 || !isFull),
  };
}

function isForeign({ shardSet, target, claims, map }: World): boolean {
  const data = [...claims.values(), ...(map === undefined ? [] : [map])];
  return isNew(shardSet) && data.some(({ createdFor }) => createdFor !== target.owner.uid);
}

function conflictOf(
  { shardSet, target, claims, map, ca, caKey }: World,
  {
    lost,
    owners,
    problem,
  }: Pick<MapState, "owners"> & Pick<VolumeState, "lost"> & { readonly problem: string | undefined },
): string | undefined {
  if (!isNew(shardSet)) return undefined;
  const { names, spec, owner } = target;
  const isOurs = (createdFor: string | undefined): boolean => createdFor === owner.uid;
  if (map === undefined) {
    const foreign = [...claims.values()].filter(({ createdFor }) => !isOurs(createdFor));
    if (foreign.length === 0) return undefined;
    return `volumes ${foreign.map(({ name }) => name).join(", ")} are kept, but ConfigMap ${names.map} is missing; restore it, or delete the volumes`;
  }
  if (isOurs(map.createdFor)) return undefined;
  const kept = `ConfigMap ${names.map} is kept`;
  if (map.value === undefined) return `${kept}, but cannot be read; restore it from a good copy`;
  const shards = Math.max(...owners.keys()) + 1;
  if (shards > spec.shards) return `${kept} and names ${shards} shards, but spec.shards is ${spec.shards}`;
  if (caKey === undefined) return `${kept}, but Secret ${names.caKey} is missing; restore it`;
  if (ca === undefined) return `${kept}, but Secret ${names.ca} is missing; restore it`;
  if (problem !== undefined) return `${kept}, but Secret ${names.caKey} holds no usable CA; restore it`;
  return lost.length === 0
    ? undefined
    : `${kept}, but volumes ${lost.map(names.instance).join(", ")} are missing; restore them`;
}
