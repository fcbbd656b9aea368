import { DATABASE_REQUEST_KEY, type DatabaseRequest, parseDatabaseRequest } from "../../crds/database-request.ts";
import { ANNOTATIONS, LABELS } from "../../crds/group.ts";
import { parseCredits } from "../../lib/core/money.ts";
import {
  identityOf,
  type KubeObject,
  type LeaseObject,
  type ObjectIdentity,
  RESOURCES,
  type SecretObject,
} from "../../lib/kube/types.ts";
import { type PodFacts, podFacts } from "../kit/explain/pods.ts";
import { type SecretText, secretText } from "../kit/secrets.ts";
import { MIGRATE_CONTAINER } from "./creditledger.names.ts";

// Turns raw objects into the few facts that decisions need.

/** A database request and the ShardSet that it is addressed to. */
export interface AddressedRequest {
  readonly shardSet: string;
  readonly request: DatabaseRequest;
}

/** Passwords of the database roles, or their verifiers. */
export interface RolePasswords {
  readonly owner: string;
  readonly writer: string;
  readonly reader: string;
}

/** Keys of Secret `l-roles`. */
export const ROLE_PASSWORD_KEYS = {
  owner: "owner-password",
  writer: "writer-password",
  reader: "reader-password",
} as const;

/** Facts of the Deployment that decisions need. */
export interface ObservedDeployment extends ObjectIdentity {
  /** Annotation `config-hash` of its pod template. */
  readonly configHash: string | undefined;
  readonly replicas: number;
  readonly readyReplicas: number;
  /** Somebody paused it: its pods are not replaced. */
  readonly isPaused?: boolean;
  /** True when the Deployment's own controller has carried out the newest template on all replicas. */
  readonly rolledOut: boolean;
  /** No pod of an earlier template is there: what is on the way is started and not replaced. */
  readonly isFirst: boolean;
  /** The migration that was done for its pods. */
  readonly migration: MigrationRecord | undefined;
  /** What admission said to its ReplicaSet, and since when; milliseconds since the epoch. */
  readonly refused: { readonly message: string; readonly since: number } | undefined;
  /** When its controllers were last woken, milliseconds since the epoch. */
  readonly nudgedAt: number | undefined;
}

/** What stays of a migration when its Job is removed, by a person or a clean-up. */
export interface MigrationRecord {
  /** Of the Job. */
  readonly name: string;
  /** As in `ObservedJob`. */
  readonly clusters: readonly string[] | undefined;
}

/** Facts of one migration Job. */
export interface ObservedJob extends ObjectIdentity {
  /** Hash of the pod that it was made for; `undefined` on a Job of a version that did not say it. */
  readonly configHash: string | undefined;
  readonly state: "running" | "succeeded" | "failed";
  /** Somebody stopped it: it has no pods until that is taken back. */
  readonly suspended: boolean;
  /** When it failed for good, milliseconds since the epoch. */
  readonly failedAt: number | undefined;
  /** The Job's own sentence about its failure. */
  readonly message: string | undefined;
  /** Last words of its pod's container, if one failed. */
  readonly podMessage: string | undefined;
  /** Containers that failed so far. */
  readonly failures: number;
  /** Milliseconds since the epoch, by the API server's clock. */
  readonly createdAt: number | undefined;
  /** Its pods that have not succeeded. */
  readonly pods: readonly PodFacts[];
  /** Number of the last migration, as the container that succeeded reports it. */
  readonly schemaVersion: number | undefined;
  /** PostgreSQL clusters that it is for, by shard; empty texts where one was not known, nothing on Jobs of old versions. */
  readonly clusters: readonly string[] | undefined;
}

/** Facts of a writer Lease. */
export interface ObservedLease extends ObjectIdentity {
  readonly shard: number;
  readonly holder: string | undefined;
  /** No pod of the ledger is that holder: it is gone, or somebody wrote it there. */
  readonly isHolderGone?: boolean;
  readonly epoch: number;
  /** Highest position that its holders have seen. */
  readonly position: number | undefined;
  /** PostgreSQL cluster that its holders wrote to. */
  readonly systemIdentifier: string | undefined;
  /** Why its holder does not write: the database has less than there was. */
  readonly problem: string | undefined;
  /** The same, for a database that cannot be used, whatever is in it. */
  readonly fault?: string | undefined;
}

