import { DATABASE_REQUEST_KEY, type DatabaseRequest, parseDatabaseRequest } from "../../crds/database-request.ts";
import { ANNOTATIONS, LABELS } from "../../crds/group.ts";
import { DATABASES_MAX } from "../../crds/shardset.ts";
import { toOperatorError } from "../../lib/core/errors.ts";
import { parseShardMap, type ShardMap } from "../../lib/core/shard-map.ts";
import type { ConfigMapObject, KubeObject, SecretObject } from "../../lib/kube/types.ts";
import type { KeyPair } from "./shardset.desired.ts";

// Turns raw objects into the few facts that decisions need.

/** A Secret of ours: what it says, and whether it says it in full. */
export interface Kept<T> {
  readonly name: string;
  readonly uid: string | undefined;
  /** `undefined` when a key is missing or cannot be read. */
  readonly value: T | undefined;
}

/** ConfigMap `s-map`. */
export interface ObservedMap extends Kept<ShardMap> {
  /** uid of the ShardSet that made it. */
  readonly createdFor: string | undefined;
}

/** A volume claim of a shard. */
export interface ObservedClaim {
  readonly name: string;
  readonly uid: string | undefined;
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
export interface ObservedPod {
  readonly name: string;
  readonly uid: string | undefined;
  readonly shard: number;
  /** `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`. */
  readonly phase: string;
  /** The kubelet's readiness probe succeeds. */
  readonly ready: boolean;
  readonly ip: string | undefined;
  readonly configHash: string | undefined;
  /** Milliseconds since the epoch, by the API server's clock. */
  readonly createdAt: number | undefined;
  readonly deleting: boolean;
  /** What keeps it from running, in the words of scheduler and kubelet. */
  readonly problem: string | undefined;
}

/** Database requests, merged. */
export interface MergedRequests {
  /** Sorted by database. */
  readonly accepted: readonly DatabaseRequest[];
  /** One sentence for each Secret that is left out, which names it. */
  readonly problems: readonly string[];
}

/** Reads a text of a Secret; `undefined` when it is absent or empty. */
export function secretText(secret: SecretObject, key: string): string | undefined {
  const text = Buffer.from(secret.data?.[key] ?? "", "base64").toString("utf8");
  return text === "" ? undefined : text;
}

/** A certificate and its key, as in Secrets of type `kubernetes.io/tls`. */
export function readKeyPair(secret: SecretObject): KeyPair | undefined {
  const certPem = secretText(secret, "tls.crt");
  const keyPem = secretText(secret, "tls.key");
  return certPem === undefined || keyPem === undefined ? undefined : { certPem, keyPem };
}

/** The shard map; a ConfigMap that cannot be read has no value. */
export function observeMap(object: ConfigMapObject | undefined): ObservedMap | undefined {
  if (object === undefined) return undefined;
  const { name, uid, annotations } = object.metadata;
  const base = { name, uid, createdFor: annotations?.[ANNOTATIONS.createdFor] };
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
    name: object.metadata.name,
    uid: object.metadata.uid,
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
    name: object.metadata.name,
    uid: object.metadata.uid,
    shard: shardOf(object),
    phase: status.phase ?? "Pending",
    ready: status.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") ?? false,
    ip: status.podIP,
    configHash: object.metadata.annotations?.[ANNOTATIONS.configHash],
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

/**
 * Reads and merges database requests. Each Secret stands by itself: one that cannot be read, or asks for a database that
 * an older Secret asks for, is left out and named, and the others are served.
 */
export function mergeRequests(secrets: readonly SecretObject[]): MergedRequests {
  const byAge = [...secrets].sort(
    (a, b) =>
      compareText(a.metadata.creationTimestamp ?? "", b.metadata.creationTimestamp ?? "") ||
      compareText(a.metadata.name, b.metadata.name),
  );
  const taken = new Map<string, { readonly request: DatabaseRequest; readonly by: string }>();
  const problems: string[] = [];
  for (const secret of byAge) {
    const { name } = secret.metadata;
    const request = readRequest(secret);
    if (typeof request === "string") {
      problems.push(`Secret ${name}: ${request}`);
      continue;
    }
    const earlier = taken.get(request.database);
    if (earlier !== undefined) {
      problems.push(`Secret ${name}: database ${request.database} is requested by the older Secret ${earlier.by}`);
    } else if (taken.size >= DATABASES_MAX) {
      problems.push(`Secret ${name}: a ShardSet keeps at most ${DATABASES_MAX} databases`);
    } else {
      taken.set(request.database, { request, by: name });
    }
  }
  return {
    accepted: [...taken.values()].map(({ request }) => request).sort((a, b) => compareText(a.database, b.database)),
    problems: problems.sort(compareText),
  };
}

/** The request, or why it cannot be read. */
function readRequest(secret: SecretObject): DatabaseRequest | string {
  const json = secretText(secret, DATABASE_REQUEST_KEY);
  if (json === undefined) return `it has no ${DATABASE_REQUEST_KEY}`;
  try {
    return parseDatabaseRequest(json);
  } catch (error) {
    return toOperatorError(error).message;
  }
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
