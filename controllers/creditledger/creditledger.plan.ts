import type { DatabaseRequest } from "../../crds/database-request.ts";
import { RESOURCES, type ResourceType } from "../../lib/kube/types.ts";
import { apply, create, remove as removeObject } from "../../operator/runtime/actions.ts";
import type { Action, Plan } from "../../operator/runtime/types.ts";
import { type Checks, currentJob, type Scope, shardsWithRequest, wantedRequest } from "./creditledger.checks.ts";
import {
  desiredAdminKey,
  desiredCa,
  desiredCaKey,
  desiredDatabaseRequest,
  desiredDeployment,
  desiredDisruptionBudget,
  desiredMigrationJob,
  desiredRole,
  desiredRoleBinding,
  desiredRoles,
  desiredService,
  desiredServiceAccount,
  desiredTls,
  desiredWriterLease,
  shardIndexes,
} from "./creditledger.desired.ts";
import { ledgerNames } from "./creditledger.names.ts";
import type { Observed } from "./creditledger.observe.ts";

// What to do next for one ledger. Each stage waits for the one before it, and what runs already is left alone while an
// earlier gate is closed: a ShardSet with a shard down never takes the pods of a ledger away.
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

/** A failed migration Job is made anew after this time: most causes are an outage that somebody ended meanwhile. */
export const MIGRATION_RETRY_SECONDS = 600;

/** Certificates are looked at this often; they are renewed a month before their end. */
export const CERTIFICATE_CHECK_SECONDS = 6 * 3_600;

/** @param now milliseconds since the epoch */
export function planCreditLedger(scope: Scope, checks: Checks, now: number): Plan {
  if (scope.observed.ledger.metadata.deletionTimestamp !== undefined) return planDeletion(scope);
  if (scope.observed.shardSet === undefined) return { actions: [] };
  // Kept data that does not fit is a decision for people: nothing is made beside it.
  if (retainedProblem(scope) !== undefined) return { actions: [] };
  return {
    actions: [
      ...makeRoots(scope),
      ...makeTrust(scope),
      ...makeAccess(scope),
      ...makeLeases(scope),
      ...requestDatabase(scope),
      ...removeOldMigrations(scope, checks),
      ...migrate(scope, checks, now),
      ...serve(scope, checks),
    ],
    requeueAfterSeconds: nextLook(scope, now),
  };
}

/** Why data that an earlier ledger of this name left behind cannot be used; `undefined` when it can. */
export function retainedProblem(scope: Scope): string | undefined {
  const elsewhere = keptElsewhere(scope);
  if (elsewhere === undefined) return scope.material.problems[0];
  const { request } = scope.observed;
  return `Secret ${request?.name ?? ""} keeps a database on ShardSet ${elsewhere}, but spec.shardSet is ${scope.target.spec.shardSet}`;
}

/** The ShardSet with the database of an earlier ledger of this name, when it is another one than ours. */
function keptElsewhere({ observed, target }: Scope): string | undefined {
  const keptOn = observed.request?.value?.shardSet;
  return keptOn === target.spec.shardSet ? undefined : keptOn;
}

/** True for kept data that this ledger never used: it lies on another ShardSet, or was refused before any migration. */
function isForeignData(scope: Scope): boolean {
  const { ledger, deployment } = scope.observed;
  const wasUsed = ledger.status?.schemaVersion !== undefined || deployment !== undefined;
  return keptElsewhere(scope) !== undefined || (!wasUsed && retainedProblem(scope) !== undefined);
}

/** State of a deletion in words, for the condition; `undefined` when nothing is being waited for. */
export function dropProgress(scope: Scope): string | undefined {
  const request = requestToDrop(scope);
  if (scope.observed.shardSet === undefined || request === undefined || isForeignData(scope)) return undefined;
  const { shards } = scope.target;
  const gone = Math.min(shardsWithRequest(scope.observed, request), shards);
  if (gone >= shards) return undefined;
  return `database ${request.database} is dropped on ${String(gone)} of ${String(shards)} shards; deletionPolicy Retain would keep it`;
}

