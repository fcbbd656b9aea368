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

const COUNT = /^[1-9]\d{0,15}$/;
const RUNS = /^\d+:\d+(,\d+:\d+)*$/;

/** Reads what `formatShardMap` wrote. @throws OperatorError SHARD_MAP_INVALID */
export function parseShardMap(data: Readonly<Record<string, string>> | undefined): ShardMap {
  const { version = "", epoch = "", owners: text = "" } = data ?? {};
  const owners = RUNS.test(text) ? expandRuns(text) : undefined;
  const isCount = (digits: string): boolean => COUNT.test(digits) && Number.isSafeInteger(Number(digits));
  if (!isCount(version) || !isCount(epoch) || owners === undefined) {
    throw new OperatorError("SHARD_MAP_INVALID", "the shard map cannot be read");
  }
  return { version: Number(version), epoch: Number(epoch), owners };
}

/** One owner per bucket; `undefined` unless the runs begin at bucket 0 and rise within the buckets there are. */
function expandRuns(text: string): number[] | undefined {
  const runs = text.split(",").map((run) => run.split(":").map(Number) as [first: number, owner: number]);
  const owners: number[] = [];
  for (const [index, [first, owner]] of runs.entries()) {
    const end = runs[index + 1]?.[0] ?? BUCKET_COUNT;
    if (first !== owners.length || end <= first || end > BUCKET_COUNT || !Number.isSafeInteger(owner)) return undefined;
    while (owners.length < end) owners.push(owner);
  }
  return owners;
}
