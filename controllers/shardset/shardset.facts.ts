import type { AgentStatus } from "../../crds/agent-status.ts";
import { ANNOTATIONS } from "../../crds/group.ts";
import { parseIdentities, type ShardIdentities } from "../../lib/core/shard-identity.ts";
import { parseShardMap, type ShardMap } from "../../lib/core/shard-map.ts";
import {
  type ConfigMapObject,
  identityOf,
  type KubeObject,
  type LeaseObject,
  type ObjectIdentity,
  RESOURCES,
} from "../../lib/kube/types.ts";
import type { ClaimFacts } from "../kit/explain/claims.ts";
import { type PodFacts, podFacts } from "../kit/explain/pods.ts";
import type { Kept } from "../kit/secrets.ts";
import { POSTGRES_CONTAINER, type ShardSetNames } from "./shardset.names.ts";

// Turns raw objects into the few facts that decisions need.

/** ConfigMap `s-map`. */
export interface ObservedMap extends Kept<ShardMap> {
  /** Milliseconds since the epoch, by the API server's clock. */
  readonly createdAt: number | undefined;
  /** uid of the ShardSet that made it. */
  readonly createdFor: string | undefined;
  /** What it says of the shards' data; nothing when it cannot be read. */
  readonly identities: ShardIdentities;
  readonly resourceVersion: string | undefined;
}

/** The Lease of a shard: what the agents that held it leave on it. */
export interface ObservedLease {
  /** Rises each time that an agent takes it; 0 before the first. */
  readonly epoch: number;
  /** System identifier of the data that the last agent worked on. */
  readonly systemIdentifier: string | undefined;
  /** A pod held it at some time. An agent takes the Lease before it makes or opens data, so that until then there is none. */
  readonly wasHeld: boolean;
  /** Milliseconds since the epoch, by the API server's clock. */
  readonly createdAt: number | undefined;
}

/** A volume claim of a shard. */
export interface ObservedClaim extends ObjectIdentity, Omit<ClaimFacts, "uid"> {
  readonly shard: number;
  /** Resource version: it changes when the claim gets its volume. */
  readonly version: string | undefined;
  /** Milliseconds since the epoch, by the API server's clock. */
  readonly createdAt: number | undefined;
  /** Size that the claim asks for, a quantity. */
  readonly requested: string;
  /** Size that the volume has; `undefined` before it is bound. */
  readonly capacity: string | undefined;
  /** Somebody has deleted it: it goes, with its data, at the moment that no pod uses it any more. */
  readonly deleting: boolean;
  /** uid of the ShardSet that made it. */
  readonly createdFor: string | undefined;
}

/** The pod of a shard. */
export interface ObservedPod extends PodFacts {
  readonly shard: number;
  /** A process of its container has begun, as far as its kubelet knows: PostgreSQL may be at work in it. */
  readonly isStarted: boolean;
  readonly ip: string | undefined;
  readonly configHash: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** As the server keeps it: ours, with its defaults and what admission added. */
  readonly spec: unknown;
}

/** What there is of each shard, by its index. */
export interface ObservedShards {
  readonly claims: ReadonlyMap<number, ObservedClaim>;
  readonly pods: ReadonlyMap<number, ObservedPod>;
  /** Leases of the agents. */
  readonly leases: ReadonlyMap<number, ObservedLease>;
}

/** The answer of an agent. */
export interface AgentAnswer extends AgentStatus {
  /** It is an earlier one: the agent does not answer now. Good enough to be told, not to act on. */
  readonly isRemembered?: true;
}

/** What the agents of the shards answered; a shard whose agent does not answer is absent. */
export type Agents = ReadonlyMap<number, AgentAnswer>;

/** Facts of the objects that have the names of a shard's. */
export function observeShards(
  {
    claims,
    pods,
    leases,
  }: Readonly<Record<"claims" | "pods", readonly KubeObject[]>> & { readonly leases: readonly LeaseObject[] },
  names: Pick<ShardSetNames, "instance" | "lease">,
): ObservedShards {
  return {
    claims: byShard(claims, names.instance, observeClaim),
    pods: byShard(pods, names.instance, observePod),
    leases: byShard(leases, names.lease, observeLease),
  };
}

function byShard<T, O extends KubeObject>(
  objects: readonly O[],
  nameOf: (shard: number) => string,
  facts: (object: O, shard: number) => T,
): ReadonlyMap<number, T> {
  return new Map(
    objects.flatMap((object) => {
      const shard = shardNamed(object.metadata.name, nameOf);
      return shard === undefined ? [] : [[shard, facts(object, shard)] as const];
    }),
  );
}

