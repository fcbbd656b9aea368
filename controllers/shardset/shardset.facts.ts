import { ANNOTATIONS, LABELS } from "../../crds/group.ts";
import { parseShardMap, type ShardMap } from "../../lib/core/shard-map.ts";
import {
  type ConfigMapObject,
  identityOf,
  type KubeObject,
  type ObjectIdentity,
  RESOURCES,
} from "../../lib/kube/types.ts";
import type { Kept } from "../kit/secrets.ts";

// Turns raw objects into the few facts that decisions need.

/** ConfigMap `s-map`. */
export interface ObservedMap extends Kept<ShardMap> {
  /** uid of the ShardSet that made it. */
  readonly createdFor: string | undefined;
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
  readonly ip: string | undefined;
  readonly configHash: string | undefined;
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
  const base = { ...identityOf(RESOURCES.ConfigMap, object), createdFor };
  try {
    return { ...base, value: parseShardMap(object.data) };
  } catch {
    // The condition MapInvalid tells; the object itself shows why.
    return { ...base, value: undefined };
  }
}

/** Index of the shard that an object belongs to; -1 when its label is no index, so that it matches none. */
export function shardOf({ metadata }: KubeObject): number {
  const text = metadata.labels?.[LABELS.shard] ?? "";
  return /^[0-9]{1,4}$/.test(text) ? Number(text) : -1;
}

/** Facts of a PersistentVolumeClaim. */
export function observeClaim(object: KubeObject): ObservedClaim {
  const spec = object["spec"] as { resources?: { requests?: Record<string, string> } } | undefined;
  const status = object["status"] as { capacity?: Record<string, string> } | undefined;
  return {
    ...identityOf(RESOURCES.PersistentVolumeClaim, object),
    shard: shardOf(object),
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
    readonly state?: { readonly waiting?: { readonly reason?: string; readonly message?: string } };
  }[];
}

/** Facts of a Pod. */
export function observePod(object: KubeObject): ObservedPod {
  const status = (object["status"] ?? {}) as PodStatus;
  return {
    ...identityOf(RESOURCES.Pod, object),
    shard: shardOf(object),
    phase: status.phase ?? "Pending",
    ready: status.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") ?? false,
    ip: status.podIP,
    configHash: object.metadata.annotations?.[ANNOTATIONS.configHash],
    spec: object["spec"],
    createdAt:
      object.metadata.creationTimestamp === undefined ? undefined : Date.parse(object.metadata.creationTimestamp),
    deleting: object.metadata.deletionTimestamp !== undefined,
    problem: problemOf(status),
  };
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
