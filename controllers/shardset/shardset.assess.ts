import type { MadePki } from "../kit/pki/make.ts";
import { type ShardSetConditions, shardSetConditions } from "./shardset.conditions.ts";
import { type DatabaseState, databaseStates } from "./shardset.databases.ts";
import type { Agents } from "./shardset.facts.ts";
import { type IdentityState, identityState } from "./shardset.identities.ts";
import { type MapState, mapState } from "./shardset.map.ts";
import { shardObjects } from "./shardset.objects.ts";
import type { World } from "./shardset.observe.ts";
import { type Rollout, rolloutOf } from "./shardset.rollout.ts";
import type { SettingsVerdict } from "./shardset.settings.ts";
import { type ShardState, shardStates } from "./shardset.shards.ts";
import { type VolumeState, volumeState } from "./shardset.volumes.ts";

/** What a reconcile of a ShardSet has read. */
export interface Observed {
  readonly world: World;
  readonly agents: Agents;
  /** Whether PostgreSQL takes the settings of the spec. */
  readonly settings: SettingsVerdict;
}

/** What is so: computed once a reconcile, read by plan and report. */
export interface Assessment extends Observed {
  readonly made: MadePki;
  readonly map: MapState;
  readonly identities: IdentityState;
  readonly volumes: VolumeState;
  readonly shards: readonly ShardState[];
  /** Which pods that do not follow the spec go now. A pod on a deleted volume keeps the data alive: it stays. */
  readonly rollout: Rollout;
  readonly databases: readonly DatabaseState[];
  readonly conditions: ShardSetConditions;
}

/** Puts facts together to states, problems and wanted objects. */
export function assessShardSet({ world, agents, settings }: Observed, made: MadePki): Assessment {
  const { target } = world;
  const map = mapState(world);
  const volumes = volumeState(world, map, made.problem);
  const objects = target.shards.map((shard) => shardObjects(target, shard));
  const identities = identityState(world, map, agents);
  const { ways } = identities;
  const shards = shardStates(world, { objects, agents, bucketCounts: map.counts, lost: volumes.lost, ways });
  const rollout = rolloutOf(shards, volumes.ending, settings);
  const databases = databaseStates(world.requests.accepted, agents, target.shards);
  const conditions = shardSetConditions(world, { shards, map, databases, made });
  return { world, agents, settings, made, map, identities, volumes, shards, rollout, databases, conditions };
}
