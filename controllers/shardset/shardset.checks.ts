import type { AgentStatus } from "../../crds/agent-status.ts";
import type { ShardSetReason } from "../../crds/conditions.ts";
import { requestHash } from "../../crds/database-request.ts";
import { LABELS } from "../../crds/group.ts";
import { compareQuantities } from "../../crds/quantity.ts";
import type { ShardSet } from "../../crds/shardset.ts";
import { BUCKET_COUNT, proposeOwners } from "../../lib/core/ring.ts";
import type { ShardMap } from "../../lib/core/shard-map.ts";
import type { Statement } from "../../operator/runtime/summary.ts";
import { podHash, shardIndexes, type Target } from "./shardset.desired.ts";
import type { ObservedPod } from "./shardset.facts.ts";
import type { Material } from "./shardset.material.ts";
import { ownLabels, shardSetNames } from "./shardset.names.ts";
import type { Agents, Observed } from "./shardset.observe.ts";

// What is so, in words with numbers. The plan asks these questions to decide, the status prints the answers.

/** All that decisions are made from. */
export interface Scope {
  readonly observed: Observed;
  readonly target: Target;
  readonly material: Material;
  readonly agents: Agents;
}

/** A condition without its time. */
export type Check = Statement<ShardSetReason>;

/** State of one shard. */
export interface ShardState {
  readonly shard: number;
  readonly ready: boolean;
  /** Why not, as a sentence. */
  readonly message: string | undefined;
  readonly reason: ShardSetReason;
  readonly bucketCount: number;
  readonly pod: ObservedPod | undefined;
  /** The pod was made from another spec or by another version of the program. */
  readonly outdated: boolean;
  readonly agent: AgentStatus | undefined;
}

/** The conditions of the kind, beside the three of kstatus. */
export interface Checks {
  readonly available: Check;
  readonly mapPublished: Check;
  readonly balanced: Check;
  readonly databasesReady: Check;
}

/** States of all shards of the spec, in order. */
export function shardStates(scope: Scope): ShardState[] {
  const counts = bucketCounts(scope.observed.map?.value);
  return shardIndexes(scope.target).map((shard) => {
    const pod = scope.observed.pods.get(shard);
    const agent = scope.agents.get(shard);
    const problem = shardProblem(scope, shard);
    return {
      shard,
      ready: problem === undefined,
      message: problem?.message,
      reason: problem?.reason ?? "Ready",
      bucketCount: counts.get(shard) ?? 0,
      pod,
      outdated: pod !== undefined && pod.configHash !== podHash(scope.target, shard),
      agent,
    };
  });
}

function shardProblem(
  scope: Scope,
  shard: number,
): { readonly reason: ShardSetReason; readonly message: string } | undefined {
  const { observed, target, agents } = scope;
  const name = shardSetNames(target.shardSet.name).instance(shard);
  if (lostVolumes(scope).includes(shard)) {
    const labels = Object.entries({ ...ownLabels(target.shardSet.name), [LABELS.shard]: String(shard) });
    const list = labels.map(([label, value]) => `${label}=${value}`).join(", ");
    return { reason: "VolumeLost", message: `volume ${name} is gone; restore it under this name with labels ${list}` };
  }
  const pod = observed.pods.get(shard);
  if (pod === undefined) return { reason: "Provisioning", message: `pod ${name} does not exist yet` };
  if (pod.deleting) return { reason: "ShardNotReady", message: `pod ${name} is ending` };
  const agent = agents.get(shard);
  if (agent?.ready === true) return undefined;
  if (agent !== undefined) return { reason: "ShardNotReady", message: `${agent.reason}: ${agent.message}` };
  if (pod.problem !== undefined) return { reason: "Provisioning", message: `pod ${name}: ${pod.problem}` };
  if (pod.phase !== "Running") return { reason: "Provisioning", message: `pod ${name} is ${pod.phase}` };
  return { reason: "AgentUnreachable", message: `the agent of pod ${name} does not answer` };
}

/** Buckets of each shard that owns some. */
export function bucketCounts(map: ShardMap | undefined): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const owner of map?.owners ?? []) counts.set(owner, (counts.get(owner) ?? 0) + 1);
  return counts;
}

/** True until this very ShardSet has published a map: what is there already was left by an earlier one of its name. */
export function isNew(shardSet: ShardSet): boolean {
  return shardSet.status?.map === undefined;
}

/** True when volumes or map were made by an earlier ShardSet of this name and this one has not taken them over. */
export function isForeignData({ observed }: Pick<Scope, "observed">): boolean {
  const { uid = "" } = observed.shardSet.metadata;
  const data = [...observed.claims.values(), ...(observed.map === undefined ? [] : [observed.map])];
  return isNew(observed.shardSet) && data.some(({ createdFor }) => createdFor !== uid);
}

