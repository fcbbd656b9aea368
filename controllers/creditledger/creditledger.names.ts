import { CREDIT_LEDGER, type CreditLedger, type CreditLedgerSpec } from "../../crds/creditledger.ts";
import { COMPONENTS } from "../../crds/group.ts";
import { contentHash } from "../../lib/core/canonical.ts";
import { type Owner, ownerOf } from "../kit/objects.ts";

// What a ledger is called and what it is to be. Every other file of this folder builds on it.

/** PostgreSQL cuts identifiers at 63 bytes; the longest role suffix, `_writer`, must fit behind the database name. */
const DATABASE_NAME_MAX = 63 - "_writer".length;

/** Hex digits that keep two long names apart after the cut. */
const DATABASE_HASH_DIGITS = 8;

/** Hex digits of a migration's hash in its Job's name. */
const MIGRATION_HASH_DIGITS = 10;

/** Names of the objects of one ledger, all in its own namespace (ARCHITECTURE.md, "Objects of a CreditLedger"). */
export interface LedgerNames {
  readonly ca: string;
  readonly caKey: string;
  readonly caNext: string;
  readonly tls: string;
  readonly adminKey: string;
  readonly roles: string;
  readonly databaseRequest: string;
  readonly deployment: string;
  readonly service: string;
  readonly disruptionBudget: string;
  /** ServiceAccount, Role and RoleBinding. */
  readonly access: string;
  readonly writerLease: (shard: number) => string;
  readonly migration: (hash: string) => string;
  /** Database on each shard and its roles. */
  readonly database: string;
  readonly ownerRole: string;
  readonly writerRole: string;
  readonly readerRole: string;
}

/** Names of everything that a ledger of this name owns. */
export function ledgerNames(name: string): LedgerNames {
  const database = databaseName(name);
  return {
    ca: `${name}-ca`,
    caKey: `${name}-ca-key`,
    caNext: `${name}-ca-next`,
    tls: `${name}-tls`,
    adminKey: `${name}-admin-key`,
    roles: `${name}-roles`,
    databaseRequest: `${name}-database`,
    deployment: name,
    service: name,
    disruptionBudget: name,
    access: `${name}-ledger`,
    writerLease: (shard) => `${name}-writer-${shard}`,
    migration: (hash) => `${name}-migrate-${hash}`,
    database,
    ownerRole: `${database}_owner`,
    writerRole: `${database}_writer`,
    readerRole: `${database}_reader`,
  };
}

/** Database of a ledger: `ledger_<name>`, with the name's hash in place of its end when it would be too long. */
export function databaseName(ledger: string): string {
  const wanted = `ledger_${ledger.replaceAll(/[-.]/g, "_")}`;
  if (wanted.length <= DATABASE_NAME_MAX) return wanted;
  const kept = wanted.slice(0, DATABASE_NAME_MAX - DATABASE_HASH_DIGITS - 1);
  return `${kept}_${contentHash(ledger, DATABASE_HASH_DIGITS)}`;
}

/** Hash that names a migration Job: the Job runs once for each different value of `inputs`. */
export function migrationHash(inputs: unknown): string {
  return contentHash(inputs, MIGRATION_HASH_DIGITS);
}

/** What a ledger is to be: the spec, and what the operator adds to it. */
export interface Target {
  readonly owner: Owner;
  readonly names: LedgerNames;
  readonly spec: CreditLedgerSpec;
  /** Indexes of the ShardSet's shards, each with its writer Lease; none while there is no ShardSet. */
  readonly shards: readonly number[];
  /** Image of the program `shieldx`. */
  readonly image: string;
  /** DNS domain of the cluster, for example `cluster.local`. */
  readonly clusterDomain: string;
  /** Ports on which the Kubernetes API answers; `undefined` makes no NetworkPolicy. */
  readonly apiServerPorts?: readonly number[] | undefined;
}

/** What the operator adds to every spec. */
export type Settings = Pick<Target, "image" | "clusterDomain" | "apiServerPorts">;

/** @param settings of the operator @param shards of the ShardSet */
export function targetOf(ledger: CreditLedger, settings: Settings, shards: number): Target {
  return {
    owner: ownerOf(CREDIT_LEDGER, ledger, COMPONENTS.ledger),
    names: ledgerNames(ledger.metadata.name),
    spec: ledger.spec,
    shards: Array.from({ length: shards }, (_, shard) => shard),
    image: settings.image,
    clusterDomain: settings.clusterDomain,
    apiServerPorts: settings.apiServerPorts,
  };
}

/** DNS names of the ledger's server certificate. */
export function serverNames({ owner, clusterDomain }: Target): string[] {
  const { name, namespace } = owner;
  const service = `${name}.${namespace}.svc`;
  return [name, `${name}.${namespace}`, service, `${service}.${clusterDomain}`, "localhost"];
}

/** Where clients inside the cluster reach the ledger. */
export function ledgerUrl({ owner }: Target): string {
  return `https://${owner.name}.${owner.namespace}.svc`;
}
