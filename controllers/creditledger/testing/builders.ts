import type { CreditLedger, CreditLedgerSpec } from "../../../crds/creditledger.ts";
import { type DatabaseRequest, requestHash } from "../../../crds/database-request.ts";
import { API_VERSION, FINALIZER } from "../../../crds/group.ts";
import type { ShardSet } from "../../../crds/shardset.ts";
import { scramVerifier } from "../../../lib/node/scram.ts";
import type { Scope } from "../creditledger.checks.ts";
import type { CreditLedgerDeps } from "../creditledger.controller.ts";
import { databaseRequest, type Target } from "../creditledger.desired.ts";
import type { Kept, ObservedLease } from "../creditledger.facts.ts";
import type { Certificates, Material } from "../creditledger.material.ts";
import type { Observed } from "../creditledger.observe.ts";

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
  const request = changes.request ?? databaseRequest(NAME, VERIFIERS);
  const databases = [
    {
      name: request.database,
      requestHash: requestHash(request),
      shardsReady: changes.done ?? changes.shardsReady ?? shards,
    },
  ];
  return shardSet({ shards, status: { shardsReady: changes.shardsReady ?? shards, databases } });
}

/** Verifiers of some passwords. */
export const VERIFIERS = { owner: verifier("owner"), writer: verifier("writer"), reader: verifier("reader") };

function verifier(role: string): string {
  return scramVerifier(role, new Uint8Array(16));
}

export function kept<T>(name: string, value: T | undefined): Kept<T> {
  return { name, uid: `uid-${name}`, value };
}

/** The Secrets that everything else is made from. */
export const ROOTS = {
  caKey: kept("bank-ca-key", { certPem: "CA\n", keyPem: "ca key" }),
  adminKey: kept("bank-admin-key", "sxk_1"),
  roles: kept("bank-roles", { owner: "o", writer: "w", reader: "r" }),
};

export function lease(shard: number, changes: Partial<ObservedLease> = {}): ObservedLease {
  const name = `bank-writer-${String(shard)}`;
  return { name, uid: `uid-${name}`, shard, holder: "bank-1_uid", epoch: 1, position: undefined, ...changes };
}

export function target(changes: Partial<Target> = {}): Target {
  return {
    ledger: { namespace: NAMESPACE, name: NAME, uid: "uid-ledger" },
    spec: spec(),
    shards: 3,
    image: IMAGE,
    clusterDomain: "cluster.local",
    ...changes,
  };
}

/** Nothing exists but the ledger and its ShardSet. */
export function observed(changes: Partial<Observed> = {}): Observed {
  return {
    ledger: ledger(),
    shardSet: shardSet(),
    ca: undefined,
    caKey: undefined,
    tls: undefined,
    adminKey: undefined,
    roles: undefined,
    request: undefined,
    databaseTakenBy: undefined,
    deployment: undefined,
    jobs: [],
    leases: [],
    others: [],
    ...changes,
  };
}

export function scope(changes: { observed?: Observed; target?: Target; material?: Partial<Material> } = {}): Scope {
  const seen = changes.observed ?? observed();
  return {
    observed: seen,
    target: changes.target ?? target({ spec: seen.ledger.spec, shards: seen.shardSet?.spec.shards ?? 0 }),
    material: { problems: [], ...changes.material },
  };
}

/** Certificates as plain text that says who issued them, for whom, and until when. */
export const plainCertificates: Certificates = {
  createCertificateAuthority: (commonName, now) =>
    Promise.resolve({ certPem: `CA ${commonName} made ${String(now)}\n`, keyPem: `key of ${commonName}\n` }),
  issueCertificate: (ca, { dnsNames }, now) =>
    Promise.resolve({
      certPem: `${ca.certPem.trim()} | until ${String(now + PLAIN_VALIDITY_MS)} | ${dnsNames.join(",")}`,
      keyPem: "server key\n",
    }),
  needsRenewal: (certPem, now) => Number(/until (\d+)/.exec(certPem)?.[1] ?? 0) - now < PLAIN_VALIDITY_MS / 3,
  isIssuedBy: ({ certPem }, caCertPem) => certPem.startsWith(caCertPem.trim()),
  isCertificateAuthority: ({ certPem }) => certPem.startsWith("CA"),
  readCertificate: (certPem) => ({ dnsNames: certPem.split(" | ")[2]?.split(",") ?? [] }),
};

export const PLAIN_VALIDITY_MS = 90 * 86_400_000;

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