/**
 * Shards that own buckets but have no volume. Volumes are made before the map, so this is never an interrupted
 * creation: the data is gone, and an empty volume in its place would look like an empty database.
 */
export function lostVolumes({ observed }: Pick<Scope, "observed">): number[] {
  // Who lost volumes may have lost the map with them: then the status still knows who owned what.
  const owners =
    observed.map?.value === undefined ? rememberedOwners(observed.shardSet) : bucketCounts(observed.map.value);
  return [...owners.keys()].filter((shard) => !observed.claims.has(shard)).sort((a, b) => a - b);
}

/** Shards whose volume was deleted and is still there only because their pod uses it. */
export function endingVolumes({ observed }: Pick<Scope, "observed">): number[] {
  return [...observed.claims.values()]
    .filter(({ deleting }) => deleting)
    .map(({ shard }) => shard)
    .sort((a, b) => a - b);
}

/** Buckets of each shard that owns some, as the status remembers the map that this very ShardSet published. */
function rememberedOwners({ status }: ShardSet): ReadonlyMap<number, number> {
  const states = status?.map === undefined ? [] : (status.shardStatuses ?? []);
  const owners = states.filter(({ bucketCount }) => bucketCount > 0);
  return new Map(owners.map(({ shard, bucketCount }) => [shard, bucketCount]));
}

/** Why data that an earlier ShardSet of this name left behind cannot be taken over; `undefined` when it can. */
export function retainedProblem(scope: Scope): string | undefined {
  const { observed, target, material } = scope;
  if (!isNew(observed.shardSet)) return material.problem;
  const names = shardSetNames(target.shardSet.name);
  const map = observed.map;
  const isOurs = (createdFor: string | undefined): boolean => createdFor === target.shardSet.uid;
  if (map === undefined) {
    const foreign = [...observed.claims.values()].filter(({ createdFor }) => !isOurs(createdFor));
    if (foreign.length === 0) return material.problem;
    return `volumes ${foreign.map(({ name }) => name).join(", ")} are kept, but ConfigMap ${names.map} is missing; restore it, or delete the volumes`;
  }
  if (isOurs(map.createdFor)) return material.problem;
  if (map.value === undefined) return `ConfigMap ${names.map} is kept, but cannot be read; restore it from a good copy`;
  const shards = Math.max(...bucketCounts(map.value).keys()) + 1;
  if (shards > target.spec.shards) {
    return `ConfigMap ${names.map} is kept and names ${shards} shards, but spec.shards is ${target.spec.shards}`;
  }
  if (observed.caKey === undefined || observed.ca === undefined) {
    const missing = observed.caKey === undefined ? names.caKey : names.ca;
    return `ConfigMap ${names.map} is kept, but Secret ${missing} is missing; restore it`;
  }
  if (material.problem !== undefined) {
    return `ConfigMap ${names.map} is kept, but Secret ${names.caKey} holds no usable CA; restore it`;
  }
  const lost = lostVolumes(scope).map(names.instance);
  return lost.length === 0
    ? undefined
    : `ConfigMap ${names.map} is kept, but volumes ${lost.join(", ")} are missing; restore them`;
}

/**
 * The map to publish: the ring's proposal for a new ShardSet. A map that was lost is made anew from what the status
 * remembers, with a higher epoch; as long as no bucket can move, the ring's proposal is the only map there can be.
 * @returns `undefined` when the lost map cannot be told
 */
export function wantedMap({ observed, target }: Pick<Scope, "observed" | "target">): ShardMap | undefined {
  const { status } = observed.shardSet;
  if (status?.map === undefined) return { version: 1, epoch: 1, owners: proposeOwners(target.spec.shards) };
  const remembered = rememberedOwners(observed.shardSet);
  const owners = remembered.size === 0 ? [] : proposeOwners(remembered.size);
  const counts = bucketCounts({ version: 1, epoch: 1, owners });
  const fits = owners.length > 0 && [...remembered].every(([shard, count]) => counts.get(shard) === count);
  return fits ? { version: status.map.version, epoch: status.map.epoch + 1, owners } : undefined;
}

/** Claims whose size is not the spec's, by shard: smaller ones grow, larger ones stay. */
export function claimSizes({ observed, target }: Pick<Scope, "observed" | "target">): {
  /** Bound and smaller. */
  readonly toGrow: readonly number[];
  readonly larger: readonly number[];
  /** Not there yet, for whatever reason. */
  readonly growing: readonly number[];
} {
  const { size } = target.spec.storage;
  const claims = shardIndexes(target).flatMap((shard) => observed.claims.get(shard) ?? []);
  const compared = claims.map((claim) => ({
    ...claim,
    order: compareQuantities(claim.requested, size) ?? 0,
    isFull: claim.capacity === undefined || (compareQuantities(claim.capacity, claim.requested) ?? 0) >= 0,
  }));
  const shardsOf = (test: (claim: (typeof compared)[number]) => boolean): number[] =>
    compared.filter(test).map(({ shard }) => shard);
  return {
    // The server refuses to change a claim that has no volume yet.
    toGrow: shardsOf(({ order, capacity }) => order < 0 && capacity !== undefined),
    larger: shardsOf(({ order }) => order > 0),
    growing: shardsOf(({ order, isFull }) => order < 0 || !isFull),
  };
}

