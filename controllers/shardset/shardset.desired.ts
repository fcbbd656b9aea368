import { AGENT_PORT, AGENT_PROBE_PORT, POSTGRES_PORT } from "../../crds/agent-status.ts";
import { DATABASES_KEY, type DatabaseRequest } from "../../crds/database-request.ts";
import { ANNOTATIONS, COMPONENTS, LABELS } from "../../crds/group.ts";
import type { ShardSetSpec } from "../../crds/shardset.ts";
import { canonicalJson, contentHash } from "../../lib/core/canonical.ts";
import { formatShardMap, type ShardMap } from "../../lib/core/shard-map.ts";
import type { ConfigMapObject, KubeObject, LeaseObject, SecretObject } from "../../lib/kube/types.ts";
import { INSTANCE, ownerReference, ownLabels, type ShardSetIdentity, shardSetNames } from "./shardset.names.ts";

// One function per owned object, in the order of the table in ARCHITECTURE.md. What must outlive the ShardSet under
// `deletionPolicy: Retain` (CA, map, volumes) carries no owner reference; everything else does.

/** Everything that the desired objects are computed from. */
export interface Target {
  readonly shardSet: ShardSetIdentity;
  readonly spec: ShardSetSpec;
  /** Image of shieldx-postgres. */
  readonly image: string;
  /** DNS domain of the cluster, for example `cluster.local`. */
  readonly clusterDomain: string;
}

/** A certificate and its private key, PEM. */
export interface KeyPair {
  readonly certPem: string;
  readonly keyPem: string;
}

/** uid and gid of user `postgres` in the image. */
const USER_ID = 10_001;

/** A fast shutdown may take 20 s and an immediate one 5 s more; giving back the Lease 2 s. The rest is for slow nodes. */
const GRACE_SECONDS = 40;

const PATHS = {
  /** Mount point of the volume; the data directory is below it. */
  volume: "/var/lib/postgresql",
  tls: "/etc/shieldx/tls",
  ca: "/etc/shieldx/ca",
  run: "/run/postgresql",
} as const;

/** Secrets are readable by the group, which is how a pod that is not root reads them (fsGroup). */
const SECRET_MODE = 0o440;

/** Indexes of the shards that the spec asks for. */
export function shardIndexes({ spec }: Pick<Target, "spec">): number[] {
  return Array.from({ length: spec.shards }, (_, shard) => shard);
}

/** DNS names of a shard's server certificate; the third is the one that the controller itself verifies. */
export function serverNames(target: Pick<Target, "shardSet" | "clusterDomain">, shard: number): string[] {
  const name = shardSetNames(target.shardSet.name).shard(shard);
  const { namespace } = target.shardSet;
  return [
    name,
    `${name}.${namespace}`,
    `${name}.${namespace}.svc`,
    `${name}.${namespace}.svc.${target.clusterDomain}`,
    "localhost",
  ];
}

/** Selector of the pods, for the scale subresource. */
export function podSelector(name: string): string {
  const labels = { ...ownLabels(name), [LABELS.component]: COMPONENTS.shard };
  return Object.entries(labels)
    .map(([label, value]) => `${label}=${value}`)
    .join(",");
}

/** Secret `s-ca`: the bundle of CA certificates that clients trust. */
export function desiredCa(target: Target, bundle: string): SecretObject {
  return secret(target, names(target).ca, { "ca.crt": bundle });
}

/** Secret `s-ca-key`: the CA that signs now. */
export function desiredCaKey(target: Target, ca: KeyPair): SecretObject {
  const object = secret(target, names(target).caKey, { "tls.crt": ca.certPem, "tls.key": ca.keyPem });
  return { ...object, type: "kubernetes.io/tls" };
}

/** Secret `s-n-tls`: server certificate of a shard, with the bundle beside it. */
export function desiredShardTls(
  target: Target,
  shard: number,
  content: { readonly pair: KeyPair; readonly bundle: string },
): SecretObject {
  const object = secret(target, names(target).shardTls(shard), tlsData(content.pair, content.bundle));
  return owned(target, { ...withShardLabels(object, shard), type: "kubernetes.io/tls" });
}

/** Secret `s-operator-tls`: the client certificate that agents answer. */
export function desiredOperatorTls(target: Target, pair: KeyPair, bundle: string): SecretObject {
  const object = secret(target, names(target).operatorTls, tlsData(pair, bundle));
  return owned(target, { ...object, type: "kubernetes.io/tls" });
}

/** Secret `s-databases`: all database requests, sorted by database. */
export function desiredDatabases(target: Target, requests: readonly DatabaseRequest[]): SecretObject {
  const json = canonicalJson({ databases: requests });
  return owned(target, secret(target, names(target).databases, { [DATABASES_KEY]: json }));
}

/** ConfigMap `s-map`: made once. */
export function desiredMap(target: Target, map: ShardMap): ConfigMapObject {
  const metadata = metadataOf(target, names(target).map);
  const annotations = { [ANNOTATIONS.createdFor]: target.shardSet.uid };
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { ...metadata, annotations }, data: formatShardMap(map) };
}

