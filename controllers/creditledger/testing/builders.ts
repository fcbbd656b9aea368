import type { CreditLedger, CreditLedgerSpec } from "../../../crds/creditledger.ts";
import { type DatabaseRequest, requestHash } from "../../../crds/database-request.ts";
import { API_VERSION, FINALIZER } from "../../../crds/group.ts";
import type { ShardSet } from "../../../crds/shardset.ts";
import { type ObjectIdentity, RESOURCES } from "../../../lib/kube/types.ts";
import { scramVerifier } from "../../../lib/node/scram.ts";
import { NO_CLUES } from "../../../operator/runtime/clues.ts";
import type { KeyPair } from "../../kit/pki/certificates.ts";
import type { Kept } from "../../kit/secrets.ts";
import { plainCertificates } from "../../kit/testing/certificates.ts";
import { atRest } from "../../kit/testing/pki.ts";
import { type Assessment, assessCreditLedger } from "../creditledger.assess.ts";
import type { CreditLedgerDeps } from "../creditledger.controller.ts";
import type { ObservedDeployment, ObservedJob, ObservedLease } from "../creditledger.facts.ts";
import type { Made } from "../creditledger.make.ts";
import { ledgerNames, type Target, targetOf } from "../creditledger.names.ts";
import { databaseRequest } from "../creditledger.objects.ts";
import { serverLeaf, type World } from "../creditledger.observe.ts";

export const NAMESPACE = "bank-ns";
export const NAME = "bank";
export const SHARD_SET = "main";
export const IMAGE = "shieldx:1";

/** A spec as the server sends it, defaults filled in. */
export function spec(changes: Partial<CreditLedgerSpec> = {}): CreditLedgerSpec {
  return {
    shardSet: SHARD_SET,
    assets: [
      { code: "CZK", scale: 2 },
      { code: "EUR", scale: 2 },
    ],
    replicas: 2,
    snapshotEveryEvents: 100,
    resources: { requests: { cpu: "100m", memory: "256Mi" }, limits: { memory: "1Gi" } },
    scheduling: {},
    deletionPolicy: "Retain",
    ...changes,
  };
}

export function ledger(changes: Partial<CreditLedger> = {}): CreditLedger {
  const { metadata, ...rest } = changes;
  return {
    apiVersion: API_VERSION,
    kind: "CreditLedger",
    metadata: {
      name: NAME,
      namespace: NAMESPACE,
      uid: "uid-ledger",
      generation: 1,
      resourceVersion: "7",
      finalizers: [FINALIZER],
      ...metadata,
    },
    spec: spec(),
    ...rest,
  };
}

export function shardSet(
  changes: { shards?: number; status?: Partial<NonNullable<ShardSet["status"]>> } = {},
): ShardSet {
  const shards = changes.shards ?? 3;
  return {
    apiVersion: API_VERSION,
    kind: "ShardSet",
    metadata: { name: SHARD_SET, namespace: NAMESPACE, uid: "uid-shardset", generation: 1 },
    spec: {
      shards,
      instancesPerShard: 1,
      storage: { size: "1Gi" },
      postgres: { parameters: {} },
      resources: {},
      scheduling: {},
      deletionPolicy: "Retain",
    },
    status: { observedGeneration: 1, shards, shardsReady: shards, ...changes.status },
  };
}

/** A ShardSet whose shards have all carried out the ledger's request, or another one. */
export function readyShardSet(
  changes: { shards?: number; shardsReady?: number; request?: DatabaseRequest; done?: number } = {},
): ShardSet {
  const shards = changes.shards ?? 3;
  const request = changes.request ?? databaseRequest(NAMES, VERIFIERS);
  const databases = [
    {
      name: request.database,
      requestHash: requestHash(request),
      shardsReady: changes.done ?? changes.shardsReady ?? shards,
    },
  ];
  return shardSet({ shards, status: { shardsReady: changes.shardsReady ?? shards, databases } });
}

/** Names of the ledger. */
export const NAMES = ledgerNames(NAME);

/** Verifiers of some passwords. */
export const VERIFIERS = { owner: verifier("owner"), writer: verifier("writer"), reader: verifier("reader") };

function verifier(role: string): string {
  return scramVerifier(role, new Uint8Array(16));
}

