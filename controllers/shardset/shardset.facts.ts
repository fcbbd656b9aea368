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
import type { Kept } from "../kit/secrets.ts";

// Turns raw objects into the few facts that decisions need.

/** ConfigMap `s-map`. */
export interface ObservedMap extends Kept<ShardMap> {
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
}

/** A volume claim of a shard. */
export interface ObservedClaim extends ObjectIdentity {
  readonly shard: number;
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
export interface ObservedPod extends ObjectIdentity {
  readonly shard: number;
  /** `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`. */
  readonly phase: string;
  /** The kubelet's readiness probe succeeds. */
  readonly ready: boolean;
  /** A process of its container has begun, as far as its kubelet knows: PostgreSQL may be at work in it. */
  readonly isStarted: boolean;
  readonly ip: string | undefined;
  readonly configHash: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** As the server keeps it: ours, with its defaults and what admission added. */
  readonly spec: unknown;
  /** Milliseconds since the epoch, by the API server's clock. */
  readonly createdAt: number | undefined;
  readonly deleting: boolean;
  /** What keeps it from running, in the words of scheduler and kubelet. */
  readonly problem: string | undefined;
}

/** The shard map; a ConfigMap that cannot be read has no value. */
export function observeMap(object: ConfigMapObject | undefined): ObservedMap | undefined {
  if (object === undefined) return undefined;
  const createdFor = object.metadata.annotations?.[ANNOTATIONS.createdFor];
  const { resourceVersion } = object.metadata;
  const base = { ...identityOf(RESOURCES.ConfigMap, object), createdFor, resourceVersion };
  try {
    return { ...base, value: parseShardMap(object.data), identities: parseIdentities(object.data) };
  } catch {
    // The condition MapInvalid tells; the object itself shows why.
    return { ...base, value: undefined, identities: new Map() };
  }
}

/** Facts of the Lease of a shard. */
export function observeLease({ metadata, spec }: LeaseObject): ObservedLease {
  const systemIdentifier = metadata.annotations?.[ANNOTATIONS.systemIdentifier];
  return { epoch: spec?.leaseTransitions ?? 0, systemIdentifier };
}

/**
 * Index of the shard that has an object of this name. The name tells, not the label: two objects can have one label,
 * a copy of a volume for example. @returns `undefined` for a name that no shard's object has
 */
export function shardNamed(name: string, nameOf: (shard: number) => string): number | undefined {
  const digits = /-(0|[1-9]\d{0,3})(-\d+|-tls|-lease)?$/.exec(name)?.[1];
  return digits !== undefined && nameOf(Number(digits)) === name ? Number(digits) : undefined;
}

/** Facts of the PersistentVolumeClaim of a shard. */
export function observeClaim(object: KubeObject, shard: number): ObservedClaim {
  const spec = object["spec"] as { resources?: { requests?: Record<string, string> } } | undefined;
  const status = object["status"] as { capacity?: Record<string, string> } | undefined;
  return {
    ...identityOf(RESOURCES.PersistentVolumeClaim, object),
    shard,
    requested: spec?.resources?.requests?.["storage"] ?? "0",
    capacity: status?.capacity?.["storage"],
    deleting: object.metadata.deletionTimestamp !== undefined,
    createdFor: object.metadata.annotations?.[ANNOTATIONS.createdFor],
  };
}

interface PodStatus {
  readonly phase?: string;
  readonly podIP?: string;
  readonly conditions?: readonly { type: string; status: string; reason?: string; message?: string }[];
  readonly containerStatuses?: readonly {
    /** False until the startup probe has succeeded: until then the agent, which starts PostgreSQL, has not come up. */
    readonly started?: boolean;
    readonly state?: {
      readonly waiting?: { readonly reason?: string; readonly message?: string };
      readonly terminated?: object;
    };
  }[];
}

/** Facts of the Pod of a shard. */
export function observePod(object: KubeObject, shard: number): ObservedPod {
  const status = (object["status"] ?? {}) as PodStatus;
  return {
    ...identityOf(RESOURCES.Pod, object),
    shard,
    phase: status.phase ?? "Pending",
    ready: status.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") ?? false,
    isStarted: isStarted(status),
    ip: status.podIP,
    configHash: object.metadata.annotations?.[ANNOTATIONS.configHash],
    labels: object.metadata.labels ?? {},
    spec: object["spec"],
    createdAt:
      object.metadata.creationTimestamp === undefined ? undefined : Date.parse(object.metadata.creationTimestamp),
    deleting: object.metadata.deletionTimestamp !== undefined,
    problem: problemOf(status),
  };
}

/** What the kubelet does not say counts as started: a pod that may work is not to be taken for one that cannot. */
function isStarted({ phase, containerStatuses }: PodStatus): boolean {
  if (phase !== "Running" && phase !== "Unknown") return false;
  const container = containerStatuses?.[0];
  if (container === undefined) return true;
  const { started, state } = container;
  return started !== false && state?.waiting === undefined && state?.terminated === undefined;
}

function problemOf(status: PodStatus): string | undefined {
  const scheduled = status.conditions?.find(({ type }) => type === "PodScheduled");
  if (scheduled?.status === "False") return sentence(scheduled.reason, scheduled.message);
  const waiting = status.containerStatuses?.[0]?.state?.waiting;
  return waiting === undefined ? undefined : sentence(waiting.reason, waiting.message);
}

/** The first line is enough: what follows are stack traces and repetitions. */
function sentence(reason = "Waiting", message = ""): string {
  return [reason, message.split("\n")[0] ?? ""].filter((part) => part !== "").join(": ");
}
