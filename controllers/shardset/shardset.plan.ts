import { formatIdentities, type ShardIdentity } from "../../lib/core/shard-identity.ts";
import { type ObjectIdentity, RESOURCES } from "../../lib/kube/types.ts";
import {
  apply,
  create,
  inOrder,
  nameOf,
  patch,
  remove,
  removeUnchanged,
  warn,
} from "../../operator/runtime/actions.ts";
import type { Action, Plan } from "../../operator/runtime/types.ts";
import { accessActions } from "../kit/access.ts";
import { trafficActions } from "../kit/network.ts";
import { pkiActions } from "../kit/pki/objects.ts";
import type { Assessment } from "./shardset.assess.ts";
import type { ObservedPod } from "./shardset.facts.ts";
import { agentIdentity, databasesSecret, mapConfigMap, shardNetworkPolicy } from "./shardset.objects.ts";

// What to do next for one ShardSet.
//
//   CA ──► access, Leases, requests ──► volumes ──► map ──► certificates ──► pods ──► Services
//
// Volumes come before the map: a map without the volume of an owning shard then means lost data, never an interrupted
// start. What is known of the shards' data is recorded with the map, and so before the pods: no agent makes data unless the
// map says that its shard never had any. Pods come after their certificates: a pod that waits for a Secret is tried again
// by its kubelet only after minutes. All missing pods are made at once; which pods are replaced for a new spec is the
// rollout's.
//
// Each step is on its own: what cannot be written keeps away only what needs it, and no other shard. A missing pod whose
// volume, Lease, certificate and account are there comes before everything else. A pod that accepts writes is replaced only
// when all that its successor may need was written.
//
//   deletion: ledgers on it ──► goes on as ever, and says for whom it waits
//             none ──► pods ──gone──► everything owned ──► Delete: volumes, map, CA ──► finalizer off

/** Agents are asked this often while something is not as it should be, and at rest. */
export const POLL_UNREADY_SECONDS = 2;
export const POLL_READY_SECONDS = 15;

/**
 * A pod that ends this soon after it was made was turned away by its node, and the next one would be too. Pods are made
 * anew no faster than this, which a cluster bears until somebody helps.
 */
export const ENDED_POD_LIFETIME_MS = 10_000;

/** The steps towards the spec, or towards the end. @param now milliseconds since the epoch */
export function planShardSet(assessment: Assessment, now: number): Plan {
  const { world, volumes, shards } = assessment;
  if (world.isEnding) return planDeletion(assessment);
  // Kept data does not fit: people decide what becomes of it, and nothing is made until then.
  if (volumes.conflict !== undefined) return { actions: [] };
  const { target, requests } = world;
  const { authority, certificates } = pkiActions({
    ...world,
    owner: target.owner,
    names: target.names,
    made: assessment.made,
  });
  const isAtRest = shards.every(({ ready, difference }) => ready && difference === undefined);
  const claims = makeVolumes(assessment);
  const inputs: readonly Action[] = [
    ...authority,
    ...accessActions(target.owner, target, agentIdentity(target)),
    ...trafficActions(shardNetworkPolicy(target), world.owned),
    ...makeLeases(assessment),
    apply(databasesSecret(target, requests.accepted), `${requests.accepted.length} database requests`),
    ...claims,
    // A map without the volume of an owning shard would mean lost data.
    ...makeMap(assessment, claims),
    ...certificates,
  ];
  const pods = makePods(assessment, now, inputs);
  const isServed = (action: Action): boolean => action.type === "create" && action.needs?.length === 0;
  return {
    actions: [
      ...pods.filter(isServed),
      ...inputs,
      ...pods.filter((action) => !isServed(action)),
      ...shards.map(({ shard, objects }) => apply(objects.service, `address of shard ${shard}`)),
    ],
    requeueAfterSeconds: isAtRest ? POLL_READY_SECONDS : POLL_UNREADY_SECONDS,
  };
}

