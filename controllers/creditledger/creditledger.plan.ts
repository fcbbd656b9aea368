import { ANNOTATIONS } from "../../crds/group.ts";
import type { ObjectIdentity } from "../../lib/kube/types.ts";
import { apply, create, inOrder, patch, remove, warn } from "../../operator/runtime/actions.ts";
import type { Action, Plan } from "../../operator/runtime/types.ts";
import { accessActions } from "../kit/access.ts";
import { trafficActions } from "../kit/network.ts";
import { CERTIFICATE_CHECK_SECONDS, pkiActions, ROTATION_CHECK_SECONDS } from "../kit/pki/objects.ts";
import type { Assessment } from "./creditledger.assess.ts";
import { clustersOf } from "./creditledger.losses.ts";
import { isOutdated, MIGRATION_RETRY_SECONDS, retryInSeconds } from "./creditledger.migration.ts";
import {
  adminKeySecret,
  databaseRequestSecret,
  disruptionBudget,
  ledgerDeployment,
  ledgerNetworkPolicy,
  ledgerService,
  migrationJob,
  podIdentity,
  rolesSecret,
  writerLease,
} from "./creditledger.objects.ts";
import { suspectsOf, type World } from "./creditledger.observe.ts";

// What to do next for one ledger. Each stage waits for the one before it, and what runs already is left alone while an
// earlier gate is closed: a ShardSet with a shard down never takes the pods of a ledger away. Each step is on its own: what
// cannot be written keeps away only what needs it.
//
//   no ShardSet ──► nothing but the finalizer, which the runtime keeps
//        │ appears
//        ▼
//   roots (CA, admin key, passwords) ──► trust, access, Leases, database request
//        │ shards ready, database on every shard
//        ▼
//   migration Job ──failed──► deleted after MIGRATION_RETRY_SECONDS, made again
//        │ succeeded
//        ▼
//   budget and Deployment; Jobs of older versions deleted
//
//   deletion: workload ──► Retain: finalizer off
//                      └─► Delete: drop request ──on every shard──► Secrets and Leases ──► finalizer off

/** @param now milliseconds since the epoch */
export function planCreditLedger(assessment: Assessment, now: number): Plan {
  const { world, kept, made } = assessment;
  const { target } = world;
  if (world.ledger.metadata.deletionTimestamp !== undefined) return planDeletion(assessment);
  if (world.shardSet === undefined) return { actions: [] };
  // Kept data does not fit: people decide what becomes of it, and nothing is made until then.
  if (kept.conflict !== undefined) return { actions: [] };
  const pki = { ...world, owner: target.owner, names: target.names, made: made.pki };
  const { authority, certificates } = pkiActions(pki);
  return {
    actions: [
      ...authority,
      ...makeRoots(assessment),
      ...certificates,
      ...accessActions(target.owner, target, podIdentity(target)),
      ...trafficActions(ledgerNetworkPolicy(target), world.others),
      apply(ledgerService(target), "address of the API"),
      ...makeLeases(assessment),
      ...forgetGivenUp(assessment),
      ...requestDatabase(assessment),
      ...removeOldMigrations(assessment),
      ...migrate(assessment, now),
      ...serve(assessment),
      ...nudge(assessment, now),
    ],
    requeueAfterSeconds: nextLook(assessment, now),
  };
}

function makeRoots({ world, made }: Assessment): Action[] {
  const { target, adminKey, roles } = world;
  const actions: Action[] = [];
  if (adminKey === undefined && made.adminKey !== undefined) {
    actions.push(create(adminKeySecret(target, made.adminKey), "there is no admin key yet"));
  }
  if (roles === undefined && made.passwords !== undefined) {
    actions.push(create(rolesSecret(target, made.passwords), "there are no passwords yet"));
  }
  return actions;
}

function makeLeases({ world, writers }: Assessment): Action[] {
  const heads = new Map(world.ledger.status?.heads?.map((head) => [head.shard, head]));
  return world.target.shards
    .filter((shard) => writers[shard] === undefined)
    .map((shard) => {
      const lease = writerLease(world.target, shard, heads.get(shard));
      return create(lease, `shard ${String(shard)} has no writer Lease yet`);
    });
}

/** Takes the memory of data that people gave up from the Lease: its holder goes on with what is there. */
function forgetGivenUp({ losses }: Assessment): Action[] {
  const nothing = { [ANNOTATIONS.headPosition]: null, [ANNOTATIONS.systemIdentifier]: null };
  const annotations = { ...nothing, [ANNOTATIONS.writerProblem]: null };
  return losses
    .filter(({ isGivenUp }) => isGivenUp)
    .flatMap(({ lease }): Action[] => {
      const { shard, position, systemIdentifier } = lease;
      const what = `position ${String(position ?? 0)} in PostgreSQL cluster ${systemIdentifier ?? "unknown"}`;
      const note = `data of shard ${String(shard)} up to ${what} is given up as annotated`;
      const forget = patch(lease, { change: { metadata: { annotations } }, note });
      return [forget, warn("DataGivenUp", note, [forget])];
    });
}

function requestDatabase({ world, request }: Assessment): Action[] {
  if (request === undefined) return [];
  const { shards, spec } = world.target;
  const note = `database ${request.database} on ${String(shards.length)} shards of ShardSet ${spec.shardSet}`;
  return [apply(databaseRequestSecret(world.target, request), note)];
}