/** Lease `s-n`: made once and empty; its agent fills it. */
export function desiredLease(target: Target, shard: number): LeaseObject {
  const lease: LeaseObject = {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: metadataOf(target, names(target).shard(shard)),
    spec: {},
  };
  return owned(target, withShardLabels(lease, shard));
}

/** PersistentVolumeClaim `s-n-i`: made once, grown later by a patch. */
export function desiredClaim(target: Target, shard: number): KubeObject {
  const { size, storageClassName } = target.spec.storage;
  const metadata = metadataOf(target, names(target).instance(shard));
  return withInstanceLabels(
    {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { ...metadata, annotations: { [ANNOTATIONS.createdFor]: target.shardSet.uid } },
      spec: {
        accessModes: ["ReadWriteOnce"],
        resources: { requests: { storage: size } },
        ...(storageClassName === undefined ? {} : { storageClassName }),
      },
    },
    shard,
  );
}

/** Pod `s-n-i`: the shard agent with PostgreSQL as its child. It is never changed, only replaced. */
export function desiredPod(target: Target, shard: number): KubeObject {
  const spec = podSpec(target, shard);
  const metadata = metadataOf(target, names(target).instance(shard));
  const annotations = { [ANNOTATIONS.configHash]: contentHash(spec) };
  const pod = withInstanceLabels(
    { apiVersion: "v1", kind: "Pod", metadata: { ...metadata, annotations }, spec },
    shard,
  );
  return owned(target, pod);
}

/** Hash that pods carry: one with another hash was made from an older spec or by another version of the program. */
export function podHash(target: Target, shard: number): string {
  return contentHash(podSpec(target, shard));
}

/**
 * Service `s-n`. It also leads to a pod that is not ready: there is only one, so its absence from the endpoints would
 * only add the probe's period and the endpoints' way to each crash restart. A client is refused at once instead and
 * connects the moment that PostgreSQL listens again.
 */
export function desiredService(target: Target, shard: number): KubeObject {
  return owned(
    target,
    withShardLabels(
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: metadataOf(target, names(target).shard(shard)),
        spec: {
          type: "ClusterIP",
          publishNotReadyAddresses: true,
          selector: {
            ...ownLabels(target.shardSet.name),
            [LABELS.shard]: String(shard),
            [LABELS.role]: "primary",
          },
          ports: [{ name: "postgres", port: POSTGRES_PORT, protocol: "TCP", targetPort: "postgres" }],
        },
      },
      shard,
    ),
  );
}

/** ServiceAccount `s-shard`: identity of the agents. */
export function desiredServiceAccount(target: Target): KubeObject {
  return owned(target, {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: metadataOf(target, names(target).access),
    // Only the pod that says so gets a token.
    automountServiceAccountToken: false,
  });
}

/** Role `s-shard`: the Leases of the shards, the map and the databases, each by name. */
export function desiredRole(target: Target): KubeObject {
  const { shard, map, databases, access } = names(target);
  const read = ["get", "list", "watch"];
  return owned(target, {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "Role",
    metadata: metadataOf(target, access),
    rules: [
      {
        apiGroups: ["coordination.k8s.io"],
        resources: ["leases"],
        resourceNames: shardIndexes(target).map(shard),
        verbs: ["get", "update", "patch"],
      },
      { apiGroups: [""], resources: ["configmaps"], resourceNames: [map], verbs: read },
      { apiGroups: [""], resources: ["secrets"], resourceNames: [databases], verbs: read },
    ],
  });
}

/** RoleBinding `s-shard`. */
export function desiredRoleBinding(target: Target): KubeObject {
  const { access } = names(target);
  return owned(target, {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "RoleBinding",
    metadata: metadataOf(target, access),
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: access },
    subjects: [{ kind: "ServiceAccount", name: access, namespace: target.shardSet.namespace }],
  });
}

function podSpec(target: Target, shard: number): Record<string, unknown> {
  const { scheduling } = target.spec;
  return {
    serviceAccountName: names(target).access,
    automountServiceAccountToken: true,
    enableServiceLinks: false,
    hostname: names(target).instance(shard),
    restartPolicy: "Always",
    terminationGracePeriodSeconds: GRACE_SECONDS,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER_ID,
      runAsGroup: USER_ID,
      fsGroup: USER_ID,
      // Walking a large volume at each start would cost minutes.
      fsGroupChangePolicy: "OnRootMismatch",
      seccompProfile: { type: "RuntimeDefault" },
    },
    ...(scheduling.nodeSelector === undefined ? {} : { nodeSelector: scheduling.nodeSelector }),
    ...(scheduling.tolerations === undefined ? {} : { tolerations: scheduling.tolerations }),
    // The loss of a node should cost as few shards as possible; one node is enough all the same.
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: "kubernetes.io/hostname",
        whenUnsatisfiable: "ScheduleAnyway",
        labelSelector: { matchLabels: { ...ownLabels(target.shardSet.name), [LABELS.component]: COMPONENTS.shard } },
      },
    ],
    containers: [container(target, shard)],
    volumes: [
      { name: "data", persistentVolumeClaim: { claimName: names(target).instance(shard) } },
      { name: "tls", secret: { secretName: names(target).shardTls(shard), defaultMode: SECRET_MODE } },
      { name: "ca", secret: { secretName: names(target).ca, defaultMode: SECRET_MODE } },
      // Socket, configuration and the server's key: in memory, gone with the pod.
      { name: "run", emptyDir: { medium: "Memory", sizeLimit: "16Mi" } },
      { name: "tmp", emptyDir: { sizeLimit: "64Mi" } },
      // Shared memory of parallel queries; the runtime's default of 64 MiB cannot be changed otherwise.
      { name: "shm", emptyDir: { medium: "Memory", sizeLimit: "128Mi" } },
    ],
  };
}

