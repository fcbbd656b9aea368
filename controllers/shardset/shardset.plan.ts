import { RESOURCES, type ResourceType } from "../../lib/kube/types.ts";
import { apply, create, remove } from "../../operator/runtime/actions.ts";
import type { Action, Plan } from "../../operator/runtime/types.ts";
import {
  claimSizes,
  endingVolumes,
  isForeignData,
  lostVolumes,
  retainedProblem,
  type Scope,
  shardStates,
  wantedMap,
} from "./shardset.checks.ts";
import {
  desiredCa,
  desiredCaKey,
  desiredClaim,
  desiredDatabases,
  desiredLease,
  desiredMap,
  desiredOperatorTls,
  desiredPod,
  desiredRole,
  desiredRoleBinding,
  desiredService,
  desiredServiceAccount,
  desiredShardTls,
  shardIndexes,
} from "./shardset.desired.ts";
import { shardSetNames } from "./shardset.names.ts";

// What to do next for one ShardSet.
//
//   CA ──► access, Leases, requests ──► volumes ──► map ──► certificates ──► pods ──► Services
//
// Volumes come before the map: a map without the volume of an owning shard then means lost data, never an interrupted
// start. Pods come after their certificates: a pod that waits for a Secret is tried again by its kubelet only after
// minutes. Services come last, because no pod needs them: one that somebody edited (a field conflict stops the plan)
// must not keep a shard down. All missing pods are made at once, but a pod is replaced for a new spec only while every
// other shard is ready, so that a bad setting stops at the first shard.
//
//   deletion: ledgers on it ──► goes on as ever, and says for whom it waits
//             none ──► pods ──gone──► everything owned ──► Delete: volumes, map, CA ──► finalizer off

/** Agents are asked this often while something is not as it should be, and at rest. */
export const POLL_UNREADY_SECONDS = 2;
export const POLL_READY_SECONDS = 15;

/**
 * A pod that ended this soon after it was made was turned away by its node; the next one would be too. At this pace the
 * cluster bears it until somebody has helped.
 */
export const ENDED_POD_LIFETIME_MS = 10_000;

/** The steps towards the spec, or towards the end. @param now milliseconds since the epoch */
export function planShardSet(scope: Scope, now: number): Plan {
  if (isEnding(scope)) return planDeletion(scope);
  // Kept data that does not fit is a decision for people: nothing is made beside it.
  if (retainedProblem(scope) !== undefined) return { actions: [] };
  const states = shardStates(scope);
  const isAtRest = states.every(({ ready, outdated }) => ready && !outdated);
  return {
    actions: [
      ...makeAuthority(scope),
      ...makeAccess(scope),
      ...makeLeases(scope),
      apply(
        desiredDatabases(scope.target, scope.observed.requests.accepted),
        `${scope.observed.requests.accepted.length} database requests`,
      ),
      ...makeVolumes(scope),
      ...makeMap(scope),
      ...makeCertificates(scope),
      ...makePods(scope, now),
      ...shardIndexes(scope.target).map((shard) =>
        apply(desiredService(scope.target, shard), `address of shard ${shard}`),
      ),
    ],
    requeueAfterSeconds: isAtRest ? POLL_READY_SECONDS : POLL_UNREADY_SECONDS,
  };
}

/**
 * Volumes that are to grow. Apart from the rest, because a StorageClass may refuse and nothing else should wait for it.
 */
export function planGrowth(scope: Scope): Plan {
  if (isEnding(scope) || retainedProblem(scope) !== undefined) return { actions: [] };
  const { shardSet, spec } = scope.target;
  return {
    actions: claimSizes(scope).toGrow.map((shard) => ({
      type: "patch",
      resource: RESOURCES.PersistentVolumeClaim,
      namespace: shardSet.namespace,
      name: shardSetNames(shardSet.name).instance(shard),
      patch: { spec: { resources: { requests: { storage: spec.storage.size } } } },
      note: `volume of shard ${shard} grows from ${scope.observed.claims.get(shard)?.requested ?? "?"} to ${spec.storage.size}`,
    })),
  };
}

/** True when the ShardSet is being deleted and nobody uses it any more. */
export function isEnding({ observed }: Pick<Scope, "observed">): boolean {
  return observed.shardSet.metadata.deletionTimestamp !== undefined && observed.ledgers.length === 0;
}

function makeAuthority({ observed, target, material }: Scope): Action[] {
  if (observed.caKey === undefined) {
    return material.ca === undefined ? [] : [create(desiredCaKey(target, material.ca), "there is no CA yet")];
  }
  const signing = observed.caKey.value?.certPem;
  if (signing === undefined) return [];
  return [apply(desiredCa(target, trustBundle(observed.ca?.value, signing)), "clients trust the CA that signs now")];
}

/** The bundle with the signing CA in it; CAs that are trusted already stay. */
function trustBundle(bundle: string | undefined, signing: string): string {
  if (bundle === undefined) return signing;
  return bundle.includes(signing.trim()) ? bundle : `${bundle.trimEnd()}\n${signing}`;
}

function makeAccess({ target }: Scope): Action[] {
  return [
    apply(desiredServiceAccount(target), "identity of the agents"),
    apply(desiredRole(target), `Leases of ${target.spec.shards} shards, map and databases, by name`),
    apply(desiredRoleBinding(target), "the agents' identity gets the Role"),
  ];
}

function makeLeases({ observed, target }: Scope): Action[] {
  return shardIndexes(target)
    .filter((shard) => !observed.leases.has(shard))
    .map((shard) => create(desiredLease(target, shard), `shard ${shard} has no Lease yet`));
}

