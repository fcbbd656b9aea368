import type { CreditLedgerSpec } from "../../crds/creditledger.ts";
import { DATABASE_REQUEST_KEY, type DatabaseRequest } from "../../crds/database-request.ts";
import { ANNOTATIONS, COMPONENTS, LABELS } from "../../crds/group.ts";
import { canonicalJson, contentHash } from "../../lib/core/canonical.ts";
import type { KubeObject, LeaseObject, SecretObject } from "../../lib/kube/types.ts";
import {
  type LedgerIdentity,
  type LedgerNames,
  ledgerLabels,
  ledgerNames,
  migrationHash,
  ownerReference,
} from "./creditledger.names.ts";

// One function per owned object, in the order of the table in ARCHITECTURE.md. Objects that must outlive the ledger
// under `deletionPolicy: Retain` carry no owner reference; all others do.

/** Everything that the desired objects are computed from. */
export interface Target {
  readonly ledger: LedgerIdentity;
  readonly spec: CreditLedgerSpec;
  /** Shards of the ShardSet, each with its writer Lease. */
  readonly shards: number;
  /** Image of the program `shieldx`. */
  readonly image: string;
  /** DNS domain of the cluster, for example `cluster.local`. */
  readonly clusterDomain: string;
}

/** A certificate and its private key, PEM. */
export interface KeyPair {
  readonly certPem: string;
  readonly keyPem: string;
}

/** Passwords of the database roles. */
export interface RolePasswords {
  readonly owner: string;
  readonly writer: string;
  readonly reader: string;
}

/** uid and gid of the image's user. */
const USER_ID = 65532;

/** HTTPS API of the ledger pods. */
const API_PORT = 8443;

/** Probes and metrics, plain HTTP. */
const PROBE_PORT = 8080;

/** Time for a pod to finish its batch, hand over its writers and end. */
const GRACE_SECONDS = 30;

/** A pod takes requests this long after its end began: endpoints take about a second to forget it. */
const ENDPOINT_DRAIN_SECONDS = 2;

/** A migration is tried again by its kubelet for about an hour and a half (backoff up to 5 min). */
export const MIGRATION_BACKOFF_LIMIT = 20;

/** Old ReplicaSets kept for `kubectl rollout undo`; the controller itself never needs one. */
const REVISION_HISTORY = 2;

/** Secrets are readable by the group, which is how a pod that is not root reads them (fsGroup). */
const SECRET_MODE = 0o440;

const PATHS = {
  tls: "/etc/shieldx/tls",
  postgresCa: "/etc/shieldx/postgres-ca",
  roles: "/etc/shieldx/roles",
  adminKey: "/etc/shieldx/admin-key",
} as const;

/** Keys of Secret `l-roles`. */
export const ROLE_PASSWORD_KEYS = {
  owner: "owner-password",
  writer: "writer-password",
  reader: "reader-password",
} as const;

/** DNS names of the ledger's server certificate. */
export function serverNames(target: Pick<Target, "ledger" | "clusterDomain">): string[] {
  const { name, namespace } = target.ledger;
  return [
    name,
    `${name}.${namespace}`,
    `${name}.${namespace}.svc`,
    `${name}.${namespace}.svc.${target.clusterDomain}`,
    "localhost",
  ];
}

/** Where clients inside the cluster reach the ledger. */
export function ledgerUrl(ledger: LedgerIdentity): string {
  return `https://${ledger.name}.${ledger.namespace}.svc`;
}

/** Secret `l-ca`: the bundle of CA certificates that clients trust. */
export function desiredCa(target: Target, caCertPem: string): SecretObject {
  return secret(target, names(target).ca, { "ca.crt": caCertPem });
}

/** Secret `l-ca-key`: the CA that signs now. */
export function desiredCaKey(target: Target, ca: KeyPair): SecretObject {
  const kept = secret(target, names(target).caKey, { "tls.crt": ca.certPem, "tls.key": ca.keyPem });
  return { ...kept, type: "kubernetes.io/tls" };
}

/** Secret `l-tls`: the server certificate, with the bundle beside it. */
export function desiredTls(target: Target, certificate: KeyPair, bundle: string): SecretObject {
  const renewed = secret(target, names(target).tls, {
    "ca.crt": bundle,
    "tls.crt": certificate.certPem,
    "tls.key": certificate.keyPem,
  });
  return owned(target, { ...renewed, type: "kubernetes.io/tls" });
}