/**
 * Volumes that are to grow. Apart from the rest, because a StorageClass may refuse and nothing else should wait for it.
 */
export function planGrowth({ world, volumes }: Assessment): Plan {
  if (world.isEnding || volumes.conflict !== undefined) return { actions: [] };
  const { size } = world.target.spec.storage;
  const actions = volumes.toGrow.flatMap((shard): Action[] => {
    const claim = world.claims.get(shard);
    if (claim === undefined) return [];
    const change = { spec: { resources: { requests: { storage: String(size) } } } };
    return [patch(claim, { change, note: `volume of shard ${shard} grows from ${claim.requested} to ${size}` })];
  });
  return { actions };
}

function makeLeases({ world, shards }: Assessment): Action[] {
  return shards
    .filter(({ shard }) => !world.leases.has(shard))
    .map(({ shard, objects }) => create(objects.lease, `shard ${shard} has no Lease yet`));
}

function makeVolumes({ world, volumes, shards }: Assessment): Action[] {
  const { size, storageClassName = "the default" } = world.target.spec.storage;
  const made = shards
    .filter(({ shard }) => !world.claims.has(shard) && !volumes.lost.includes(shard))
    .map(({ shard, objects }) => create(objects.claim, `shard ${shard} has no volume yet: ${size}`));
  const wanted = `${size} of class ${storageClassName}`;
  // Only as long as nobody changes it: it may get its volume at this very moment.
  const remade = volumes.wrong.map((claim) =>
    removeUnchanged(claim, `volume of shard ${claim.shard} was never made and is asked for anew: ${wanted}`),
  );
  return [...remade, ...made];
}

/** The map with what is known of the shards' data, as far as either is missing or due. */
function makeMap({ world, map, identities }: Assessment, claims: readonly Action[]): readonly Action[] {
  const { changes } = identities;
  const data = formatIdentities(changes);
  if (map.wanted !== undefined) {
    const why = map.wanted.epoch === 1 ? "there is no shard map yet" : "the shard map is gone and is made anew";
    const note = `${why}: version ${map.wanted.version}, epoch ${map.wanted.epoch}`;
    return [create(mapConfigMap(world.target, map.wanted, data), note, claims)];
  }
  if (world.map === undefined || changes.size === 0) return [];
  // Of the very record that was looked at: one that somebody changed meanwhile is looked at again.
  const change = { metadata: { resourceVersion: world.map.resourceVersion }, data };
  const note = [...changes].map(([shard, identity]) => `shard ${shard} ${inWords(identity)}`).join(", ");
  const write = patch(world.map, { change, note }, claims);
  const givenUp = [...changes].filter(([, { state }]) => state === "given-up");
  const told = givenUp.map(([shard]) =>
    warn("DataGivenUp", `data of shard ${shard} is given up as annotated`, [write]),
  );
  return [write, ...told];
}

function inWords(identity: ShardIdentity): string {
  if (identity.state === "new") return "never had data";
  return identity.state === "known"
    ? `has the data with system identifier ${identity.systemIdentifier}`
    : `gave up the data with system identifier ${identity.systemIdentifier}`;
}