/** The conditions of the kind. */
export function checkAll(scope: Scope): Checks {
  const states = shardStates(scope);
  return {
    available: checkAvailable(scope, states),
    mapPublished: checkMap(scope, states),
    balanced: checkBalanced(scope, states),
    databasesReady: checkDatabases(scope),
  };
}

function checkAvailable({ observed }: Scope, states: readonly ShardState[]): Check {
  if (observed.map?.value === undefined) return no("MapPending", "no shard owns buckets yet");
  const owners = states.filter(({ bucketCount }) => bucketCount > 0);
  const down = owners.filter(({ ready }) => !ready);
  if (down.length === 0)
    return yes("ShardsAvailable", `${owners.length} of ${owners.length} shards that own buckets accept writes`);
  const buckets = down.reduce((sum, { bucketCount }) => sum + bucketCount, 0);
  return no("ShardUnavailable", `${buckets} of ${BUCKET_COUNT} buckets cannot be written: ${describe(down)}`);
}

function checkMap({ observed, target }: Scope, states: readonly ShardState[]): Check {
  const { map } = observed;
  const name = shardSetNames(target.shardSet.name).map;
  if (map === undefined) {
    if (wantedMap({ observed, target }) === undefined)
      return no("MapInvalid", `ConfigMap ${name} is gone; restore it from a good copy`);
    return no("MapPending", `ConfigMap ${name} does not exist yet`);
  }
  if (map.value === undefined) return no("MapInvalid", `ConfigMap ${name} cannot be read; restore it from a good copy`);
  const { version } = map.value;
  const behind = states.filter(({ ready, agent }) => ready && agent?.mapVersion !== version);
  if (behind.length > 0) {
    const list = behind.map(({ shard, agent }) => `shard ${shard} has version ${agent?.mapVersion ?? 0}`).join(", ");
    return no("MapPending", `version ${version} is published; ${list}`);
  }
  return yes("MapPublished", `version ${version} is published and in use`);
}

function checkBalanced({ observed }: Scope, states: readonly ShardState[]): Check {
  if (observed.map?.value === undefined) return no("MapPending", "no shard owns buckets yet");
  const empty = states.filter(({ bucketCount }) => bucketCount === 0).map(({ shard }) => shard);
  if (empty.length === 0) return yes("Balanced", `${BUCKET_COUNT} buckets on ${states.length} shards`);
  return no(
    "MoveUnavailable",
    `${empty.length === 1 ? `shard ${empty[0]} owns` : `shards ${empty.join(", ")} own`} no bucket, because moving data between shards is not available yet`,
  );
}

function checkDatabases(scope: Scope): Check {
  const { accepted, problems } = scope.observed.requests;
  if (problems.length > 0) return no("DatabaseRequestInvalid", problems.join("; "));
  if (accepted.length === 0) return yes("NoDatabases", "no database is requested");
  const pending = databaseStates(scope).filter(({ missing }) => missing.length > 0);
  if (pending.length === 0)
    return yes("DatabasesReady", `${accepted.length} of ${accepted.length} requests are carried out on all shards`);
  const list = pending.map(
    ({ name, missing }) => `${name}: ${missing.map(({ shard, why }) => `shard ${shard} ${why}`).join(", ")}`,
  );
  return no("DatabasesPending", list.join("; "));
}

/** What became of each accepted request, by database. */
export function databaseStates({ observed, target, agents }: Scope): {
  readonly name: string;
  readonly requestHash: string;
  readonly shardsReady: number;
  readonly missing: readonly { readonly shard: number; readonly why: string }[];
}[] {
  return observed.requests.accepted.map((request) => {
    const hash = requestHash(request);
    const missing = shardIndexes(target).flatMap((shard) => {
      const answer = agents.get(shard)?.databases.find(({ database }) => database === request.database);
      if (answer?.requestHash === hash && answer.ready) return [];
      const why = answer?.requestHash === hash ? (answer.message ?? "is working on it") : "has not answered to it yet";
      return [{ shard, why }];
    });
    return {
      name: request.database,
      requestHash: hash,
      shardsReady: target.spec.shards - missing.length,
      missing,
    };
  });
}

/** Shards that are not ready, each with its reason. */
export function describe(states: readonly ShardState[]): string {
  return states.map(({ shard, message }) => `shard ${shard}: ${message ?? "ready"}`).join("; ");
}

function yes(reason: ShardSetReason, message: string): Check {
  return { status: "True", reason, message };
}

function no(reason: ShardSetReason, message: string): Check {
  return { status: "False", reason, message };
}
