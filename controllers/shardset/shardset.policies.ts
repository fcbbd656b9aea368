import type { ShardSetReason } from "../../crds/conditions.ts";
import { isRefusal } from "../../operator/runtime/aside.ts";
import { failureState, type ResourceState, ready, stuck, working } from "../../operator/runtime/summary.ts";
import type { Policy } from "../kit/conditions.ts";
import type { Assessment } from "./shardset.assess.ts";
import type { Rollout } from "./shardset.rollout.ts";
import { describe, type ShardState } from "./shardset.shards.ts";

type State = ResourceState<ShardSetReason>;

/** What the state is found from. */
export interface Standing extends Assessment {
  /** Why volumes did not grow. */
  readonly growthError: Error | undefined;
}

/** Where a ShardSet stands: what the first check that finds something says. The rarest findings come first. */
export const SHARD_SET_POLICIES: readonly Policy<Standing, State>[] = [
  ["it is being deleted", deletion],
  ["kept data does not fit", keptData],
  ["the CA cannot be used", authority],
  ["the map cannot be read", map],
  ["a volume is about to go", endingVolumes],
  ["PostgreSQL refuses a setting", refusedSettings],
  ["a shard is not ready", unreadyShards],
  ["a pod does not follow the spec", outdatedPods],
  ["the map is not in use everywhere", mapInUse],
  ["a volume is not of the spec's size", storage],
  ["all is as it should be", rest],
];

function deletion({ world }: Standing): State | undefined {
  const { shardSet, isEnding, ledgers, pods } = world;
  if (shardSet.metadata.deletionTimestamp === undefined) return undefined;
  if (isEnding) {
    return working(
      "Deleting",
      pods.size > 0 ? `${pods.size} pods are ending` : "the ShardSet's objects are being removed",
    );
  }
  const names = ledgers.map((name) => `CreditLedger ${name}`).join(", ");
  return { ...stuck("DeletionBlocked", `waits for the deletion of ${names}`), news: "message" };
}

function keptData({ volumes }: Standing): State | undefined {
  return volumes.conflict === undefined ? undefined : stuck("RetainedDataConflict", volumes.conflict);
}

function authority({ made }: Standing): State | undefined {
  return made.problem === undefined ? undefined : stuck("AuthorityInvalid", made.problem);
}

function map({ conditions }: Standing): State | undefined {
  const { reason, message } = conditions.MapPublished;
  return reason === "MapInvalid" ? stuck("MapInvalid", message) : undefined;
}

function endingVolumes({ world, volumes }: Standing): State | undefined {
  if (volumes.ending.length === 0) return undefined;
  const list = volumes.ending.map(world.target.names.instance).join(", ");
  return stuck(
    "VolumeDeleting",
    `PersistentVolumeClaims ${list} are deleted and go with their pods; before a pod ends, set the reclaim policy of its PersistentVolume to Retain`,
  );
}

/** What only people can mend, the worst first. */
const FOR_PEOPLE: readonly ShardSetReason[] = ["VolumeLost", "DataLost", "DataRefused"];

/** Pods of the present spec only: what an earlier one broke is replaced. */
function refusedSettings({ world, shards, settings }: Standing): State | undefined {
  const notReady = shards.filter(({ ready: isReady }) => !isReady);
  // Worse than settings, and not mended with them.
  if (notReady.some(({ reason }) => FOR_PEOPLE.includes(reason))) return undefined;
  const counted = `${shards.length - notReady.length} of ${shards.length} shards are ready`;
  const rest = notReady.length === 0 ? "" : `; ${describe(notReady)}`;
  if (settings.outcome === "refused") {
    const { setting, message } = settings;
    const value = setting === undefined ? "" : ` '${world.target.spec.postgres.parameters[setting] ?? ""}'`;
    return stuck(
      "SettingsRefused",
      `${fieldOf(setting)}${value} is refused by PostgreSQL: ${message}. No pod is replaced until it is changed; ${counted}${rest}`,
    );
  }
  const broken = notReady.find(
    ({ agent, difference }) =>
      difference === undefined && (agent?.reason === "ConfigInvalid" || agent?.setting !== undefined),
  );
  if (broken === undefined) return undefined;
  return stuck("SettingsRefused", `${counted}${rest}. Change ${fieldOf(broken.agent?.setting)}`);
}

function fieldOf(setting: string | undefined): string {
  return `spec.postgres.parameters${setting === undefined ? "" : `.${setting}`}`;
}

/** Why shards are not ready: what only people can change first, then what the controller itself is doing. */
function unreadyShards(standing: Standing): State | undefined {
  const { world, shards, rollout } = standing;
  const notReady = shards.filter(({ ready: isReady }) => !isReady);
  if (notReady.length === 0) return undefined;
  const counted = `${shards.length - notReady.length} of ${shards.length} shards are ready; ${describe(notReady)}`;
  const message = withWaits(counted, rollout);
  const forPeople = FOR_PEOPLE.find((wanted) => notReady.some(({ reason }) => reason === wanted));
  if (forPeople !== undefined) return stuck(forPeople, message);
  if (notReady.some(({ needsPerson }) => needsPerson)) return stuck("StartBlocked", message);
  if (notReady.some(({ agent }) => agent?.reason === "DiskFull")) {
    // Whoever has raised storage.size wants to know what became of it.
    const growth = storage(standing);
    return stuck(
      "DiskFull",
      growth === undefined ? message : `${message}; ${growth.ready.reason}: ${growth.ready.message}`,
    );
  }
  if (shards.some(({ difference }) => difference !== undefined)) return working("Updating", message);
  const { status } = world.shardSet;
  if (world.isNew || status?.initialized !== true) return working("Provisioning", message);
  const isNewShard = ({ shard, bucketCount }: ShardState): boolean =>
    bucketCount === 0 && !status.shardStatuses?.some((known) => known.shard === shard && known.ready);
  if (notReady.every(isNewShard)) return working("ScalingUp", message);
  return working(notReady[0]?.reason === "AgentUnreachable" ? "AgentUnreachable" : "ShardNotReady", message);
}

function withWaits(message: string, { waits }: Rollout): string {
  return waits === undefined ? message : `${message}; ${waits}`;
}

function outdatedPods({ shards, rollout }: Standing): State | undefined {
  const outdated = shards.filter(({ difference }) => difference !== undefined);
  if (outdated.length === 0) return undefined;
  const counted = `${shards.length - outdated.length} of ${shards.length} pods follow the spec`;
  return working("Updating", withWaits(counted, rollout));
}

function mapInUse({ conditions }: Standing): State | undefined {
  const { status, message } = conditions.MapPublished;
  return status === "True" ? undefined : working("MapPending", message);
}

function storage({ world, volumes, growthError }: Standing): State | undefined {
  const { size } = world.target.spec.storage;
  if (growthError !== undefined && volumes.toGrow.length > 0) {
    return isRefusal(growthError)
      ? stuck("StorageExpansionUnsupported", growthError.message)
      : failureState(growthError);
  }
  if (volumes.larger.length > 0) {
    const list = volumes.larger.map((shard) => `shard ${shard} has ${world.claims.get(shard)?.requested ?? "?"}`);
    return stuck("StorageShrinkRefused", `storage.size is ${size}, but ${list.join(", ")}`);
  }
  if (volumes.growing.length === 0) return undefined;
  return working("StorageExpanding", `volumes of shards ${volumes.growing.join(", ")} grow to ${size}`);
}

function rest({ shards }: Standing): State {
  return ready(`${shards.length} of ${shards.length} shards accept writes`);
}
