import { compareQuantities } from "../../crds/quantity.ts";
import type { ObjectIdentity } from "../../lib/kube/types.ts";
import type { ObservedClaim } from "./shardset.facts.ts";
import type { MapState } from "./shardset.map.ts";
import type { World } from "./shardset.observe.ts";

// Volumes and the data on them: what is lost, what is about to go, what is kept from an earlier ShardSet, what is to grow.

/** What is so with the volumes. All lists of shards ascend. */
export interface VolumeState {
  /**
   * Shards that own buckets but have no volume, though there was data. Volumes are made before the map, so this is never an
   * interrupted creation: the data is gone, and an empty volume in its place would look like an empty database.
   */
  readonly lost: readonly number[];
  /** Claims that never got a volume and ask for another one than the spec: there is no data, so they are made anew. */
  readonly wrong: readonly ObservedClaim[];
  /**
   * What holds no data when the ShardSet goes: claims that it made and that never got a volume, and the map, when that is so
   * for all shards. `deletionPolicy: Retain` keeps data, and an empty rest would be in the way of the next try.
   */
  readonly worthless: readonly ObjectIdentity[];
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
  const lost = [...owners.keys()]
    .filter((shard) => !claims.has(shard) && !hadNoData(world, shard))
    .sort((a, b) => a - b);
  return {
    lost,
    wrong: [...claims.values()].filter(
      (claim) =>
        isEmptyOfOurs(world, claim) &&
        isWrong(world, claim) &&
        // Without this its absence would look like a loss as soon as it is deleted.
        (!owners.has(claim.shard) || hadNoData(world, claim.shard)),
    ),
    worthless: worthlessOf(world, owners),
    ending: [...claims.values()]
      .filter(({ deleting, wasBound }) => deleting && wasBound)
      .map(({ shard }) => shard)
      .sort((a, b) => a - b),
    ...sizesOf(world),
    isForeign: isForeign(world),
    conflict: conflictOf(world, { lost, owners, problem }),
  };
}

/**
 * True when no data of a shard can ever have been: the map, which this ShardSet made, says so, and nobody has held the Lease
 * that was made with it; an agent takes the Lease before it makes data. A Lease that is younger than the map took the place of
 * another one, so it proves nothing. Whatever is not known for sure counts as data.
 */
function hadNoData({ shardSet, target, map, leases }: World, shard: number): boolean {
  const lease = leases.get(shard);
  if (map?.createdFor !== target.owner.uid || map.identities.get(shard)?.state !== "new") return false;
  if (lease === undefined || lease.wasHeld || lease.systemIdentifier !== undefined) return false;
  if (lease.createdAt === undefined || map.createdAt === undefined || lease.createdAt > map.createdAt) return false;
  const { status } = shardSet;
  const known = status?.shardStatuses?.find((state) => state.shard === shard);
  return status?.initialized !== true && known?.epoch === undefined && known?.postgresVersion === undefined;
}

/** True for a claim of this very ShardSet that never got a volume; one that somebody restored may get one with data. */
function isEmptyOfOurs({ target }: World, { wasBound, createdFor }: ObservedClaim): boolean {
  return !wasBound && createdFor === target.owner.uid;
}

/** True for a claim whose size or class is not that of the spec. It cannot be changed, only made anew. */
function isWrong({ target, clues }: World, { deleting, requested, storageClass }: ObservedClaim): boolean {
  if (deleting) return false;
  const { size, storageClassName } = target.spec.storage;
  if ((compareQuantities(requested, size) ?? 0) !== 0) return true;
  if (storageClassName !== undefined) return storageClass !== storageClassName;
  // Admission gave it the default class of its time. Who may not see the classes cannot tell that from a class of the spec.
  const byDefault = clues.classes?.filter(({ isDefault }) => isDefault) ?? [];
  return (
    storageClass !== undefined && clues.classes !== undefined && !byDefault.some(({ name }) => name === storageClass)
  );
}

function worthlessOf(world: World, owners: MapState["owners"]): ObjectIdentity[] {
  const { map, claims } = world;
  const empty = [...claims.values()].filter((claim) => isEmptyOfOurs(world, claim));
  const isUnused = (shard: number): boolean => {
    const claim = claims.get(shard);
    return hadNoData(world, shard) && (claim === undefined || empty.includes(claim));
  };
  // The map last: without it nobody could tell any more that a claim which is missing never held data.
  // A map that cannot be read names no shards, which says nothing about them.
  return map?.value !== undefined && [...owners.keys()].every(isUnused) ? [...empty, map] : empty;
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

function isForeign({ isNew, target, claims, map }: World): boolean {
  const data = [...claims.values(), ...(map === undefined ? [] : [map])];
  return isNew && data.some(({ createdFor }) => createdFor !== target.owner.uid);
}

function conflictOf(
  { isNew, target, claims, map, ca, caKey }: World,
  {
    lost,
    owners,
    problem,
  }: Pick<MapState, "owners"> & Pick<VolumeState, "lost"> & { readonly problem: string | undefined },
): string | undefined {
  if (!isNew) return undefined;
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
    : `${kept}, but volumes ${lost.map(names.instance).join(", ")} are missing; restore them, or, if there never was data on them, delete ConfigMap ${names.map} to begin without`;
}