/** Secret `l-admin-key`: the raw API key; the database keeps its hash only. */
export function desiredAdminKey(target: Target, key: string): SecretObject {
  return secret(target, names(target).adminKey, { key });
}

/** Secret `l-roles`: passwords of the database roles. */
export function desiredRoles(target: Target, passwords: RolePasswords): SecretObject {
  return secret(target, names(target).roles, {
    [ROLE_PASSWORD_KEYS.owner]: passwords.owner,
    [ROLE_PASSWORD_KEYS.reader]: passwords.reader,
    [ROLE_PASSWORD_KEYS.writer]: passwords.writer,
  });
}

/** The request for the ledger's database, as the ShardSet's agents carry it out. */
export function databaseRequest(ledger: string, verifiers: RolePasswords): DatabaseRequest {
  const name = ledgerNames(ledger);
  return {
    database: name.database,
    owner: { name: name.ownerRole, verifier: verifiers.owner },
    writer: { name: name.writerRole, verifier: verifiers.writer },
    reader: { name: name.readerRole, verifier: verifiers.reader },
  };
}

/** Secret `l-database`: the database request, found by the ShardSet through its labels. */
export function desiredDatabaseRequest(target: Target, request: DatabaseRequest): SecretObject {
  const kept = secret(target, names(target).databaseRequest, { [DATABASE_REQUEST_KEY]: canonicalJson(request) });
  const labels = {
    ...ledgerLabels(target.ledger.name, COMPONENTS.databaseRequest),
    [LABELS.shardSet]: target.spec.shardSet,
  };
  return { ...kept, metadata: { ...kept.metadata, labels } };
}

/** Lease `l-writer-n`: made without a holder; the pods take it, and its transitions are the epoch. */
export function desiredWriterLease(target: Target, shard: number): LeaseObject {
  const lease = object(target, ["coordination.k8s.io/v1", "Lease"], names(target).writerLease(shard));
  return {
    ...lease,
    metadata: { ...lease.metadata, labels: { ...lease.metadata.labels, [LABELS.shard]: String(shard) } },
    spec: { leaseTransitions: 0 },
  };
}

/**
 * Name of the migration Job of this version. Another image, shard count, asset (each has its system account) or
 * admin key (whose hash the migration stores) is another migration; all of them may run again on a database that has
 * them already.
 */
export function migrationJobName(target: Target, adminKey: string): string {
  return names(target).migration(migrationHash({ image: target.image, args: migrationArgs(target), adminKey }));
}

/** Job `l-migrate-<hash>`: brings the database of every shard to the schema of the image, as the owner role. */
export function desiredMigrationJob(target: Target, adminKey: string): KubeObject {
  const job = object(target, ["batch/v1", "Job"], migrationJobName(target, adminKey));
  const labels = ledgerLabels(target.ledger.name, COMPONENTS.migration);
  return owned(target, {
    ...job,
    metadata: { ...job.metadata, labels },
    spec: {
      backoffLimit: MIGRATION_BACKOFF_LIMIT,
      template: {
        metadata: { labels },
        spec: {
          ...podDefaults(target),
          restartPolicy: "OnFailure",
          // It never talks to the Kubernetes API.
          automountServiceAccountToken: false,
          containers: [
            {
              name: "migrate",
              ...containerDefaults(target),
              args: migrationArgs(target),
              volumeMounts: [
                mount("postgres-ca", PATHS.postgresCa),
                mount("roles", PATHS.roles),
                mount("admin-key", PATHS.adminKey),
              ],
            },
          ],
          volumes: [
            postgresCaVolume(target),
            secretVolume("roles", names(target).roles, [ROLE_PASSWORD_KEYS.owner]),
            secretVolume("admin-key", names(target).adminKey, ["key"]),
          ],
        },
      },
    },
  });
}

/**
 * Deployment `l`: the HTTP API and one fenced writer per shard.
 * @param passwords their hash goes into the pod template, so that new passwords replace the pods. Certificates do not:
 *   the program reads them again by itself.
 */
