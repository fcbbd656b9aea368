import type { AgentStatus } from "../../../crds/agent-status.ts";
import { DATABASE_REQUEST_KEY, type DatabaseRequest } from "../../../crds/database-request.ts";
import { API_VERSION, COMPONENTS, LABELS } from "../../../crds/group.ts";
import type { ShardSet, ShardSetSpec } from "../../../crds/shardset.ts";
import { proposeOwners } from "../../../lib/core/ring.ts";
import type { ShardIdentity } from "../../../lib/core/shard-identity.ts";
import { type ObjectIdentity, RESOURCES, type SecretObject } from "../../../lib/kube/types.ts";
import { NO_CLUES } from "../../../operator/runtime/clues.ts";
import type { KeyPair } from "../../kit/pki/certificates.ts";
import type { MadePki } from "../../kit/pki/make.ts";
import { type Kept, textData } from "../../kit/secrets.ts";
import { atRest } from "../../kit/testing/pki.ts";
import { type Assessment, assessShardSet } from "../shardset.assess.ts";
import { shardSetLeaves } from "../shardset.certificates.ts";
import { mergeRequests } from "../shardset.databases.ts";
import type { AgentAnswer, ObservedClaim, ObservedLease, ObservedMap, ObservedPod } from "../shardset.facts.ts";
import { shardSetNames, type Target, targetOf } from "../shardset.names.ts";
import { shardObjects } from "../shardset.objects.ts";
import type { World } from "../shardset.observe.ts";
import type { SettingsVerdict } from "../shardset.settings.ts";

export const NAMESPACE = "demo";
export const NAME = "bank";
export const IMAGE = "shieldx-postgres:1";
export const UID = "uid-bank";

/** What the operator adds to every spec. */
export const SETTINGS = { image: IMAGE, clusterDomain: "cluster.local" };

/** A spec as the server sends it, defaults filled in. */
export function spec(changes: Partial<ShardSetSpec> = {}): ShardSetSpec {
  return {
    shards: 3,
    instancesPerShard: 1,
    storage: { size: "1Gi" },
    postgres: { parameters: {} },
    resources: { requests: { cpu: "100m", memory: "256Mi" } },
    scheduling: {},
    deletionPolicy: "Retain",
    ...changes,
  };
}

export function shardSet(changes: Partial<ShardSet> = {}): ShardSet {
  const { metadata, ...rest } = changes;
  return {
    apiVersion: API_VERSION,
    kind: "ShardSet",
    metadata: { name: NAME, namespace: NAMESPACE, uid: UID, generation: 1, ...metadata },
    spec: spec(),
    ...rest,
  };
}

export function target(changes: Partial<ShardSetSpec> = {}): Target {
  return targetOf(shardSet({ spec: spec(changes) }), SETTINGS);
}

/** Names of the ShardSet's objects. */
export const NAMES = shardSetNames(NAME);

function identity(resource: ObjectIdentity["resource"], name: string): ObjectIdentity {
  return { resource, namespace: NAMESPACE, name, uid: `uid-${name}` };
}

export function kept<T>(name: string, value: T | undefined): Kept<T> {
  return { ...identity(RESOURCES.Secret, name), value };
}

/** The pod of a shard that runs as the spec asks. @param spec that it was made from */
export function pod(shard: number, changes: Partial<ObservedPod> = {}, from: Partial<ShardSetSpec> = {}): ObservedPod {
  const { pod: made, podHash } = shardObjects(target(from), shard);
  return {
    ...identity(RESOURCES.Pod, NAMES.instance(shard)),
    shard,
    phase: "Running",
    ready: true,
    isStarted: true,
    ip: `10.0.0.${shard}`,
    configHash: podHash,
    labels: made.metadata.labels ?? {},
    spec: made["spec"],
    createdAt: 0,
    deleting: false,
    endsBy: undefined,
    node: "node",
    unscheduled: undefined,
    ended: undefined,
    containers: [],
    ...changes,
  };
}