export function kept<T>(name: string, value: T | undefined): Kept<T> {
  return { ...identity(RESOURCES.Secret, name), value };
}

function identity(resource: ObjectIdentity["resource"], name: string): ObjectIdentity {
  return { resource, namespace: NAMESPACE, name, uid: `uid-${name}` };
}

/** The Secrets that everything else is made from. */
export const ROOTS = {
  caKey: kept("bank-ca-key", { certPem: "CA\n", keyPem: "ca key" }),
  adminKey: kept("bank-admin-key", "sxk_1"),
  roles: kept("bank-roles", { owner: "o", writer: "w", reader: "r" }),
};

export function lease(shard: number, changes: Partial<ObservedLease> = {}): ObservedLease {
  const name = `bank-writer-${String(shard)}`;
  const facts = {
    shard,
    holder: "bank-1_uid",
    epoch: 1,
    position: undefined,
    systemIdentifier: undefined,
    problem: undefined,
  };
  return { ...identity(RESOURCES.Lease, name), ...facts, ...changes };
}

/** A migration Job that succeeded. */
export function job(name: string, changes: Partial<ObservedJob> = {}): ObservedJob {
  return {
    ...identity(RESOURCES.Job, name),
    configHash: undefined,
    state: "succeeded",
    failedAt: undefined,
    message: undefined,
    podMessage: undefined,
    suspended: false,
    failures: 0,
    createdAt: 0,
    pods: [],
    schemaVersion: undefined,
    clusters: undefined,
    ...changes,
  };
}

/** A Deployment with two ready pods of an earlier version. */
export function deployment(changes: Partial<ObservedDeployment> = {}): ObservedDeployment {
  const facts = {
    configHash: "old",
    replicas: 2,
    readyReplicas: 2,
    rolledOut: true,
    isFirst: false,
    migration: undefined,
    refused: undefined,
    nudgedAt: undefined,
  };
  return { ...identity(RESOURCES.Deployment, NAME), ...facts, ...changes };
}

/** What the operator adds to every spec. */
export const SETTINGS = { image: IMAGE, clusterDomain: "cluster.local" };

export function target(changes: { spec?: Partial<CreditLedgerSpec>; shards?: number; image?: string } = {}): Target {
  const made = targetOf(ledger({ spec: spec(changes.spec) }), SETTINGS, {
    shardSet: shardSet({ shards: changes.shards ?? 3 }),
  });
  return changes.image === undefined ? made : { ...made, image: changes.image };
}

/** What a case says about the world. */
export interface Seen extends Partial<Omit<World, "leaves" | "target">> {
  readonly tls?: Kept<KeyPair> | undefined;
}

/** Nothing exists but the ledger and its ShardSet, unless told. */
export function world({ tls, ...changes }: Seen = {}): World {
  const seen = {
    ledger: ledger(),
    shardSet: shardSet(),
    ca: undefined,
    caKey: undefined,
    adminKey: undefined,
    roles: undefined,
    request: undefined,
    databaseTakenBy: undefined,
    deployment: undefined,
    unreadyPods: [],
    clues: NO_CLUES,
    jobs: [],
    leases: [],
    others: [],
    ...changes,
  };
  const aim = targetOf(seen.ledger, SETTINGS, { shardSet: seen.shardSet });
  return { ...seen, target: aim, leaves: [serverLeaf(aim, tls)] };
}

/** Nothing was made, unless told. */
export function made(changes: Partial<Made> = {}): Made {
  return { pki: { leaves: new Map() }, ...changes };
}

export function assessment(seen: Seen = {}, changes: Partial<Made> = {}): Assessment {
  const observed = world(seen);
  const all = made(changes);
  return assessCreditLedger(observed, { ...all, pki: atRest(observed, all.pki) });
}

/** Dependencies of the controller with a random source that counts. */
export function deps(changes: Partial<CreditLedgerDeps> = {}): CreditLedgerDeps {
  let made = 0;
  return {
    images: { shieldx: IMAGE },
    clusterDomain: "cluster.local",
    certificates: plainCertificates,
    scramVerifier,
    randomBytes: (size) => {
      made += 1;
      return new Uint8Array(size).fill(made);
    },
    ...changes,
  };
}
