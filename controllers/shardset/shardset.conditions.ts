import type { ShardSetConditionType, ShardSetReason } from "../../crds/conditions.ts";
import { BUCKET_COUNT } from "../../lib/core/ring.ts";
import { type Meanings, type OwnConditions, type Says, statementsOf } from "../kit/conditions.ts";
import { authorityCurrent } from "../kit/pki/conditions.ts";
import type { MadePki } from "../kit/pki/make.ts";
import type { DatabaseState } from "./shardset.databases.ts";
import type { MapState } from "./shardset.map.ts";
import type { World } from "./shardset.observe.ts";
import { describe, type ShardState } from "./shardset.shards.ts";

/** The conditions of a ShardSet beside the three that every kind has. */
export type ShardSetConditions = OwnConditions<ShardSetConditionType, ShardSetReason>;

/** What the conditions are computed from, besides the world. */
export interface ConditionFacts {
  readonly shards: readonly ShardState[];
  readonly map: MapState;
  readonly databases: readonly DatabaseState[];
  readonly made: MadePki;
}

type Found = Says<ShardSetReason>;

/** DiskPressure is the one condition that is bad when it is True, as the kubelet's of the same name. */
const MEANINGS: Meanings<ShardSetReason> = {
  yes: [
    "ShardsAvailable",
    "MapPublished",
    "Balanced",
    "DatabasesReady",
    "NoDatabases",
    "AuthorityCurrent",
    "DiskFull",
    "DiskFilling",
  ],
  unknown: ["DiskUnknown"],
};

/** What is so, in words with numbers. */
export function shardSetConditions(world: World, { shards, map, databases, made }: ConditionFacts): ShardSetConditions {
  const found = {
    Available: available(world, shards),
    MapPublished: mapPublished(world, shards, map),
    Balanced: balanced(world, shards),
    DatabasesReady: databasesReady(world, databases),
    AuthorityCurrent: authorityCurrent(made),
    DiskPressure: diskPressure(shards),
  };
  return statementsOf(found, MEANINGS);
}

function diskPressure(shards: readonly ShardState[]): Found {
  const told = shards.flatMap(({ shard, agent }) => (agent?.disk === undefined ? [] : [{ shard, ...agent.disk }]));
  const pressed = told.filter(({ level }) => level === "low" || level === "full");
  if (pressed.length === 0) {
    const silent = shards.length - told.length;
    return silent === 0
      ? { reason: "DiskSpaceEnough", message: `none of ${shards.length} volumes is nearly full` }
      : {
          reason: "DiskUnknown",
          message: `${silent} of ${shards.length} agents have not said how full their volumes are`,
        };
  }
  const isFull = pressed.some(({ level }) => level === "full");
  const list = pressed.map(({ shard, message }) => `shard ${shard}: ${message}`).join("; ");
  return { reason: isFull ? "DiskFull" : "DiskFilling", message: list };
}

function available({ map }: World, shards: readonly ShardState[]): Found {
  if (map?.value === undefined) return { reason: "MapPending", message: "no shard owns buckets yet" };
  const owners = shards.filter(({ bucketCount }) => bucketCount > 0);
  const down = owners.filter(({ ready }) => !ready);
  if (down.length === 0)
    return {
      reason: "ShardsAvailable",
      message: `${owners.length} of ${owners.length} shards that own buckets accept writes`,
    };
  const buckets = down.reduce((sum, { bucketCount }) => sum + bucketCount, 0);
  return {
    reason: "ShardUnavailable",
    message: `${buckets} of ${BUCKET_COUNT} buckets cannot be written: ${describe(down)}`,
  };
}

/** The databases keep a copy of the map: docs/operations.md has the commands. */
const RESTORE_MAP = "restore it from a good copy, or from a shard's database (docs/operations.md)";

function mapPublished({ map, target }: World, shards: readonly ShardState[], { wanted, counts }: MapState): Found {
  const name = target.names.map;
  if (map === undefined) {
    return wanted === undefined
      ? {
          reason: "MapInvalid",
          message: `ConfigMap ${name} is gone, and the status does not tell which shard owns how many buckets; ${RESTORE_MAP}`,
        }
      : { reason: "MapPending", message: `ConfigMap ${name} does not exist yet` };
  }
  if (map.value === undefined)
    return { reason: "MapInvalid", message: `ConfigMap ${name} cannot be read; restore it from a good copy` };
  const beyond = [...counts.keys()].find((shard) => shard >= shards.length);
  if (beyond !== undefined) {
    const problem = `gives buckets to shard ${beyond}, but spec.shards is ${shards.length}`;
    return { reason: "MapInvalid", message: `ConfigMap ${name} ${problem}; restore it from a good copy` };
  }
  const { version } = map.value;
  const behind = shards.filter(({ ready, agent }) => ready && agent?.mapVersion !== version);
  if (behind.length > 0) {
    const list = behind.map(({ shard, agent }) => `shard ${shard} has version ${agent?.mapVersion ?? 0}`).join(", ");
    return { reason: "MapPending", message: `version ${version} is published; ${list}` };
  }
  return { reason: "MapPublished", message: `version ${version} is published and in use` };
}

function balanced({ map }: World, shards: readonly ShardState[]): Found {
  if (map?.value === undefined) return { reason: "MapPending", message: "no shard owns buckets yet" };
  const empty = shards.filter(({ bucketCount }) => bucketCount === 0).map(({ shard }) => shard);
  if (empty.length === 0) return { reason: "Balanced", message: `${BUCKET_COUNT} buckets on ${shards.length} shards` };
  return {
    reason: "MoveUnavailable",
    message: `${empty.length === 1 ? `shard ${empty[0]} owns` : `shards ${empty.join(", ")} own`} no bucket, because moving data between shards is not available yet`,
  };
}

function databasesReady({ requests }: World, databases: readonly DatabaseState[]): Found {
  const { accepted, problems } = requests;
  if (problems.length > 0) return { reason: "DatabaseRequestInvalid", message: problems.join("; ") };
  if (accepted.length === 0) return { reason: "NoDatabases", message: "no database is requested" };
  const pending = databases.filter(({ missing }) => missing.length > 0);
  if (pending.length === 0)
    return {
      reason: "DatabasesReady",
      message: `${accepted.length} of ${accepted.length} requests are carried out on all shards`,
    };
  const list = pending.map(
    ({ name, missing }) => `${name}: ${missing.map(({ shard, why }) => `shard ${shard} ${why}`).join(", ")}`,
  );
  return { reason: "DatabasesPending", message: list.join("; ") };
}