/** The bound volume of a shard. */
export function claim(shard: number, changes: Partial<ObservedClaim> = {}): ObservedClaim {
  const facts = {
    shard,
    version: "7",
    createdAt: 0,
    phase: "Bound",
    wasBound: true,
    storageClass: undefined,
    requested: "1Gi",
    capacity: "1Gi",
    deleting: false,
    createdFor: UID,
  };
  return { ...identity(RESOURCES.PersistentVolumeClaim, NAMES.instance(shard)), ...facts, ...changes };
}

/** Identifier of the data of a shard. */
export function systemIdentifier(shard: number): string {
  return `740000000000000000${shard}`;
}

/** A claim that never got a volume. */
export function unboundClaim(shard: number, changes: Partial<ObservedClaim> = {}): ObservedClaim {
  return claim(shard, { phase: "Pending", wasBound: false, capacity: undefined, ...changes });
}

/** The map that the ring proposes for so many shards. */
export function map(shards: number, changes: Partial<ObservedMap> = {}): ObservedMap {
  const value = { version: 1, epoch: 1, owners: proposeOwners(shards) };
  const identities = new Map(
    Array.from({ length: shards }, (_, shard): [number, ShardIdentity] => [
      shard,
      { state: "known", systemIdentifier: systemIdentifier(shard) },
    ]),
  );
  const facts = { createdFor: UID, createdAt: 0, value, identities, resourceVersion: "7" };
  return { ...identity(RESOURCES.ConfigMap, NAMES.map), ...facts, ...changes };
}

/** What the agent of a shard that is ready answers. */
export function agent(shard: number, changes: Partial<AgentStatus> = {}): AgentStatus {
  return {
    shardSet: NAME,
    shard,
    instance: 0,
    role: "primary",
    ready: true,
    reason: "Ready",
    message: "PostgreSQL accepts writes",
    systemIdentifier: systemIdentifier(shard),
    epoch: 1,
    postgresVersion: "17.11",
    mapVersion: 1,
    restarts: 0,
    databases: [],
    ...changes,
  };
}

/** What a case says about the world. */
export interface Seen
  extends Partial<Pick<World, "shardSet" | "ca" | "caKey" | "map" | "ledgers" | "isLeft" | "owned" | "clues">> {
  readonly claims?: readonly ObservedClaim[];
  readonly pods?: readonly ObservedPod[];
  readonly agents?: readonly AgentAnswer[];
  /** What came of trying the settings. */
  readonly settings?: SettingsVerdict;
  /** Shards that have a Lease, which no agent has held yet unless told. */
  readonly leases?: readonly number[];
  readonly leaseFacts?: Partial<ObservedLease>;
  /** Shards whose Lease somebody held. */
  readonly held?: readonly number[];
  /** Names of the Secrets with a certificate. */
  readonly certificates?: readonly string[];
  readonly requests?: readonly SecretObject[];
}

/** Nothing exists but the ShardSet, unless told. */
export function world(seen: Seen = {}): World {
  const {
    claims = [],
    pods = [],
    leases = [],
    held = [],
    certificates = [],
    requests = [],
    ledgers = [],
    owned = [],
  } = seen;
  const of = seen.shardSet ?? shardSet();
  const aim = targetOf(of, SETTINGS);
  const pair = { certPem: "cert\n", keyPem: "key\n" } as never;
  return {
    shardSet: of,
    target: aim,
    isNew: of.status?.map === undefined,
    ca: seen.ca,
    caKey: seen.caKey,
    leaves: shardSetLeaves(aim, (name) => (certificates.includes(name) ? kept(name, pair) : undefined)),
    map: seen.map,
    claims: new Map(claims.map((item) => [item.shard, item])),
    pods: new Map(pods.map((item) => [item.shard, item])),
    leases: new Map(
      leases.map((shard) => {
        const facts = { epoch: 0, systemIdentifier: undefined, wasHeld: held.includes(shard), createdAt: 0 };
        return [shard, { ...facts, ...seen.leaseFacts }];
      }),
    ),
    clues: seen.clues ?? NO_CLUES,
    seenAt: 0,
    requests: mergeRequests(requests),
    ledgers,
    unreadyLedgers: [],
    isLeft: seen.isLeft ?? (of.metadata.deletionTimestamp !== undefined && ledgers.length === 0),
    isEnding: of.metadata.deletionTimestamp !== undefined && ledgers.length === 0,
    owned,
  };
}

