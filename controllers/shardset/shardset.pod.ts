import { AGENT_PORT, AGENT_PROBE_PORT, METRICS_PORT, POSTGRES_PORT } from "../../crds/agent-status.ts";
import { canonicalJson } from "../../lib/core/canonical.ts";
import { componentSelector } from "../kit/objects.ts";
import { containerResources, spreadPlacement } from "../kit/placement.ts";
import { CONTAINER_SECURITY, httpProbe, POD_IDENTITY, podSecurity, readOnlyMount, secretVolume } from "../kit/pods.ts";
import { INSTANCE, POSTGRES_CONTAINER, type Target } from "./shardset.names.ts";

// The pod of a shard: the agent with PostgreSQL as its child. It is never changed, only replaced.

/** uid and gid of user `postgres` in the image. */
const USER_ID = 10_001;

/** A fast shutdown may take 20 s and an immediate one 5 s more; giving back the Lease 2 s. The rest is for slow nodes. */
const GRACE_SECONDS = 40;

/** Settings of the spec, as JSON, for the agent. */
export const PARAMETERS_VARIABLE = "SHIELDX_POSTGRES_PARAMETERS";

const PATHS = {
  /** Mount point of the volume; the data directory is below it. */
  volume: "/var/lib/postgresql",
  tls: "/etc/shieldx/tls",
  ca: "/etc/shieldx/ca",
  run: "/run/postgresql",
} as const;

/** Volumes that hold nothing which a new pod would miss. */
const SCRATCH = { run: "run", tmp: "tmp", shm: "shm" } as const;

/**
 * Tells the cluster autoscaler that these volumes are no reason to keep a node (docs/operations.md). It stands outside of the
 * spec, so a pod that was made without it is not replaced for it.
 */
export const POD_ANNOTATIONS: Readonly<Record<string, string>> = {
  "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes": Object.values(SCRATCH).join(","),
};

/** `spec` of the pod of a shard. */
export function shardPodSpec(target: Target, shard: number): Record<string, unknown> {
  const { names } = target;
  const selector = componentSelector(target.owner);
  return {
    serviceAccountName: names.access,
    automountServiceAccountToken: true,
    enableServiceLinks: false,
    hostname: names.instance(shard),
    restartPolicy: "Always",
    terminationGracePeriodSeconds: GRACE_SECONDS,
    // Walking a large volume at each start would cost minutes.
    securityContext: { ...podSecurity(USER_ID), fsGroupChangePolicy: "OnRootMismatch" },
    // The loss of a node should cost as few shards as possible; one node is enough all the same.
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: "kubernetes.io/hostname",
        whenUnsatisfiable: "ScheduleAnyway",
        labelSelector: { matchLabels: selector },
      },
    ],
    ...spreadPlacement(target.spec, selector),
    containers: [postgresContainer(target, shard)],
    volumes: [
      { name: "data", persistentVolumeClaim: { claimName: names.instance(shard) } },
      secretVolume("tls", names.shardTls(shard)),
      secretVolume("ca", names.ca),
      // Socket, configuration and the server's key: in memory, gone with the pod.
      { name: SCRATCH.run, emptyDir: { medium: "Memory", sizeLimit: "16Mi" } },
      { name: SCRATCH.tmp, emptyDir: { sizeLimit: "64Mi" } },
      // Shared memory of parallel queries; the runtime's default of 64 MiB cannot be changed otherwise.
      { name: SCRATCH.shm, emptyDir: { medium: "Memory", sizeLimit: "128Mi" } },
    ],
  };
}

function postgresContainer({ owner, names, spec, image }: Target, shard: number): Record<string, unknown> {
  const flags = ["--shardset", owner.name, "--shard", String(shard), "--instance", String(INSTANCE)];
  // Only where it is not what the agent takes by itself: the arguments of all other pods stay.
  const lease = names.lease(shard) === names.shard(shard) ? [] : ["--lease", names.lease(shard)];
  const healthy = { ...httpProbe("/healthz"), timeoutSeconds: 3 };
  return {
    name: POSTGRES_CONTAINER,
    image,
    imagePullPolicy: "IfNotPresent",
    args: [
      "shard-agent",
      ...flags,
      ...lease,
      "--tls-dir",
      PATHS.tls,
      "--ca-dir",
      PATHS.ca,
      "--metrics-listen",
      String(METRICS_PORT),
    ],
    env: [...POD_IDENTITY, { name: PARAMETERS_VARIABLE, value: canonicalJson(spec.postgres.parameters) }],
    ports: [
      { name: "postgres", containerPort: POSTGRES_PORT, protocol: "TCP" },
      { name: "agent", containerPort: AGENT_PORT, protocol: "TCP" },
      { name: "probes", containerPort: AGENT_PROBE_PORT, protocol: "TCP" },
      { name: "metrics", containerPort: METRICS_PORT, protocol: "TCP" },
    ],
    resources: containerResources(spec.resources),
    securityContext: CONTAINER_SECURITY,
    // Starting may wait for a Lease for as long as it takes, so only the agent's own loop is a reason for a restart.
    startupProbe: { ...healthy, periodSeconds: 1, failureThreshold: 60 },
    livenessProbe: { ...healthy, periodSeconds: 10, failureThreshold: 6 },
    // Answered from memory: asking every second costs nothing, and others see a change a second after it.
    readinessProbe: { ...httpProbe("/readyz"), timeoutSeconds: 3, periodSeconds: 1, failureThreshold: 1 },
    volumeMounts: [
      { name: "data", mountPath: PATHS.volume },
      readOnlyMount("tls", PATHS.tls),
      readOnlyMount("ca", PATHS.ca),
      { name: SCRATCH.run, mountPath: PATHS.run },
      { name: SCRATCH.tmp, mountPath: "/tmp" },
      { name: SCRATCH.shm, mountPath: "/dev/shm" },
    ],
  };
}
