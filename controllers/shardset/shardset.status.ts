import type { ShardSetConditionType, ShardSetReason } from "../../crds/conditions.ts";
import type { ShardSetStatus, ShardStatus } from "../../crds/shardset.ts";
import { omitUndefined } from "../../lib/core/objects.ts";
import { tell } from "../../operator/runtime/actions.ts";
import { isRefusal } from "../../operator/runtime/aside.ts";
import { conditionsOf, findCondition } from "../../operator/runtime/conditions.ts";
import type { Run } from "../../operator/runtime/reconciler.ts";
import {
  announceReady,
  failureState,
  isTold,
  type ResourceState,
  type Summary,
  stuck,
  summaryOf,
  working,
} from "../../operator/runtime/summary.ts";
import type { Action } from "../../operator/runtime/types.ts";
import {
  type Check,
  type Checks,
  claimSizes,
  databaseStates,
  describe,
  endingVolumes,
  isNew,
  retainedProblem,
  type Scope,
  type ShardState,
  shardStates,
} from "./shardset.checks.ts";
import { podSelector } from "./shardset.desired.ts";
import { shardSetNames } from "./shardset.names.ts";
import { isEnding } from "./shardset.plan.ts";

/** Longest message of a shard in the status, as the schema says. */
const MESSAGE_MAX = 1_024;

/** The whole status of a ShardSet. */
export function computeShardSetStatus(scope: Scope, checks: Checks, run: Run): ShardSetStatus {
  const { observed } = scope;
  const states = shardStates(scope);
  const map = observed.map?.value;
  return omitUndefined({
    observedGeneration: observed.shardSet.metadata.generation ?? 0,
    conditions: conditionsOf(observed.shardSet, statements({ ...checks, ...summarise(scope, checks, run) }), run.now),
    shards: states.filter(({ shard }) => observed.claims.has(shard)).length,
    shardsReady: states.filter(({ ready }) => ready).length,
    labelSelector: podSelector(observed.shardSet.metadata.name),
    // A lost map stays known: it is what the new one is made from. One that is kept from an earlier ShardSet and does
    // not fit was never published by this one.
    map:
      map === undefined || retainedProblem(scope) !== undefined
        ? observed.shardSet.status?.map
        : { version: map.version, epoch: map.epoch },
    shardStatuses: states.map((state) => shardStatus(scope, state)),
    databases: databaseStates(scope).map(({ name, requestHash, shardsReady }) => ({ name, requestHash, shardsReady })),
  });
}

/** Tells the user once when Ready gets another reason, and when a request that cannot be read appears. */
export function announce(scope: Scope, checks: Checks, run: Run): Action[] {
  const before = scope.observed.shardSet.status?.conditions;
  const summary = summarise(scope, checks, run);
  // For a blocked deletion the names in the message are the news.
  const events = announceReady(before, summary, summary.ready.reason === "DeletionBlocked");
  const { databasesReady } = checks;
  const isInvalid = databasesReady.reason === "DatabaseRequestInvalid";
  if (isInvalid && !isTold(before, "DatabasesReady", { says: databasesReady, deep: true })) {
    events.push(tell("Warning", databasesReady.reason, databasesReady.message));
  }
  return events;
}

/** Condition Ready with its companions: the first thing that stands in the way, from the strangest to the usual. */
export function summarise(scope: Scope, checks: Checks, run: Omit<Run, "now">): Summary<ShardSetReason> {
  const state = stateOf(scope, checks, run);
  return summaryOf(state, run);
}

type State = ResourceState<ShardSetReason>;

function stateOf(scope: Scope, checks: Checks, run: Omit<Run, "now">): State {
  const failed = failureState(run.error);
  if (failed !== undefined) return failed;
  const { metadata } = scope.observed.shardSet;
  if (metadata.deletionTimestamp !== undefined) return deletionState(scope);
  const problem = retainedProblem(scope);
  if (problem !== undefined) return stuck("RetainedDataConflict", problem);
  if (checks.mapPublished.reason === "MapInvalid") return stuck("MapInvalid", checks.mapPublished.message);
  const states = shardStates(scope);
  const notReady = states.filter(({ ready }) => !ready);
  const ending = endingVolumes(scope).map(shardSetNames(scope.target.shardSet.name).instance);
  if (ending.length > 0) {
    const list = ending.join(", ");
    return stuck(
      "VolumeDeleting",
      `PersistentVolumeClaims ${list} are deleted and go with their pods; before a pod ends, set the reclaim policy of its PersistentVolume to Retain`,
    );
  }
  if (notReady.length > 0) return unreadyState(scope, states, notReady);
  const outdated = states.filter((state) => state.outdated);
  if (outdated.length > 0) {
    const done = states.length - outdated.length;
    return working("Updating", `${done} of ${states.length} pods follow the spec`);
  }
  if (checks.mapPublished.status !== "True") return working("MapPending", checks.mapPublished.message);
  return storageState(scope, run.asideError) ?? readyState(states);
}