function makeVolumes(scope: Scope): Action[] {
  const { observed, target } = scope;
  const lost = new Set(lostVolumes(scope));
  return shardIndexes(target)
    .filter((shard) => !observed.claims.has(shard) && !lost.has(shard))
    .map((shard) =>
      create(desiredClaim(target, shard), `shard ${shard} has no volume yet: ${target.spec.storage.size}`),
    );
}

function makeMap({ observed, target }: Scope): Action[] {
  if (observed.map !== undefined) return [];
  const map = wantedMap({ observed, target });
  if (map === undefined) return [];
  const why = map.epoch === 1 ? "there is no shard map yet" : "the shard map is gone and is made anew";
  return [create(desiredMap(target, map), `${why}: version ${map.version}, epoch ${map.epoch}`)];
}

function makeCertificates({ observed, target, material }: Scope): Action[] {
  const signing = observed.caKey?.value?.certPem;
  if (signing === undefined) return [];
  const bundle = trustBundle(observed.ca?.value, signing);
  const operator = material.operator?.pair ?? observed.operatorTls?.value;
  const operatorNote = noteOf("client certificate of the controller", material.operator);
  return [
    ...(operator === undefined ? [] : [apply(desiredOperatorTls(target, operator, bundle), operatorNote)]),
    ...shardIndexes(target).flatMap((shard) => {
      const made = material.shards.get(shard);
      const pair = made?.pair ?? observed.shardTls.get(shard)?.value;
      if (pair === undefined) return [];
      return [apply(desiredShardTls(target, shard, { pair, bundle }), noteOf(`certificate of shard ${shard}`, made))];
    }),
  ];
}

function noteOf(what: string, made: { readonly why: string } | undefined): string {
  return made === undefined ? `${what} is good` : `new ${what}: ${made.why}`;
}

function makePods(scope: Scope, now: number): Action[] {
  const { observed, target, material } = scope;
  const lost = new Set(lostVolumes(scope));
  const states = shardStates(scope);
  // The last pod on a deleted volume keeps its data alive: it is not we who let it go.
  const ending = new Set(endingVolumes(scope));
  const replaced = nextToReplace(
    states.map((state) => ({ ...state, outdated: state.outdated && !ending.has(state.shard) })),
  );
  return states.flatMap(({ shard, pod, outdated }) => {
    if (pod === undefined) {
      const hasCertificate = observed.shardTls.has(shard) || material.shards.has(shard);
      if (!hasCertificate || lost.has(shard) || ending.has(shard)) return [];
      return [create(desiredPod(target, shard), `shard ${shard} has no pod`)];
    }
    if (pod.deleting) return [];
    if (pod.phase === "Failed" || pod.phase === "Succeeded") {
      if (isYoung(pod, now)) return [];
      return [remover(scope, `pod of shard ${shard} has ended (${pod.phase}) and is made anew`)(RESOURCES.Pod, pod)];
    }
    if (outdated && shard === replaced) {
      return [remover(scope, `pod of shard ${shard} is replaced to follow the spec`)(RESOURCES.Pod, pod)];
    }
    return [];
  });
}

/** False also for a pod from the future: our clock is wrong then, and nothing may wait for it. */
function isYoung({ createdAt }: { readonly createdAt: number | undefined }, now: number): boolean {
  return createdAt !== undefined && now >= createdAt && now - createdAt < ENDED_POD_LIFETIME_MS;
}

/**
 * The one shard whose outdated pod may go now: one that is down anyway, else the first while all shards are ready.
 * @returns `undefined` when none may
 */
function nextToReplace(states: ReturnType<typeof shardStates>): number | undefined {
  const outdated = states.filter((state) => state.outdated);
  const down = outdated.find(({ ready }) => !ready);
  if (down !== undefined) return down.shard;
  return states.every(({ ready }) => ready) ? outdated[0]?.shard : undefined;
}

function planDeletion(scope: Scope): Plan {
  const { observed } = scope;
  const removeOurs = remover(scope, "the ShardSet is being deleted");
  const pods = [...observed.pods.values()].sort((a, b) => a.shard - b.shard);
  if (pods.length > 0) {
    // PostgreSQL ends in order, with its Lease, Secrets and Service still there.
    const actions = pods.filter(({ deleting }) => !deleting).map((pod) => removeOurs(RESOURCES.Pod, pod));
    return { actions, requeueAfterSeconds: POLL_READY_SECONDS };
  }
  return {
    actions: [
      ...observed.owned.map((object) => removeOurs(object.resource, object)),
      ...(observed.shardSet.spec.deletionPolicy === "Delete" ? removeKept(scope) : []),
    ],
    isCleanedUp: true,
  };
}

function removeKept(scope: Scope): Action[] {
  // Refused data stays whoever's it was: a ShardSet that never used it must not take it away with itself.
  if (isForeignData(scope)) return [];
  const { claims, map, ca, caKey } = scope.observed;
  const removeOurs = remover(scope, "deletionPolicy is Delete");
  return [
    ...[...claims.values()]
      .sort((a, b) => a.shard - b.shard)
      .map((claim) => removeOurs(RESOURCES.PersistentVolumeClaim, claim)),
    ...(map === undefined ? [] : [removeOurs(RESOURCES.ConfigMap, map)]),
    ...[ca, caKey].filter((secret) => secret !== undefined).map((secret) => removeOurs(RESOURCES.Secret, secret)),
  ];
}

/** A function that deletes objects of ours for one reason. */
function remover({ target }: Pick<Scope, "target">, note: string): (resource: ResourceType, object: Found) => Action {
  const { namespace } = target.shardSet;
  return (resource, { name, uid }) => remove({ resource, namespace, name, uid }, note);
}

interface Found {
  readonly name: string;
  readonly uid: string | undefined;
}
