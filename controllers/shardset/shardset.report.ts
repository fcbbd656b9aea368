import type { CommonConditionType, ShardSetConditionType, ShardSetReason } from "../../crds/conditions.ts";
import type { ShardSetStatus, ShardStatus } from "../../crds/shardset.ts";
import { omitUndefined } from "../../lib/core/objects.ts";
import type { Report, Run } from "../../operator/runtime/report.ts";
import { firstFinding } from "../kit/conditions.ts";
import type { Assessment } from "./shardset.assess.ts";
import { podSelector } from "./shardset.names.ts";
import { SHARD_SET_POLICIES } from "./shardset.policies.ts";
import type { ShardState } from "./shardset.shards.ts";

/** Longest message of a shard in the status, as the schema says. */
const MESSAGE_MAX = 1_024;

/** What is told of a ShardSet. */
export function reportShardSet(
  assessment: Assessment,
  { asideError }: Pick<Run, "asideError">,
): Report<Exclude<ShardSetConditionType, CommonConditionType>, ShardSetReason> {
  const { conditions } = assessment;
  return {
    state: firstFinding(SHARD_SET_POLICIES, { ...assessment, growthError: asideError }),
    conditions,
    status: statusOf(assessment),
    warnings: conditions.DatabasesReady.reason === "DatabaseRequestInvalid" ? ["DatabasesReady"] : [],
  };
}

function statusOf(assessment: Assessment): Omit<ShardSetStatus, "observedGeneration" | "conditions"> {
  const { world, volumes, shards, databases } = assessment;
  const { status: before } = world.shardSet;
  const map = world.map?.value;
  return omitUndefined({
    shards: shards.filter(({ shard }) => world.claims.has(shard)).length,
    shardsReady: shards.filter(({ ready }) => ready).length,
    labelSelector: podSelector(world.target),
    caSecret: world.target.names.ca,
    // A lost map stays known: it is what the new one is made from. One that is kept from an earlier ShardSet and does
    // not fit was never published by this one.
    map: map === undefined || volumes.conflict !== undefined ? before?.map : { version: map.version, epoch: map.epoch },
    shardStatuses: shards.map((state) => shardStatus(assessment, state)),
    // The world does not show whether a shard that is down now was ever ready; the status remembers it.
    initialized: before?.initialized === true || shards.every(({ ready }) => ready) ? true : undefined,
    // Sticky too: a class may be corrected only as long as no volume was ever made in it.
    volumesBound:
      before?.volumesBound === true || [...world.claims.values()].some(({ wasBound }) => wasBound) ? true : undefined,
    databases: databases.map(({ name, requestHash, shardsReady }) => ({ name, requestHash, shardsReady })),
  });
}

/** As the map says; a map that is lost, or was never this ShardSet's, does not change what is remembered. */
function identifierOf({ world, volumes }: Assessment, shard: number): string | undefined {
  if (world.map?.value === undefined || volumes.conflict !== undefined) {
    return world.shardSet.status?.shardStatuses?.find((known) => known.shard === shard)?.systemIdentifier;
  }
  const identity = world.map.identities.get(shard);
  return identity?.state === "known" ? identity.systemIdentifier : undefined;
}

function shardStatus(assessment: Assessment, state: ShardState): ShardStatus {
  const { world, conditions } = assessment;
  const isMapLost = world.map?.value === undefined || conditions.MapPublished.reason === "MapInvalid";
  const before = world.shardSet.status?.shardStatuses?.find(({ shard }) => shard === state.shard);
  return omitUndefined({
    shard: state.shard,
    ready: state.ready,
    primary: state.pod?.name,
    // A lost map does not take away the memory of who owned what: the new map is made from it.
    bucketCount: isMapLost ? (before?.bucketCount ?? 0) : state.bucketCount,
    epoch: state.agent?.epoch ?? before?.epoch,
    postgresVersion: state.agent?.postgresVersion ?? before?.postgresVersion,
    systemIdentifier: identifierOf(assessment, state.shard),
    message: state.message?.slice(0, MESSAGE_MAX),
  });
}