function readyState(states: readonly ShardState[]): State {
  const message = `${states.length} of ${states.length} shards accept writes`;
  return { kind: "ready", ready: { status: "True", reason: "Ready", message } };
}

/** Why shards are not ready: what only people can change first, then what the controller itself is doing. */
function unreadyState(scope: Scope, states: readonly ShardState[], notReady: readonly ShardState[]): State {
  const message = `${states.length - notReady.length} of ${states.length} shards are ready; ${describe(notReady)}`;
  const lost = notReady.find(({ reason }) => reason === "VolumeLost");
  if (lost !== undefined) return stuck("VolumeLost", message);
  const refused = notReady.find(({ agent }) => agent?.reason === "DataRefused" || agent?.reason === "ConfigInvalid");
  if (refused !== undefined) return stuck("ShardNotReady", message);
  if (states.some(({ outdated }) => outdated)) return working("Updating", message);
  if (isNew(scope.observed.shardSet) || !wasReady(scope)) return working("Provisioning", message);
  const isNewShard = ({ shard, bucketCount }: ShardState): boolean =>
    bucketCount === 0 &&
    !scope.observed.shardSet.status?.shardStatuses?.some((known) => known.shard === shard && known.ready);
  if (notReady.every(isNewShard)) return working("ScalingUp", message);
  return working(notReady[0]?.reason === "AgentUnreachable" ? "AgentUnreachable" : "ShardNotReady", message);
}

/** True when every shard has been ready at some time: what is missing now was there before. */
function wasReady({ observed }: Scope): boolean {
  const reason = findCondition(observed.shardSet.status?.conditions, "Ready")?.reason;
  return reason !== undefined && reason !== "Provisioning";
}

function storageState(scope: Scope, growthError: Error | undefined): State | undefined {
  const { toGrow, larger, growing } = claimSizes(scope);
  const { size } = scope.target.spec.storage;
  if (growthError !== undefined && toGrow.length > 0) {
    return isRefusal(growthError)
      ? stuck("StorageExpansionUnsupported", growthError.message)
      : failureState(growthError);
  }
  if (larger.length > 0) {
    const list = larger.map((shard) => `shard ${shard} has ${scope.observed.claims.get(shard)?.requested ?? "?"}`);
    return stuck("StorageShrinkRefused", `storage.size is ${size}, but ${list.join(", ")}`);
  }
  if (growing.length === 0) return undefined;
  return working("StorageExpanding", `volumes of shards ${growing.join(", ")} grow to ${size}`);
}

function deletionState(scope: Scope): State {
  if (!isEnding(scope)) {
    const { ledgers } = scope.observed;
    return stuck(
      "DeletionBlocked",
      `waits for the deletion of ${ledgers.map((name) => `CreditLedger ${name}`).join(", ")}`,
    );
  }
  const pods = scope.observed.pods.size;
  return working("Deleting", pods > 0 ? `${pods} pods are ending` : "the ShardSet's objects are being removed");
}

function statements(checks: Checks & Summary<ShardSetReason>): [ShardSetConditionType, Check][] {
  return [
    ["Ready", checks.ready],
    ["Reconciling", checks.reconciling],
    ["Stalled", checks.stalled],
    ["Available", checks.available],
    ["MapPublished", checks.mapPublished],
    ["Balanced", checks.balanced],
    ["DatabasesReady", checks.databasesReady],
  ];
}

function shardStatus({ observed }: Scope, state: ShardState): ShardStatus {
  const before = observed.shardSet.status?.shardStatuses?.find(({ shard }) => shard === state.shard);
  return omitUndefined({
    shard: state.shard,
    ready: state.ready,
    primary: state.pod?.name,
    // A lost map does not take away the memory of who owned what: the new map is made from it.
    bucketCount: observed.map?.value === undefined ? (before?.bucketCount ?? 0) : state.bucketCount,
    epoch: state.agent?.epoch ?? before?.epoch,
    postgresVersion: state.agent?.postgresVersion ?? before?.postgresVersion,
    message: state.message?.slice(0, MESSAGE_MAX),
  });
}