/** What is so in that world. Nothing was made, unless told. */
export function assessment(seen: Seen = {}, made: MadePki = { leaves: new Map() }): Assessment {
  const agents = new Map((seen.agents ?? []).map((answer) => [answer.shard, answer]));
  const observed = world(seen);
  const settings = seen.settings ?? ({ outcome: "untried" } as const);
  return assessShardSet({ world: observed, agents, settings }, atRest(observed, made));
}

/** The CA of a ShardSet. */
export const ROOTS = {
  caKey: kept<KeyPair>(NAMES.caKey, { certPem: "CA\n", keyPem: "ca key" }),
  ca: kept(NAMES.ca, "CA\n"),
};

const SHARDS = [0, 1, 2];

/** Status of a ShardSet of 3 shards that is ready. */
export const READY_STATUS: NonNullable<ShardSet["status"]> = {
  observedGeneration: 1,
  initialized: true,
  map: { version: 1, epoch: 1 },
  shardStatuses: SHARDS.map((shard) => ({
    shard,
    ready: true,
    systemIdentifier: systemIdentifier(shard),
    bucketCount: proposeOwners(SHARDS.length).filter((owner) => owner === shard).length,
  })),
};

/** Three shards, everything there and ready. */
export const READY = {
  ...ROOTS,
  shardSet: shardSet({ status: READY_STATUS }),
  map: map(SHARDS.length),
  claims: SHARDS.map((shard) => claim(shard)),
  pods: SHARDS.map((shard) => pod(shard)),
  agents: SHARDS.map((shard) => agent(shard)),
  leases: SHARDS,
  certificates: [NAMES.operatorTls, ...SHARDS.map(NAMES.shardTls)],
} as const satisfies Seen;

/** The items of a list, the one of this shard changed; `undefined` takes it out. */
export function withShard<T extends { readonly shard: number }>(
  items: readonly T[],
  shard: number,
  changes: Partial<T> | undefined,
): T[] {
  return items.flatMap((item) => (item.shard !== shard ? item : changes === undefined ? [] : { ...item, ...changes }));
}

/** The ready ShardSet with another spec. */
export function withSpec(changes: Partial<ShardSetSpec>, more: Partial<ShardSet> = {}): ShardSet {
  return shardSet({ status: READY_STATUS, spec: spec(changes), ...more });
}

/** The ShardSet while it is being deleted. */
export function ending(changes: Partial<ShardSetSpec> = {}, more: Partial<ShardSet> = {}): ShardSet {
  const metadata = { name: NAME, namespace: NAMESPACE, deletionTimestamp: "2025-01-01T00:00:00Z" };
  return withSpec(changes, { metadata, ...more });
}

const VERIFIER =
  "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

/** A request for a database, with roles named after it. */
export function databaseRequest(database: string): DatabaseRequest {
  const role = (suffix: string) => ({ name: `${database}_${suffix}`, verifier: VERIFIER });
  return { database, owner: role("owner"), writer: role("writer"), reader: role("reader") };
}

/** A Secret that asks for a database. @param json in place of the request */
export function requestSecret(
  name: string,
  ...[database, createdAt, json]: readonly [database: string, createdAt: string, json?: string]
): SecretObject {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name,
      namespace: NAMESPACE,
      creationTimestamp: createdAt,
      labels: { [LABELS.shardSet]: NAME, [LABELS.component]: COMPONENTS.databaseRequest },
    },
    data: textData({ [DATABASE_REQUEST_KEY]: json ?? JSON.stringify(databaseRequest(database)) }),
  };
}