/** Content of Secret `l-roles`. */
export function readPasswords(text: SecretText): RolePasswords | undefined {
  const owner = text(ROLE_PASSWORD_KEYS.owner);
  const writer = text(ROLE_PASSWORD_KEYS.writer);
  const reader = text(ROLE_PASSWORD_KEYS.reader);
  return owner === undefined || writer === undefined || reader === undefined ? undefined : { owner, writer, reader };
}

/** Content of Secret `l-database`. */
export function readRequest(text: SecretText, secret: SecretObject): AddressedRequest | undefined {
  const request = parsedRequest(text(DATABASE_REQUEST_KEY));
  const shardSet = secret.metadata.labels?.[LABELS.shardSet];
  return request === undefined || shardSet === undefined ? undefined : { shardSet, request };
}

function parsedRequest(json: string | undefined): DatabaseRequest | undefined {
  try {
    return json === undefined ? undefined : parseDatabaseRequest(json);
  } catch {
    // An unreadable request of ours is written anew; the ShardSet reports one of somebody else.
    return undefined;
  }
}

/** True when a request Secret names the database. */
export function asksFor(secret: SecretObject, database: string): boolean {
  return parsedRequest(secretText(secret)(DATABASE_REQUEST_KEY))?.database === database;
}

/** Members of a Deployment that are read here. */
interface DeploymentShape {
  spec?: { replicas?: number; paused?: boolean; template?: { metadata?: { annotations?: Record<string, string> } } };
  status?: {
    observedGeneration?: number;
    replicas?: number;
    updatedReplicas?: number;
    readyReplicas?: number;
    conditions?: { type: string; status: string; message?: string; lastTransitionTime?: string }[];
  };
}

/** Facts of the Deployment. */
export function observeDeployment(object: KubeObject | undefined): ObservedDeployment | undefined {
  if (object === undefined) return undefined;
  const { spec, status } = object as DeploymentShape;
  const replicas = spec?.replicas ?? 1;
  const { annotations = {} } = object.metadata;
  const failure = status?.conditions?.find(({ type, status: holds }) => type === "ReplicaFailure" && holds === "True");
  return {
    ...identityOf(RESOURCES.Deployment, object),
    configHash: spec?.template?.metadata?.annotations?.[ANNOTATIONS.configHash],
    replicas,
    readyReplicas: status?.readyReplicas ?? 0,
    isPaused: spec?.paused === true,
    rolledOut:
      status?.observedGeneration === object.metadata.generation &&
      status?.updatedReplicas === replicas &&
      status.replicas === replicas,
    isFirst:
      status?.observedGeneration === undefined ||
      (status.observedGeneration === object.metadata.generation &&
        (status.updatedReplicas ?? 0) === (status.replicas ?? 0)),
    migration: readRecord(annotations[ANNOTATIONS.migration]),
    // Its controller copies the words of the ReplicaSet, which has them from the server.
    refused: failure && { message: failure.message ?? "", since: timeOf(failure.lastTransitionTime) ?? 0 },
    nudgedAt: timeOf(annotations[ANNOTATIONS.nudgedAt]),
  };
}

/** `bank-migrate-9df0c76129 74,75`. */
export function formatRecord({ name, clusters }: MigrationRecord): string {
  return clusters === undefined ? name : `${name} ${clusters.join(",")}`;
}

function readRecord(text: string | undefined): MigrationRecord | undefined {
  const [name = "", clusters] = text?.split(" ") ?? [];
  return name === "" ? undefined : { name, clusters: clusters?.split(",") };
}