function migrate(assessment: Assessment, now: number): Action[] {
  const { world, migration, conditions } = assessment;
  const isOpen = conditions.ShardSetReady.status === "True" && conditions.DatabaseReady.status === "True";
  if (!isOpen || migration === undefined || conditions.Migrated.reason === "DataLost") return [];
  const { name, job, former } = migration;
  const { image, shards } = world.target;
  if (former !== undefined) return [remove(former, conditions.Migrated.message)];
  if (job === undefined) {
    // It was removed after it had succeeded: the Deployment remembers.
    if (conditions.Migrated.status === "True") return [];
    const note = `${String(shards.length)} shards to migrate with ${image}`;
    // Two migrations of different versions do not run side by side.
    return [create(migrationJob(world.target, name, clustersOf(world)), note, removeOldMigrations(assessment))];
  }
  if (isOutdated(world, job)) return [remove(job, "made anew: the spec wants its pods otherwise")];
  if (job.state === "failed" && retryInSeconds(job, now) === 0) {
    const note = `made anew after ${String(MIGRATION_RETRY_SECONDS)} s: ${conditions.Migrated.message}`;
    return [remove(job, note)];
  }
  return [];
}

function serve({ world, conditions, configHash, migration }: Assessment): Action[] {
  if (conditions.Migrated.status !== "True" || configHash === undefined || migration === undefined) return [];
  const { target } = world;
  return [
    apply(disruptionBudget(target), "a drain takes one pod at a time"),
    apply(
      ledgerDeployment(target, configHash, migration.record),
      `${String(target.spec.replicas)} pods of ${target.image} for ${String(target.shards.length)} shards`,
    ),
  ];
}

/**
 * After each refusal a ReplicaSet waits longer before it asks for its pods again, up to a quarter of an hour, and nobody tells
 * it of a larger quota. A change of its annotations wakes it, and those of the Deployment are copied to it.
 */
function nudge({ world }: Assessment, now: number): Action[] {
  const { deployment } = world;
  if (deployment?.refused === undefined || nudgeInSeconds(deployment, now) > 0) return [];
  const change = { metadata: { annotations: { [ANNOTATIONS.nudgedAt]: new Date(now).toISOString() } } };
  return [patch(deployment, { change, note: "its pods were refused: it asks for them again" })];
}

/** Pods that are refused are asked for this often. */
const NUDGE_SECONDS = 60;

function nudgeInSeconds({ refused, nudgedAt = 0 }: NonNullable<World["deployment"]>, now: number): number {
  const last = Math.max(refused?.since ?? 0, nudgedAt);
  return Math.min(NUDGE_SECONDS, Math.max(0, Math.ceil((last + NUDGE_SECONDS * 1_000 - now) / 1_000)));
}

/** Jobs of other versions: what did not succeed is in the way; what did is the record for the pods that run. */
function removeOldMigrations({ world, migration, conditions }: Assessment): Action[] {
  if (migration === undefined) return [];
  const isMigrated = conditions.Migrated.status === "True";
  return world.jobs
    .filter(({ name, state }) => name !== migration.name && (isMigrated || state !== "succeeded"))
    .map((job) => remove(job, `followed by Job ${migration.name}`));
}

function nextLook({ world, migration, made }: Assessment, now: number): number {
  const { deployment } = world;
  const certificates = made.pki.rotation?.progress === undefined ? CERTIFICATE_CHECK_SECONDS : ROTATION_CHECK_SECONDS;
  const looks = [certificates];
  if (migration?.job?.state === "failed") looks.push(retryInSeconds(migration.job, now) || certificates);
  if (deployment?.refused !== undefined) looks.push(nudgeInSeconds(deployment, now) || NUDGE_SECONDS);
  if (suspectsOf(world).length > 0) looks.push(SUSPECTS_LOOK_SECONDS);
  // At least a second: a retry that is due but waits for a gate is woken by the gate.
  return Math.max(1, Math.min(...looks));
}

/** What does not come up is looked at this often: what others say about it wakes nobody. */
const SUSPECTS_LOOK_SECONDS = 5;

function planDeletion({ world, kept }: Assessment): Plan {
  const { target } = world;
  const workload = workloadOf(world).map((object) => remove(object, "the ledger is being deleted"));
  // Database and keys of an earlier ledger that this one never used are not removed with this one.
  if (kept.isForeign) return { actions: workload, isCleanedUp: true };
  if (target.spec.deletionPolicy === "Retain") {
    return { actions: inOrder([workload, ...withdrawDrop(world)]), isCleanedUp: true };
  }
  if (kept.dropProgress !== undefined && kept.drop !== undefined) {
    const drop = databaseRequestSecret(target, kept.drop);
    return { actions: inOrder([workload, apply(drop, `database ${kept.drop.database} is to be dropped`)]) };
  }
  const rest = keptObjects(world).map((object) => remove(object, "deletionPolicy is Delete"));
  return { actions: inOrder([workload, ...rest]), isCleanedUp: true };
}

/** Takes back a drop that was asked for before the policy changed to Retain. */
function withdrawDrop({ target, request }: World): Action[] {
  if (request?.value?.request.drop !== true) return [];
  const { drop: _, ...keeps } = request.value.request;
  return [apply(databaseRequestSecret(target, keeps), "deletionPolicy is Retain now: the drop is taken back")];
}

function workloadOf({ deployment, jobs, others, leaves }: World): ObjectIdentity[] {
  const certificates = leaves.map(({ kept }) => kept);
  return [deployment, ...jobs, ...others, ...certificates].filter((object) => object !== undefined);
}

function keptObjects({ ca, caKey, caNext, adminKey, roles, request, leases }: World): ObjectIdentity[] {
  return [...leases, ca, caKey, caNext, adminKey, roles, request].filter((object) => object !== undefined);
}