function container(target: Target, shard: number): Record<string, unknown> {
  const flags = ["--shardset", target.shardSet.name, "--shard", String(shard), "--instance", String(INSTANCE)];
  return {
    name: "postgres",
    image: target.image,
    imagePullPolicy: "IfNotPresent",
    args: ["shard-agent", ...flags, "--tls-dir", PATHS.tls, "--ca-dir", PATHS.ca],
    env: [
      fieldVariable("SHIELDX_NAMESPACE", "metadata.namespace"),
      fieldVariable("SHIELDX_POD_NAME", "metadata.name"),
      fieldVariable("SHIELDX_POD_UID", "metadata.uid"),
      fieldVariable("SHIELDX_POD_IP", "status.podIP"),
      { name: "SHIELDX_POSTGRES_PARAMETERS", value: canonicalJson(target.spec.postgres.parameters) },
    ],
    ports: [
      { name: "postgres", containerPort: POSTGRES_PORT, protocol: "TCP" },
      { name: "agent", containerPort: AGENT_PORT, protocol: "TCP" },
      { name: "probes", containerPort: AGENT_PROBE_PORT, protocol: "TCP" },
    ],
    resources: target.spec.resources,
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    },
    // Starting may wait for a Lease for as long as it takes, so only the agent's own loop is a reason for a restart.
    startupProbe: { ...probe("/healthz"), periodSeconds: 1, failureThreshold: 60 },
    livenessProbe: { ...probe("/healthz"), periodSeconds: 10, failureThreshold: 6 },
    // Answered from memory: asking every second costs nothing, and others see a change a second after it.
    readinessProbe: { ...probe("/readyz"), periodSeconds: 1, failureThreshold: 1 },
    volumeMounts: [
      { name: "data", mountPath: PATHS.volume },
      { name: "tls", mountPath: PATHS.tls, readOnly: true },
      { name: "ca", mountPath: PATHS.ca, readOnly: true },
      { name: "run", mountPath: PATHS.run },
      { name: "tmp", mountPath: "/tmp" },
      { name: "shm", mountPath: "/dev/shm" },
    ],
  };
}

function probe(path: string): { httpGet: { path: string; port: string }; timeoutSeconds: number } {
  return { httpGet: { path, port: "probes" }, timeoutSeconds: 3 };
}

function fieldVariable(name: string, fieldPath: string): unknown {
  return { name, valueFrom: { fieldRef: { apiVersion: "v1", fieldPath } } };
}

function names(target: Target): ReturnType<typeof shardSetNames> {
  return shardSetNames(target.shardSet.name);
}

function metadataOf(target: Target, name: string): KubeObject["metadata"] {
  return {
    name,
    namespace: target.shardSet.namespace,
    labels: {
      "app.kubernetes.io/name": "shieldx",
      "app.kubernetes.io/managed-by": "shieldx",
      "app.kubernetes.io/instance": target.shardSet.name,
      "app.kubernetes.io/component": COMPONENTS.shard,
      ...ownLabels(target.shardSet.name),
      [LABELS.component]: COMPONENTS.shard,
    },
  };
}

function withShardLabels<T extends KubeObject>(object: T, shard: number): T {
  return withLabels(object, { [LABELS.shard]: String(shard) });
}

function withInstanceLabels<T extends KubeObject>(object: T, shard: number): T {
  return withLabels(object, {
    [LABELS.shard]: String(shard),
    [LABELS.instance]: String(INSTANCE),
    [LABELS.role]: "primary",
  });
}

function withLabels<T extends KubeObject>(object: T, labels: Readonly<Record<string, string>>): T {
  return { ...object, metadata: { ...object.metadata, labels: { ...object.metadata.labels, ...labels } } };
}

function owned<T extends KubeObject>(target: Target, object: T): T {
  return { ...object, metadata: { ...object.metadata, ownerReferences: [ownerReference(target.shardSet)] } };
}

function secret(target: Target, name: string, texts: Readonly<Record<string, string>>): SecretObject {
  const data = Object.fromEntries(
    Object.entries(texts).map(([key, text]) => [key, Buffer.from(text, "utf8").toString("base64")]),
  );
  return { apiVersion: "v1", kind: "Secret", metadata: metadataOf(target, name), type: "Opaque", data };
}

function tlsData(pair: KeyPair, bundle: string): Record<string, string> {
  return { "ca.crt": bundle, "tls.crt": pair.certPem, "tls.key": pair.keyPem };
}
