import { METRICS_PORT, POSTGRES_PORT } from "../../crds/agent-status.ts";
import type { LedgerHead } from "../../crds/creditledger.ts";
import { DATABASE_REQUEST_KEY, type DatabaseRequest } from "../../crds/database-request.ts";
import { ANNOTATIONS, COMPONENTS, LABELS } from "../../crds/group.ts";
import { SHARD_SET } from "../../crds/shardset.ts";
import { canonicalJson, contentHash } from "../../lib/core/canonical.ts";
import { omitUndefined } from "../../lib/core/objects.ts";
import { type KubeObject, type LeaseObject, RESOURCES, type SecretObject } from "../../lib/kube/types.ts";
import { type Access, type Identity, VERBS } from "../kit/access.ts";
import { networkPolicy } from "../kit/network.ts";
import { componentLabels, componentSelector, keptObject, ownedObject, ownLabels } from "../kit/objects.ts";
import { withoutFieldVersions } from "../kit/pods.ts";
import { textData } from "../kit/secrets.ts";
import { ROLE_PASSWORD_KEYS, type RolePasswords } from "./creditledger.facts.ts";
import { type LedgerNames, migrationHash, type Target } from "./creditledger.names.ts";
import { API_PORT, migrationArgs, migrationPodSpec, servePodSpec } from "./creditledger.pods.ts";

// One function per owned object, in the order of the table in ARCHITECTURE.md. Objects that must outlive the ledger
// under `deletionPolicy: Retain` carry no owner reference; all others do.

/** A migration is tried five times, 10, 20, 40 and 80 s apart; then it is told as failed, and the Job is made anew. */
export const MIGRATION_BACKOFF_LIMIT = 4;

/** Old ReplicaSets kept for `kubectl rollout undo`; the controller itself never needs one. */
const REVISION_HISTORY = 2;

/** Secret `l-admin-key`: the raw API key; the database keeps its hash only. */
export function adminKeySecret({ owner, names }: Target, key: string): SecretObject {
  return keptObject(owner, RESOURCES.Secret, names.adminKey, { type: "Opaque", data: textData({ key }) });
}

/** Secret `l-roles`: passwords of the database roles. */
export function rolesSecret({ owner, names }: Target, passwords: RolePasswords): SecretObject {
  const data = textData({
    [ROLE_PASSWORD_KEYS.owner]: passwords.owner,
    [ROLE_PASSWORD_KEYS.reader]: passwords.reader,
    [ROLE_PASSWORD_KEYS.writer]: passwords.writer,
  });
  return keptObject(owner, RESOURCES.Secret, names.roles, { type: "Opaque", data });
}

/** The request for the ledger's database, as the ShardSet's agents carry it out. */
export function databaseRequest(names: LedgerNames, verifiers: RolePasswords): DatabaseRequest {
  return {
    database: names.database,
    owner: { name: names.ownerRole, verifier: verifiers.owner },
    writer: { name: names.writerRole, verifier: verifiers.writer },
    reader: { name: names.readerRole, verifier: verifiers.reader },
  };
}

/** Secret `l-database`: the database request, found by the ShardSet through its labels. */
export function databaseRequestSecret({ owner, names, spec }: Target, request: DatabaseRequest): SecretObject {
  return keptObject(owner, RESOURCES.Secret, names.databaseRequest, {
    labels: { ...componentLabels(owner, COMPONENTS.databaseRequest), [LABELS.shardSet]: spec.shardSet },
    type: "Opaque",
    data: textData({ [DATABASE_REQUEST_KEY]: canonicalJson(request) }),
  });
}

/**
 * Lease `l-writer-n`: made without a holder; the pods take it, and its transitions are the epoch.
 * @param head what the status remembers, for a Lease that is made anew
 */
export function writerLease({ owner, names }: Target, shard: number, head: Partial<LedgerHead> = {}): LeaseObject {
  const { position, systemIdentifier } = head;
  const memory = omitUndefined({
    [ANNOTATIONS.headPosition]: position === undefined ? undefined : String(position),
    [ANNOTATIONS.systemIdentifier]: systemIdentifier,
  });
  return keptObject(owner, RESOURCES.Lease, names.writerLease(shard), {
    labels: { [LABELS.shard]: String(shard) },
    ...(Object.keys(memory).length === 0 ? {} : { annotations: memory }),
    spec: { leaseTransitions: 0 },
  });
}

/**
 * Name of the migration Job of this version. Another image, shard count, asset (each has its system account) or
 * admin key (whose hash the migration stores) is another migration; all of them may run again on a database that has
 * them already.
 */
export function migrationJobName(target: Target, adminKey: string): string {
  const { names, image } = target;
  return names.migration(migrationHash({ image, args: migrationArgs(target), adminKey }));
}

/**
 * Job `l-migrate-<hash>`.
 * @param clusters PostgreSQL clusters of the shards: the Job is the record of their migration, and of no others'
 */