export function desiredDeployment(target: Target, passwords: RolePasswords): KubeObject {
  const deployment = object(target, ["apps/v1", "Deployment"], names(target).deployment);
  return owned(target, {
    ...deployment,
    spec: {
      replicas: target.spec.replicas,
      revisionHistoryLimit: REVISION_HISTORY,
      selector: { matchLabels: podSelector(target) },
      // One more pod first, then one old pod less: each writer finds a ready peer when its pod ends, and a version
      // that never gets ready costs nothing.
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: {
          labels: deployment.metadata.labels,
          annotations: { [ANNOTATIONS.configHash]: podConfigHash(target, passwords) },
        },
        spec: servePodSpec(target),
      },
    },
  });
}

/** Hash of everything that ledger pods read at their start. */
export function podConfigHash(target: Target, passwords: RolePasswords): string {
  return contentHash({ spec: servePodSpec(target), passwords });
}

/** Service `l`: port 443 to the ready pods. */
export function desiredService(target: Target): KubeObject {
  return owned(target, {
    ...object(target, ["v1", "Service"], names(target).service),
    spec: {
      type: "ClusterIP",
      selector: podSelector(target),
      ports: [{ name: "https", port: 443, protocol: "TCP", targetPort: "https" }],
    },
  });
}

/** PodDisruptionBudget `l`: a drain takes one pod at a time. */
export function desiredDisruptionBudget(target: Target): KubeObject {
  return owned(target, {
    ...object(target, ["policy/v1", "PodDisruptionBudget"], names(target).disruptionBudget),
    spec: { maxUnavailable: 1, selector: { matchLabels: podSelector(target) } },
  });
}

/** ServiceAccount `l-ledger` of the pods. */
export function desiredServiceAccount(target: Target): KubeObject {
  return owned(target, object(target, ["v1", "ServiceAccount"], names(target).access));
}

/** Role `l-ledger`: its own Leases and the shard map, by name. */
export function desiredRole(target: Target): KubeObject {
  return owned(target, {
    ...object(target, ["rbac.authorization.k8s.io/v1", "Role"], names(target).access),
    rules: [
      {
        apiGroups: ["coordination.k8s.io"],
        resources: ["leases"],
        resourceNames: shardIndexes(target).map(names(target).writerLease),
        verbs: ["get", "patch", "update"],
      },
      {
        apiGroups: [""],
        resources: ["configmaps"],
        resourceNames: [`${target.spec.shardSet}-map`],
        verbs: ["get", "list", "watch"],
      },
    ],
  });
}

/** RoleBinding `l-ledger`. */
export function desiredRoleBinding(target: Target): KubeObject {
  const { access } = names(target);
  return owned(target, {
    ...object(target, ["rbac.authorization.k8s.io/v1", "RoleBinding"], access),
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: access },
    subjects: [{ kind: "ServiceAccount", name: access, namespace: target.ledger.namespace }],
  });
}

/** Indexes of the shards, ascending. */
export function shardIndexes(target: Pick<Target, "shards">): number[] {
  return Array.from({ length: target.shards }, (_, shard) => shard);
}

function servePodSpec(target: Target): Record<string, unknown> {
  return {
    ...podDefaults(target),
    terminationGracePeriodSeconds: GRACE_SECONDS,
    affinity: spreadOverNodes(podSelector(target)),
    containers: [serveContainer(target)],
    volumes: [
      secretVolume("tls", names(target).tls, ["ca.crt", "tls.crt", "tls.key"]),
      postgresCaVolume(target),
      secretVolume("roles", names(target).roles, [ROLE_PASSWORD_KEYS.reader, ROLE_PASSWORD_KEYS.writer]),
    ],
  };
}

function serveContainer(target: Target): Record<string, unknown> {
  const probe = (path: string): Record<string, unknown> => ({ httpGet: { path, port: "probes" } });
  return {
    name: "ledger",
    ...containerDefaults(target),
    args: serveArgs(target),
    env: [
      fieldEnv("SHIELDX_NAMESPACE", "metadata.namespace"),
      fieldEnv("SHIELDX_POD_NAME", "metadata.name"),
      fieldEnv("SHIELDX_POD_UID", "metadata.uid"),
      fieldEnv("SHIELDX_POD_IP", "status.podIP"),
    ],
    ports: [
      { name: "https", containerPort: API_PORT, protocol: "TCP" },
      { name: "probes", containerPort: PROBE_PORT, protocol: "TCP" },
    ],
    // Two minutes to start, then the loop must answer; ready only while every shard can be read and written.
    startupProbe: { ...probe("/healthz"), periodSeconds: 1, failureThreshold: 120 },
    livenessProbe: { ...probe("/healthz"), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3 },
    readinessProbe: { ...probe("/readyz"), periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 3 },
    lifecycle: { preStop: { sleep: { seconds: ENDPOINT_DRAIN_SECONDS } } },
    volumeMounts: [mount("tls", PATHS.tls), mount("postgres-ca", PATHS.postgresCa), mount("roles", PATHS.roles)],
  };
}

