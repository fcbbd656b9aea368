import { METRICS_PORT } from "../../crds/agent-status.ts";
import { componentSelector } from "../kit/objects.ts";
import { containerResources, placement, spreadPlacement } from "../kit/placement.ts";
import { CONTAINER_SECURITY, httpProbe, POD_IDENTITY, podSecurity, readOnlyMount, secretVolume } from "../kit/pods.ts";
import { ROLE_PASSWORD_KEYS } from "./creditledger.facts.ts";
import { MIGRATE_CONTAINER, type Target } from "./creditledger.names.ts";

// The two pods of a ledger: the one that migrates its database, and the one that serves its API.

/** uid and gid of the image's user. */
const USER_ID = 65532;

/** HTTPS API of the ledger pods. */
export const API_PORT = 8443;

/** Probes and metrics, plain HTTP. */
const PROBE_PORT = 8080;

/** Time for a pod to finish its batch, hand over its writers and end. */
const GRACE_SECONDS = 45;

/** A pod takes requests this long after its end began: endpoints take about a second to forget it. */
const ENDPOINT_DRAIN_SECONDS = 2;

const PATHS = {
  tls: "/etc/shieldx/tls",
  postgresCa: "/etc/shieldx/postgres-ca",
  roles: "/etc/shieldx/roles",
  adminKey: "/etc/shieldx/admin-key",
} as const;

/** `spec` of the pod that brings the database of every shard to the schema of the image, as the owner role. */
export function migrationPodSpec(target: Target): Record<string, unknown> {
  const { names } = target;
  return {
    ...podDefaults(target),
    ...placement(target.spec),
    // Each attempt is a pod of its own: its last words stay when the Job gives up, which removes a pod that it restarts.
    restartPolicy: "Never",
    // It never talks to the Kubernetes API.
    automountServiceAccountToken: false,
    containers: [
      {
        name: MIGRATE_CONTAINER,
        ...containerDefaults(target),
        args: migrationArgs(target),
        volumeMounts: [
          readOnlyMount("postgres-ca", PATHS.postgresCa),
          readOnlyMount("roles", PATHS.roles),
          readOnlyMount("admin-key", PATHS.adminKey),
        ],
      },
    ],
    volumes: [
      postgresCaVolume(target),
      secretVolume("roles", names.roles, [ROLE_PASSWORD_KEYS.owner]),
      secretVolume("admin-key", names.adminKey, ["key"]),
    ],
  };
}

/** `spec` of the pods that serve the HTTP API, one fenced writer a shard among them. */
export function servePodSpec(target: Target): Record<string, unknown> {
  const { names, owner, spec } = target;
  const selector = componentSelector(owner);
  return {
    ...podDefaults(target),
    ...spreadPlacement(spec, selector),
    terminationGracePeriodSeconds: GRACE_SECONDS,
    affinity: { ...spreadOverNodes(selector), ...spec.scheduling.affinity },
    containers: [serveContainer(target)],
    volumes: [
      secretVolume("tls", names.tls, ["ca.crt", "tls.crt", "tls.key"]),
      postgresCaVolume(target),
      secretVolume("roles", names.roles, [ROLE_PASSWORD_KEYS.reader, ROLE_PASSWORD_KEYS.writer]),
    ],
  };
}

/** Arguments of the migration: another migration is one with other arguments. */
export function migrationArgs(target: Target): string[] {
  return ["ledger", "migrate", ...connectionArgs(target), "--admin-key-file", `${PATHS.adminKey}/key`];
}

function serveContainer(target: Target): Record<string, unknown> {
  return {
    name: "ledger",
    ...containerDefaults(target),
    args: serveArgs(target),
    env: POD_IDENTITY,
    ports: [
      { name: "https", containerPort: API_PORT, protocol: "TCP" },
      { name: "probes", containerPort: PROBE_PORT, protocol: "TCP" },
      { name: "metrics", containerPort: METRICS_PORT, protocol: "TCP" },
    ],
    // Two minutes to start, then the loop must answer; ready only while every shard can be read and written.
    startupProbe: { ...httpProbe("/healthz"), periodSeconds: 1, failureThreshold: 120 },
    livenessProbe: { ...httpProbe("/healthz"), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3 },
    readinessProbe: { ...httpProbe("/readyz"), periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 3 },
    lifecycle: { preStop: { sleep: { seconds: ENDPOINT_DRAIN_SECONDS } } },
    volumeMounts: [
      readOnlyMount("tls", PATHS.tls),
      readOnlyMount("postgres-ca", PATHS.postgresCa),
      readOnlyMount("roles", PATHS.roles),
    ],
  };
}

function connectionArgs(target: Target): string[] {
  const { owner, names, spec, shards } = target;
  return [
    "--ledger",
    `${owner.namespace}/${owner.name}`,
    "--shardset",
    spec.shardSet,
    "--shards",
    String(shards.length),
    "--database",
    names.database,
    "--postgres-ca-dir",
    PATHS.postgresCa,
    "--roles-dir",
    PATHS.roles,
    "--assets",
    spec.assets.map((asset) => `${asset.code}:${asset.scale}`).join(","),
  ];
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
    "--metrics-listen",
    String(METRICS_PORT),
    "--tls-dir",
    PATHS.tls,
    "--snapshot-every",
    String(spec.snapshotEveryEvents),
  ];
}

function podDefaults(target: Target): Record<string, unknown> {
  return {
    serviceAccountName: target.names.access,
    enableServiceLinks: false,
    securityContext: podSecurity(USER_ID),
  };
}

function containerDefaults(target: Target): Record<string, unknown> {
  return {
    image: target.image,
    // Tags name content, so an image of a known tag never changes.
    imagePullPolicy: "IfNotPresent",
    // The end of the log becomes the message of a failed container, and so of condition Migrated.
    terminationMessagePolicy: "FallbackToLogsOnError",
    resources: containerResources(target.spec.resources),
    securityContext: CONTAINER_SECURITY,
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

function postgresCaVolume({ postgresCa }: Target): Record<string, unknown> {
  // The ShardSet's CA certificate alone: its key is in another Secret that no ledger reads.
  return secretVolume("postgres-ca", postgresCa, ["ca.crt"]);
}