function timeOf(text: string | undefined): number | undefined {
  const time = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

/** Members of a Job that are read here. */
interface JobShape {
  spec?: { suspend?: boolean };
  status?: {
    conditions?: { type: string; status: string; message?: string; lastTransitionTime?: string }[];
    failed?: number;
  };
}

/** Members of a Pod that are read here. */
interface PodShape {
  status?: {
    containerStatuses?: {
      name?: string;
      restartCount?: number;
      state?: { terminated?: TerminatedShape };
      lastState?: { terminated?: TerminatedShape };
    }[];
  };
}

interface TerminatedShape {
  exitCode?: number;
  message?: string;
}

/** Facts of a migration Job; `pods` are the ledger's migration pods. */
export function observeJob(object: KubeObject, pods: readonly KubeObject[]): ObservedJob {
  const { spec, status } = object as JobShape;
  const holds = (type: string) => status?.conditions?.find((entry) => entry.type === type && entry.status === "True");
  const failed = holds("Failed");
  const own = pods.filter((pod) => pod.metadata.ownerReferences?.some(({ uid }) => uid === object.metadata.uid));
  // The newest first: its words are about the world of now.
  const byAge = own.toSorted(
    (a, b) => (timeOf(b.metadata.creationTimestamp) ?? 0) - (timeOf(a.metadata.creationTimestamp) ?? 0),
  );
  const statuses = byAge
    .flatMap((pod) => (pod as PodShape).status?.containerStatuses ?? [])
    .filter(({ name }) => name === MIGRATE_CONTAINER);
  const ended = statuses
    .flatMap(({ state, lastState }) => [state?.terminated, lastState?.terminated])
    .filter((container) => container !== undefined);
  return {
    ...identityOf(RESOURCES.Job, object),
    configHash: object.metadata.annotations?.[ANNOTATIONS.configHash],
    state: failed !== undefined ? "failed" : holds("Complete") !== undefined ? "succeeded" : "running",
    suspended: spec?.suspend === true,
    failedAt: failed?.lastTransitionTime === undefined ? undefined : Date.parse(failed.lastTransitionTime),
    message: failed?.message,
    podMessage: ended.find(({ exitCode }) => exitCode !== 0)?.message,
    failures: (status?.failed ?? 0) + statuses.reduce((sum, { restartCount }) => sum + (restartCount ?? 0), 0),
    clusters: object.metadata.annotations?.[ANNOTATIONS.migratedClusters]?.split(","),
    createdAt: timeOf(object.metadata.creationTimestamp),
    pods: byAge.map(podFacts).filter(({ phase }) => phase !== "Succeeded"),
    schemaVersion: readSchemaVersion(ended.find(({ exitCode }) => exitCode === 0)?.message),
  };
}

/** `{"schemaVersion": n}`, the last words of a migration that succeeded. */
function readSchemaVersion(message: string | undefined): number | undefined {
  const digits = /^\s*\{\s*"schemaVersion"\s*:\s*([0-9]{1,9})\s*\}\s*$/.exec(message ?? "")?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Facts of a writer Lease. */
export function observeLease(lease: LeaseObject): ObservedLease {
  const position = lease.metadata.annotations?.[ANNOTATIONS.headPosition];
  return {
    ...identityOf(RESOURCES.Lease, lease),
    // The name tells, not the label, which somebody may change.
    shard: Number(WRITER_LEASE.exec(lease.metadata.name)?.[1] ?? -1),
    holder: lease.spec?.holderIdentity === "" ? undefined : lease.spec?.holderIdentity,
    epoch: lease.spec?.leaseTransitions ?? 0,
    position: positionOf(position),
    systemIdentifier: lease.metadata.annotations?.[ANNOTATIONS.systemIdentifier],
    ...readProblem(lease.metadata.annotations?.[ANNOTATIONS.writerProblem]),
  };
}

/** `DATA_LOST: the log of shard 1 ends…`; a text without a code is that of a loss. */
function readProblem(text: string | undefined): Pick<ObservedLease, "problem" | "fault"> {
  const [, code, sentence = text] = /^([A-Z_]+): (.*)$/s.exec(text ?? "") ?? [];
  return code === undefined || code === "DATA_LOST" ? { problem: sentence } : { problem: undefined, fault: sentence };
}

/** The end of the name of a writer Lease: the index of its shard. */
const WRITER_LEASE = /-writer-(0|[1-9]\d{0,3})$/;

function positionOf(text: string | undefined): number | undefined {
  const position = text === undefined ? undefined : parseCredits(text);
  return position === undefined || position < 0 ? undefined : position;
}