function makeRoots({ observed, target, material }: Scope): Action[] {
  const actions: Action[] = [];
  if (observed.caKey === undefined && material.ca !== undefined) {
    actions.push(create(desiredCaKey(target, material.ca), "there is no CA yet"));
  }
  if (observed.adminKey === undefined && material.adminKey !== undefined) {
    actions.push(create(desiredAdminKey(target, material.adminKey), "there is no admin key yet"));
  }
  if (observed.roles === undefined && material.passwords !== undefined) {
    actions.push(create(desiredRoles(target, material.passwords), "there are no passwords yet"));
  }
  return actions;
}

function makeTrust({ observed, target, material }: Scope): Action[] {
  const signing = observed.caKey?.value?.certPem;
  if (signing === undefined) return [];
  const bundle = trustBundle(observed.ca?.value, signing);
  const actions = [apply(desiredCa(target, bundle), "clients trust the CA that signs now")];
  if (material.certificate !== undefined) {
    const { pair, why } = material.certificate;
    actions.push(apply(desiredTls(target, pair, bundle), `new server certificate: ${why}`));
  } else if (observed.tls?.value !== undefined) {
    actions.push(apply(desiredTls(target, observed.tls.value, bundle), "the server certificate is good"));
  }
  return actions;
}

/** The bundle with the signing CA in it; CAs that are trusted already stay. */
function trustBundle(bundle: string | undefined, signing: string): string {
  if (bundle === undefined) return signing;
  return bundle.includes(signing.trim()) ? bundle : `${bundle.trimEnd()}\n${signing}`;
}

function makeAccess({ target }: Scope): Action[] {
  return [
    apply(desiredServiceAccount(target), "identity of the pods"),
    apply(desiredRole(target), `${String(target.shards)} writer Leases and the shard map, by name`),
    apply(desiredRoleBinding(target), "the pods' identity gets the Role"),
    apply(desiredService(target), "address of the API"),
  ];
}

function makeLeases({ observed, target }: Scope): Action[] {
  const present = new Set(observed.leases.map(({ name }) => name));
  return shardIndexes(target)
    .filter((shard) => !present.has(ledgerNames(target.ledger.name).writerLease(shard)))
    .map((shard) => create(desiredWriterLease(target, shard), `shard ${String(shard)} has no writer Lease yet`));
}

function requestDatabase(scope: Scope): Action[] {
  const request = wantedRequest(scope);
  if (request === undefined) return [];
  const { shards, spec } = scope.target;
  const note = `database ${request.database} on ${String(shards)} shards of ShardSet ${spec.shardSet}`;
  return [apply(desiredDatabaseRequest(scope.target, request), note)];
}

function migrate(scope: Scope, { shardSetReady, databaseReady, migrated }: Checks, now: number): Action[] {
  const { adminKey } = scope.observed;
  const current = currentJob(scope);
  const open = shardSetReady.status === "True" && databaseReady.status === "True";
  if (!open || current === undefined || adminKey?.value === undefined) return [];
  if (current.job === undefined) {
    const { image, shards } = scope.target;
    return [
      create(desiredMigrationJob(scope.target, adminKey.value), `${String(shards)} shards to migrate with ${image}`),
    ];
  }
  if (current.job.state === "failed" && retryInSeconds(current.job.failedAt, now) === 0) {
    const note = `made anew after ${String(MIGRATION_RETRY_SECONDS)} s: ${migrated.message}`;
    return [remove(scope.observed, { resource: RESOURCES.Job, name: current.name, uid: current.job.uid }, note)];
  }
  return [];
}

function serve({ observed, target }: Scope, { migrated }: Checks): Action[] {
  const passwords = observed.roles?.value;
  if (migrated.status !== "True" || passwords === undefined) return [];
  const { replicas } = target.spec;
  return [
    apply(desiredDisruptionBudget(target), "a drain takes one pod at a time"),
    apply(
      desiredDeployment(target, passwords),
      `${String(replicas)} pods of ${target.image} for ${String(target.shards)} shards`,
    ),
  ];
}

