import { OperatorError } from "./errors.ts";
import { BUCKET_COUNT } from "./ring.ts";

/** Which shard owns which bucket, at one version. */
export interface ShardMap {
  /** Rises by one with each change of ownership; starts at 1. */
  readonly version: number;
  /** Rises when the map is made anew after its loss, so that an older map can be told apart. */
  readonly epoch: number;
  /** Owner of each bucket, `BUCKET_COUNT` entries. */
  readonly owners: readonly number[];
}

/** The map as the `data` of ConfigMap `<shardset>-map`: owners as runs "firstBucket:shard", comma separated. */
export function formatShardMap(map: ShardMap): Record<"version" | "epoch" | "owners", string> {
  const runs: string[] = [];
  map.owners.forEach((owner, bucket) => {
    if (bucket === 0 || owner !== map.owners[bucket - 1]) runs.push(`${bucket}:${owner}`);
  });
  return { version: String(map.version), epoch: String(map.epoch), owners: runs.join(",") };
}

/** Reads what `formatShardMap` wrote. @throws OperatorError SHARD_MAP_INVALID */
export function parseShardMap(data: Readonly<Record<string, string>> | undefined): ShardMap {
  const version = Number(data?.["version"]);
  const epoch = Number(data?.["epoch"]);
  const runs = (data?.["owners"] ?? "").split(",").map((run) => run.split(":").map(Number));
  const owners: number[] = [];
  let valid = Number.isSafeInteger(version) && version >= 1 && Number.isSafeInteger(epoch) && epoch >= 1;
  runs.forEach(([first, owner], index) => {
    const end = runs[index + 1]?.[0] ?? BUCKET_COUNT;
    if (first !== owners.length || !Number.isSafeInteger(owner) || end <= owners.length || end > BUCKET_COUNT) {
      valid = false;
      return;
    }
    while (owners.length < end) owners.push(owner as number);
  });
  if (!valid || owners.length !== BUCKET_COUNT) {
    throw new OperatorError("SHARD_MAP_INVALID", "the shard map cannot be read");
  }
  return { version, epoch, owners };
}