function connectionArgs(target: Target): string[] {
  const { ledger, spec, shards } = target;
  return [
    "--ledger",
    `${ledger.namespace}/${ledger.name}`,
    "--shardset",
    spec.shardSet,
    "--shards",
    String(shards),
    "--database",
    names(target).database,
    "--postgres-ca-dir",
    PATHS.postgresCa,
    "--roles-dir",
    PATHS.roles,
    "--assets",
    spec.assets.map((asset) => `${asset.code}:${asset.scale}`).join(","),
  ];
}

function migrationArgs(target: Target): string[] {
  return ["ledger", "migrate", ...connectionArgs(target), "--admin-key-file", `${PATHS.adminKey}/key`];
}

function serveArgs(target: Target): string[] {
  const { spec } = target;
  return [
    "ledger",
    "serve",
    ...connectionArgs(target),
    "--listen",
    String(API_PORT),
    "--probe-listen",
    String(PROBE_PORT),
    "--tls-dir",
    PATHS.tls,
    "--snapshot-every",
    String(spec.snapshotEveryEvents),
  ];
}

function podDefaults(target: Target): Record<string, unknown> {
  return {
    serviceAccountName: names(target).access,
    enableServiceLinks: false,
    ...target.spec.scheduling,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER_ID,
      runAsGroup: USER_ID,
      fsGroup: USER_ID,
      seccompProfile: { type: "RuntimeDefault" },
    },
  };
}

function containerDefaults(target: Target): Record<string, unknown> {
  return {
    image: target.image,
    // Tags name content, so an image of a known tag never changes.
    imagePullPolicy: "IfNotPresent",
    // The end of the log becomes the message of a failed container, and so of condition Migrated.
    terminationMessagePolicy: "FallbackToLogsOnError",
    resources: target.spec.resources,
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    },
  };
}

function spreadOverNodes(selector: Record<string, string>): Record<string, unknown> {
  return {
    podAntiAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        {
          weight: 100,
          podAffinityTerm: { labelSelector: { matchLabels: selector }, topologyKey: "kubernetes.io/hostname" },
        },
      ],
    },
  };
}

function podSelector(target: Target): Record<string, string> {
  return {
    [LABELS.kind]: "CreditLedger",
    [LABELS.name]: target.ledger.name,
    [LABELS.component]: COMPONENTS.ledger,
  };
}

function postgresCaVolume(target: Target): Record<string, unknown> {
  // The ShardSet's CA certificate alone: its key is in another Secret that no ledger reads.
  return secretVolume("postgres-ca", `${target.spec.shardSet}-ca`, ["ca.crt"]);
}

function secretVolume(name: string, secretName: string, keys: readonly string[]): Record<string, unknown> {
  return { name, secret: { secretName, defaultMode: SECRET_MODE, items: keys.map((key) => ({ key, path: key })) } };
}

function mount(name: string, mountPath: string): Record<string, unknown> {
  return { name, mountPath, readOnly: true };
}

function fieldEnv(name: string, fieldPath: string): Record<string, unknown> {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}

function names(target: Target): LedgerNames {
  return ledgerNames(target.ledger.name);
}

function owned<T extends KubeObject>(target: Target, bare: T): T {
  return { ...bare, metadata: { ...bare.metadata, ownerReferences: [ownerReference(target.ledger)] } };
}

function object(target: Target, type: readonly [apiVersion: string, kind: string], name: string): KubeObject {
  const [apiVersion, kind] = type;
  return {
    apiVersion,
    kind,
    metadata: { name, namespace: target.ledger.namespace, labels: ledgerLabels(target.ledger.name, COMPONENTS.ledger) },
  };
}

function secret(target: Target, name: string, texts: Readonly<Record<string, string>>): SecretObject {
  const data = Object.fromEntries(
    Object.entries(texts).map(([key, text]) => [key, Buffer.from(text, "utf8").toString("base64")]),
  );
  return { ...object(target, ["v1", "Secret"], name), type: "Opaque", data };
}
