import { AGENT_PORT, METRICS_PORT, POSTGRES_PORT } from "../../crds/agent-status.ts";
import { DATABASES_KEY, type DatabaseRequest } from "../../crds/database-request.ts";
import { ANNOTATIONS, LABELS } from "../../crds/group.ts";
import { canonicalJson, contentHash } from "../../lib/core/canonical.ts";
import { formatShardMap, type ShardMap } from "../../lib/core/shard-map.ts";
import {
  type ConfigMapObject,
  type KubeObject,
  type LeaseObject,
  RESOURCES,
  type SecretObject,
} from "../../lib/kube/types.ts";
import { type Access, type Identity, VERBS } from "../kit/access.ts";
import { CONTROLLER_PODS, networkPolicy } from "../kit/network.ts";
import { keptObject, ownedObject, ownLabels } from "../kit/objects.ts";
import { textData } from "../kit/secrets.ts";
import { instanceLabels, shardLabels, type Target } from "./shardset.names.ts";
import { POD_ANNOTATIONS, shardPodSpec } from "./shardset.pod.ts";

// The objects of a ShardSet, in the order of the table in ARCHITECTURE.md; its certificates are in shardset.certificates.
// What must outlive the ShardSet under `deletionPolicy: Retain` (CA, map, volumes) carries no owner reference.

/** The objects of one shard. */
export interface ShardObjects {
  readonly shard: number;
  readonly lease: LeaseObject;
  readonly claim: KubeObject;
  readonly pod: KubeObject;
  /** Hash that the pod carries: one with another hash was made from an older spec or by another version of the program. */
  readonly podHash: string;
  readonly service: KubeObject;
}

/** The objects of one shard, as they are to be. */
export function shardObjects(target: Target, shard: number): ShardObjects {
  const spec = shardPodSpec(target, shard);
  // Pull secrets count before a pod runs, and never after: a database is not stopped for them.
  const { imagePullSecrets: _, ...running } = spec;
  const podHash = contentHash(running);
  const labels = shardLabels(shard);
  const ofInstance = instanceLabels(shard);
  return {
    shard,
    lease: ownedObject(target.owner, RESOURCES.Lease, target.names.lease(shard), {
      labels,
      // Made once and empty; its agent fills it.
      spec: {},
    }),
    claim: claimOf(target, target.names.instance(shard), ofInstance),
    pod: ownedObject(target.owner, RESOURCES.Pod, target.names.instance(shard), {
      labels: ofInstance,
      annotations: { ...POD_ANNOTATIONS, [ANNOTATIONS.configHash]: podHash },
      spec,
    }),
    podHash,
    service: serviceOf(target, target.names.shard(shard), labels),
  };
}

/** Secret `s-databases`: all database requests, sorted by database. */
export function databasesSecret({ owner, names }: Target, requests: readonly DatabaseRequest[]): SecretObject {
  const data = textData({ [DATABASES_KEY]: canonicalJson({ databases: requests }) });
  return ownedObject(owner, RESOURCES.Secret, names.databases, { type: "Opaque", data });
}

/** ConfigMap `s-map`: made once. @param identities what is known of the shards' data; changed later by patches */
export function mapConfigMap(
  { owner, names }: Target,
  map: ShardMap,
  identities: Readonly<Record<string, string>>,
): ConfigMapObject {
  return keptObject(owner, RESOURCES.ConfigMap, names.map, {
    annotations: { [ANNOTATIONS.createdFor]: owner.uid },
    data: { ...formatShardMap(map), ...identities },
  });
}

/** What the agents may do: the Leases of the shards, the map and the databases, each by name. */
export const AGENT_ACCESS: readonly Access<Target>[] = [
  { resource: RESOURCES.Lease, verbs: VERBS.hold, names: ({ names, shards }) => shards.map(names.lease) },
  { resource: RESOURCES.ConfigMap, verbs: VERBS.follow, names: ({ names }) => [names.map] },
  { resource: RESOURCES.Secret, verbs: VERBS.follow, names: ({ names }) => [names.databases] },
];

/** Identity `s-shard` of the agents. */
export function agentIdentity({ names, shards }: Target): Identity<Target> {
  return {
    name: names.access,
    access: AGENT_ACCESS,
    automount: false,
    notes: {
      identity: "identity of the agents",
      role: `Leases of ${shards.length} shards, map and databases, by name`,
      binding: "the agents' identity gets the Role",
    },
  };
}

/**
 * NetworkPolicy `s-shard`, unless the operator makes none: clients reach PostgreSQL, controllers the agents, everybody the metrics; pods reach DNS and the
 * Kubernetes API. The API's address is nobody's to know: its ports are.
 */
export function shardNetworkPolicy({ owner, names, spec, apiServerPorts }: Target): KubeObject | undefined {
  if (apiServerPorts === undefined) return undefined;
  const clients = spec.networkPolicy?.clients;
  const ledgers = { podSelector: { matchLabels: { [LABELS.kind]: "CreditLedger" } } };
  return networkPolicy(owner, names.access, {
    ingress: [
      { ports: [POSTGRES_PORT], peers: clients === undefined ? undefined : [...clients, ledgers] },
      { ports: [AGENT_PORT], peers: CONTROLLER_PODS },
      // Probes come from the node, which no policy holds.
      { ports: [METRICS_PORT] },
    ],
    egress: [{ ports: apiServerPorts }],
  });
}

type Labels = Readonly<Record<string, string>>;

/** PersistentVolumeClaim `s-n-i`: made once, grown later by a patch. */
function claimOf({ owner, spec }: Target, name: string, labels: Labels): KubeObject {
  const { size, storageClassName } = spec.storage;
  return keptObject(owner, RESOURCES.PersistentVolumeClaim, name, {
    labels,
    annotations: { [ANNOTATIONS.createdFor]: owner.uid },
    spec: {
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: String(size) } },
      ...(storageClassName === undefined ? {} : { storageClassName }),
    },
  });
}

/**
 * Service `s-n`. It also leads to a pod that is not ready. There is only one pod, so to take it out of the endpoints would
 * help nobody, and would make each crash restart longer by the probe's period and the update of the endpoints. As it is,
 * clients are refused until PostgreSQL listens again, and connect at that moment.
 */
function serviceOf({ owner }: Target, name: string, labels: Labels): KubeObject {
  return ownedObject(owner, RESOURCES.Service, name, {
    labels,
    spec: {
      type: "ClusterIP",
      publishNotReadyAddresses: true,
      selector: { ...ownLabels(owner), ...labels, [LABELS.role]: "primary" },
      ports: [{ name: "postgres", port: POSTGRES_PORT, protocol: "TCP", targetPort: "postgres" }],
    },
  });
}