export function migrationJob(target: Target, name: string, clusters: readonly (string | undefined)[]): KubeObject {
  const labels = componentLabels(target.owner, COMPONENTS.migration);
  const spec = migrationPodSpec(target);
  return ownedObject(target.owner, RESOURCES.Job, name, {
    labels,
    annotations: {
      [ANNOTATIONS.configHash]: contentHash(spec),
      [ANNOTATIONS.migratedClusters]: clusters.map((cluster) => cluster ?? "").join(","),
    },
    spec: {
      backoffLimit: MIGRATION_BACKOFF_LIMIT,
      // A drain is no failure of the migration.
      podFailurePolicy: {
        rules: [{ action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] }],
      },
      template: { metadata: { labels }, spec },
    },
  });
}

/**
 * Deployment `l`: the HTTP API and one fenced writer per shard.
 * @param configHash of everything that the pods read at their start, see `podConfigHash`
 * @param migration that was done for them, see `formatRecord`
 */
export function ledgerDeployment(target: Target, configHash: string, migration: string): KubeObject {
  const { owner, names, spec } = target;
  return ownedObject(owner, RESOURCES.Deployment, names.deployment, {
    annotations: { [ANNOTATIONS.migration]: migration },
    spec: {
      replicas: spec.replicas,
      revisionHistoryLimit: REVISION_HISTORY,
      selector: { matchLabels: componentSelector(owner) },
      // One more pod first, then one old pod less: each writer finds a ready peer when its pod ends, and a version
      // that never gets ready costs nothing.
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: { labels: componentLabels(owner), annotations: { [ANNOTATIONS.configHash]: configHash } },
        spec: servePodSpec(target),
      },
    },
  });
}

/**
 * Hash of what the pods read at their start. New passwords replace the pods. Certificates do not: the program reads them
 * again by itself.
 * @param current hash that the Deployment carries; it stays when it stands for the same pods, written in another form
 */
export function podConfigHash(target: Target, passwords: RolePasswords, current?: string): string {
  const spec = servePodSpec(target);
  const terse = contentHash({ spec: withoutFieldVersions(spec), passwords });
  return current === terse ? terse : contentHash({ spec, passwords });
}

/** Service `l`: port 443 to the ready pods. */
export function ledgerService({ owner, names }: Target): KubeObject {
  return ownedObject(owner, RESOURCES.Service, names.service, {
    spec: {
      type: "ClusterIP",
      selector: componentSelector(owner),
      ports: [{ name: "https", port: 443, protocol: "TCP", targetPort: "https" }],
    },
  });
}

/**
 * NetworkPolicy `l-ledger`, also for the migration, unless the operator makes none: clients and peers reach the API, everybody the metrics; pods reach DNS,
 * the shards, each other and the Kubernetes API.
 */
export function ledgerNetworkPolicy({ owner, names, spec, apiServerPorts }: Target): KubeObject | undefined {
  if (apiServerPorts === undefined) return undefined;
  const clients = spec.networkPolicy?.clients;
  const peers = [{ podSelector: { matchLabels: componentSelector(owner) } }];
  const shardSet = ownLabels({ resource: SHARD_SET, name: spec.shardSet });
  return networkPolicy(owner, names.access, {
    ingress: [
      { ports: [API_PORT], peers: clients === undefined ? undefined : [...clients, ...peers] },
      // Probes come from the node, which no policy holds.
      { ports: [METRICS_PORT] },
    ],
    egress: [
      { ports: [POSTGRES_PORT], peers: [{ podSelector: { matchLabels: shardSet } }] },
      { ports: [API_PORT], peers },
      { ports: apiServerPorts },
    ],
  });
}

/** PodDisruptionBudget `l`: a drain takes one pod at a time. */
export function disruptionBudget({ owner, names }: Target): KubeObject {
  return ownedObject(owner, RESOURCES.PodDisruptionBudget, names.disruptionBudget, {
    spec: { maxUnavailable: 1, selector: { matchLabels: componentSelector(owner) } },
  });
}

/** What the pods may do: their own Leases and the shard map, by name. */
export const POD_ACCESS: readonly Access<Target>[] = [
  { resource: RESOURCES.Lease, verbs: VERBS.hold, names: ({ names, shards }) => shards.map(names.writerLease) },
  { resource: RESOURCES.ConfigMap, verbs: VERBS.follow, names: ({ spec }) => [`${spec.shardSet}-map`] },
];

/** Identity `l-ledger` of the pods. */
export function podIdentity({ names, shards }: Target): Identity<Target> {
  return {
    name: names.access,
    access: POD_ACCESS,
    notes: {
      identity: "identity of the pods",
      role: `${String(shards.length)} writer Leases and the shard map, by name`,
      binding: "the pods' identity gets the Role",
    },
  };
}