/** The shard map; a ConfigMap that cannot be read has no value. */
export function observeMap(object: ConfigMapObject | undefined): ObservedMap | undefined {
  if (object === undefined) return undefined;
  const createdFor = object.metadata.annotations?.[ANNOTATIONS.createdFor];
  const { resourceVersion } = object.metadata;
  const base = {
    ...identityOf(RESOURCES.ConfigMap, object),
    createdFor,
    createdAt: createdAtOf(object),
    resourceVersion,
  };
  try {
    return { ...base, value: parseShardMap(object.data), identities: parseIdentities(object.data) };
  } catch {
    // The condition MapInvalid tells; the object itself shows why.
    return { ...base, value: undefined, identities: new Map() };
  }
}

/** Facts of the Lease of a shard. */
export function observeLease(lease: LeaseObject): ObservedLease {
  const { holderIdentity, leaseTransitions: epoch = 0, acquireTime } = lease.spec ?? {};
  return {
    epoch,
    systemIdentifier: lease.metadata.annotations?.[ANNOTATIONS.systemIdentifier],
    wasHeld: epoch > 0 || (holderIdentity ?? "") !== "" || (acquireTime ?? "") !== "",
    createdAt: createdAtOf(lease),
  };
}

/**
 * Index of the shard that has an object of this name. The name tells, not the label: two objects can have one label,
 * a copy of a volume for example. @returns `undefined` for a name that no shard's object has
 */
export function shardNamed(name: string, nameOf: (shard: number) => string): number | undefined {
  const digits = /-(0|[1-9]\d{0,3})(-\d+|-tls|-lease)?$/.exec(name)?.[1];
  return digits !== undefined && nameOf(Number(digits)) === name ? Number(digits) : undefined;
}

/** Set by the volume controller when a claim has got its volume; it stays. */
const BIND_COMPLETED = "pv.kubernetes.io/bind-completed";

interface ClaimShape {
  readonly spec?: {
    readonly resources?: { readonly requests?: Readonly<Record<string, string>> };
    readonly storageClassName?: string;
    readonly volumeName?: string;
    readonly dataSource?: unknown;
    readonly dataSourceRef?: unknown;
  };
  readonly status?: { readonly phase?: string; readonly capacity?: Readonly<Record<string, string>> };
}

/** Facts of the PersistentVolumeClaim of a shard. */
function observeClaim(object: KubeObject, shard: number): ObservedClaim {
  const { metadata, spec = {}, status = {} } = object as ClaimShape & KubeObject;
  const phase = status.phase ?? "Pending";
  const capacity = status.capacity?.["storage"];
  const hasVolume = [spec.volumeName, spec.dataSource, spec.dataSourceRef, capacity].some((sign) => sign !== undefined);
  return {
    ...identityOf(RESOURCES.PersistentVolumeClaim, object),
    shard,
    version: metadata.resourceVersion,
    createdAt: createdAtOf(object),
    phase,
    wasBound: phase !== "Pending" || hasVolume || metadata.annotations?.[BIND_COMPLETED] !== undefined,
    storageClass: spec.storageClassName,
    requested: spec.resources?.requests?.["storage"] ?? "0",
    capacity,
    deleting: metadata.deletionTimestamp !== undefined,
    createdFor: metadata.annotations?.[ANNOTATIONS.createdFor],
  };
}

interface PodStatus {
  readonly phase?: string;
  readonly podIP?: string;
  readonly containerStatuses?: readonly {
    readonly name?: string;
    /** False until the startup probe has succeeded: until then the agent, which starts PostgreSQL, has not come up. */
    readonly started?: boolean;
    readonly state?: { readonly waiting?: object; readonly terminated?: object };
  }[];
}

/** Facts of the Pod of a shard. */
export function observePod(object: KubeObject, shard: number): ObservedPod {
  const { metadata } = object;
  const status = (object["status"] ?? {}) as PodStatus;
  return {
    ...podFacts(object),
    shard,
    isStarted: isStarted(status),
    ip: status.podIP,
    configHash: metadata.annotations?.[ANNOTATIONS.configHash],
    labels: metadata.labels ?? {},
    spec: object["spec"],
  };
}

/** What the kubelet does not say counts as started: a pod that may work is not to be taken for one that cannot. */
function isStarted({ phase, containerStatuses }: PodStatus): boolean {
  if (phase !== "Running" && phase !== "Unknown") return false;
  const container = containerStatuses?.find(({ name }) => name === POSTGRES_CONTAINER);
  if (container === undefined) return true;
  const { started, state } = container;
  return started !== false && state?.waiting === undefined && state?.terminated === undefined;
}

function createdAtOf({ metadata }: KubeObject): number | undefined {
  return metadata.creationTimestamp === undefined ? undefined : Date.parse(metadata.creationTimestamp);
}