/** @param inputs the steps that make what pods need */
function makePods(assessment: Assessment, now: number, inputs: readonly Action[]): Action[] {
  const { world, volumes, shards, rollout, made } = assessment;
  // A pod on a deleted volume keeps the data alive: it stays, and no new pod is made on such a volume.
  const touched = shards.filter(({ shard }) => !volumes.ending.includes(shard));
  const certified = new Set(
    world.leaves
      .filter(({ secret, kept }) => kept !== undefined || made.leaves.has(secret))
      .map(({ secret }) => secret),
  );
  return touched.flatMap(({ shard, pod, objects, difference, activity }) => {
    if (pod === undefined) {
      const canRun = certified.has(world.target.names.shardTls(shard)) && !volumes.lost.includes(shard);
      // Nobody needs it any more: a deletion in the foreground takes pods away before the ledgers are gone.
      if (!canRun || world.isLeft) return [];
      const missing = missingInputs(assessment, shard);
      const needs = inputs.filter((input) => missing.includes(nameOf(input)));
      return [create(objects.pod, `shard ${shard} has no pod`, needs)];
    }
    const isReplaced = rollout.goes.has(shard);
    if (pod.deleting || (!isReplaced && !hasEnded(pod, now))) return [];
    const why = isReplaced
      ? `is replaced: ${difference ?? "it is outdated"}`
      : `has ended (${pod.phase}) and is made anew`;
    return [remove(pod, `pod of shard ${shard} ${why}`, isReplaced && activity === "serving" ? inputs : [])];
  });
}

/**
 * True for a pod that ended a while after it was made. One that was made in the future is not young: our clock is wrong then, and
 * nothing may wait for it.
 */
function hasEnded({ phase, createdAt }: ObservedPod, now: number): boolean {
  if (phase !== "Failed" && phase !== "Succeeded") return false;
  return createdAt === undefined || now < createdAt || now - createdAt >= ENDED_POD_LIFETIME_MS;
}

/** Names of the objects that a pod of this shard cannot do without and that are not there, or not whole. */
function missingInputs({ world, made, identities }: Assessment, shard: number): readonly string[] {
  const { target, ca, leaves, owned, leases, claims, isNew } = world;
  const { names } = target;
  const tls = names.shardTls(shard);
  const kept = leaves.find(({ secret }) => secret === tls)?.kept?.value;
  const hasAccount = owned.some(({ resource, name }) => resource === RESOURCES.ServiceAccount && name === names.access);
  const inputs: readonly (readonly [isThere: boolean, name: string])[] = [
    [ca?.value !== undefined, `Secret/${names.ca}`],
    // A certificate that is due is better than none, but a new one is made before the pod where it can be.
    [kept !== undefined && !made.leaves.has(tls), `Secret/${tls}`],
    [hasAccount, `ServiceAccount/${names.access}`],
    [leases.has(shard), `Lease/${names.lease(shard)}`],
    [claims.has(shard), `PersistentVolumeClaim/${names.instance(shard)}`],
    // No data is made before there is a map that says whose it is, and that this shard has none.
    [!isNew && identities.changes.get(shard)?.state !== "new", `ConfigMap/${names.map}`],
  ];
  return inputs.filter(([isThere]) => !isThere).map(([, name]) => name);
}

function planDeletion({ world, volumes }: Assessment): Plan {
  const pods = [...world.pods.values()].sort((a, b) => a.shard - b.shard);
  const note = "the ShardSet is being deleted";
  if (pods.length > 0) {
    // PostgreSQL ends in order, with its Lease, Secrets and Service still there.
    const actions = pods.filter(({ deleting }) => !deleting).map((pod) => remove(pod, note));
    return { actions, requeueAfterSeconds: POLL_READY_SECONDS };
  }
  // Data of an earlier ShardSet that this one never used is not removed with this one.
  const kept = world.target.spec.deletionPolicy === "Delete" && !volumes.isForeign ? keptObjects(world) : [];
  return {
    actions: inOrder([
      // First, while the Leases are there, which tell that nobody ever made data.
      ...volumes.worthless.map((object) => removeUnchanged(object, "it never held data")),
      world.owned.map((object) => remove(object, note)),
      ...kept.map((object) => remove(object, "deletionPolicy is Delete")),
    ]),
    isCleanedUp: true,
  };
}

function keptObjects({ claims, map, ca, caKey, caNext }: Assessment["world"]): ObjectIdentity[] {
  const volumes = [...claims.values()].sort((a, b) => a.shard - b.shard);
  return [...volumes, map, ca, caKey, caNext].filter((object) => object !== undefined);
}