/** Jobs of other versions: what did not succeed is in the way; what did is the record for the pods that run. */
function removeOldMigrations(scope: Scope, { migrated }: Checks): Action[] {
  const current = currentJob(scope)?.name;
  if (current === undefined) return [];
  return scope.observed.jobs
    .filter(({ name, state }) => name !== current && (migrated.status === "True" || state !== "succeeded"))
    .map(({ name, uid }) =>
      remove(scope.observed, { resource: RESOURCES.Job, name, uid }, `followed by Job ${current}`),
    );
}

function nextLook(scope: Scope, now: number): number {
  const job = currentJob(scope)?.job;
  if (job?.state !== "failed") return CERTIFICATE_CHECK_SECONDS;
  // At least a second: a retry that is due but waits for a gate is woken by the gate.
  return Math.max(1, retryInSeconds(job.failedAt, now) || CERTIFICATE_CHECK_SECONDS);
}

function retryInSeconds(failedAt: number | undefined, now: number): number {
  if (failedAt === undefined) return 0;
  return Math.max(0, Math.ceil((failedAt + MIGRATION_RETRY_SECONDS * 1_000 - now) / 1_000));
}

function planDeletion(scope: Scope): Plan {
  const { observed } = scope;
  const workload = removeWorkload(observed);
  // What an earlier ledger left and this one never used is not ours to remove: neither its database nor its keys.
  if (isForeignData(scope)) return { actions: workload, isCleanedUp: true };
  if (observed.ledger.spec.deletionPolicy === "Retain") {
    return { actions: [...workload, ...withdrawDrop(scope)], isCleanedUp: true };
  }
  const request = requestToDrop(scope);
  if (dropProgress(scope) !== undefined && request !== undefined) {
    const drop = apply(desiredDatabaseRequest(scope.target, request), `database ${request.database} is to be dropped`);
    return { actions: [...workload, drop] };
  }
  return { actions: [...workload, ...removeKept(observed)], isCleanedUp: true };
}

/** The request that drops the database; `undefined` when none was ever made, or when the ShardSet serves another one. */
function requestToDrop(scope: Scope): DatabaseRequest | undefined {
  // Ours would never be answered, and would drop the other one's data as soon as that request goes.
  if (scope.observed.databaseTakenBy !== undefined) return undefined;
  // A request is only ever made from passwords in the cache, so without both there is nothing to drop.
  const request = scope.observed.request?.value?.request ?? wantedRequest(scope);
  return request && { ...request, drop: true };
}

/** Takes back a drop that was asked for before the policy changed to Retain. */
function withdrawDrop({ observed, target }: Scope): Action[] {
  const request = observed.request?.value?.request;
  if (request?.drop !== true) return [];
  const { drop: _, ...kept } = request;
  return [apply(desiredDatabaseRequest(target, kept), "deletionPolicy is Retain now: the drop is taken back")];
}

function removeWorkload(observed: Observed): Action[] {
  const { deployment, ledger, jobs, others, tls } = observed;
  const found: Target[] = [
    ...(deployment === undefined
      ? []
      : [{ resource: RESOURCES.Deployment, name: ledgerNames(ledger.metadata.name).deployment, uid: deployment.uid }]),
    ...jobs.map(({ name, uid }) => ({ resource: RESOURCES.Job, name, uid })),
    ...others,
    ...(tls === undefined ? [] : [{ resource: RESOURCES.Secret, name: tls.name, uid: tls.uid }]),
  ];
  return found.map((target) => remove(observed, target, "the ledger is being deleted"));
}

function removeKept(observed: Observed): Action[] {
  const { ca, caKey, adminKey, roles, request, leases } = observed;
  const secrets = [ca, caKey, adminKey, roles, request].filter((secret) => secret !== undefined);
  return [
    ...leases.map(({ name, uid }) => ({ resource: RESOURCES.Lease, name, uid })),
    ...secrets.map(({ name, uid }) => ({ resource: RESOURCES.Secret, name, uid })),
  ].map((target) => remove(observed, target, "deletionPolicy is Delete"));
}

interface Target {
  readonly resource: ResourceType;
  readonly name: string;
  readonly uid: string | undefined;
}

function remove({ ledger }: Observed, target: Target, note: string): Action {
  return removeObject({ ...target, namespace: ledger.metadata.namespace ?? "" }, note);
}
