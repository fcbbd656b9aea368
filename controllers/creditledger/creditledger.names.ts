import { CREDIT_LEDGER, type CreditLedger, type CreditLedgerSpec } from "../../crds/creditledger.ts";
import { COMPONENTS } from "../../crds/group.ts";
import type { ShardSet } from "../../crds/shardset.ts";
import { contentHash } from "../../lib/core/canonical.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import { isApart, objectKey, type There } from "../kit/names.ts";
import { type Owner, ownerOf } from "../kit/objects.ts";

// What a ledger is called and what it is to be. Every other file of this folder builds on it.

/** The container of a migration Job; an admission policy may put others beside it. */
export const MIGRATE_CONTAINER = "migrate";

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

/** Which objects have the names that no ShardSet can want, in place of their usual ones. */
export interface NamesApart {
  readonly authority?: boolean;
  /** Service and server certificate. */
  readonly address?: boolean;
}

/** Behind the names that keep out of the way of a ShardSet. */
const APART = "-ledger";

/**
 * A ledger of such a name would have the Service or the certificate of a shard of some ShardSet, or that ShardSet's `-operator-tls`.
 * With the suffix itself in the pattern no other ledger can have the name that it gets.
 */
const LIKE_SHARDS = /-(\d+|operator)(-ledger)*$/;

/** Names of everything that a ledger of this name owns. */
export function ledgerNames(name: string, apart: NamesApart = {}): LedgerNames {
  const database = databaseName(name);
  const authority = apart.authority === true ? APART : "";
  const address = apart.address === true ? APART : "";
  return {
    ca: `${name}-ca${authority}`,
    caKey: `${name}-ca-key${authority}`,
    caNext: `${name}-ca-next${authority}`,
    tls: `${name}-tls${address}`,
    adminKey: `${name}-admin-key`,
    roles: `${name}-roles`,
    databaseRequest: `${name}-database`,
    deployment: name,
    service: `${name}${address}`,
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
  /** Secret with the CA that the ShardSet's servers are signed with. */
  readonly postgresCa: string;
  /** Image of the program `shieldx`. */
  readonly image: string;
  /** DNS domain of the cluster, for example `cluster.local`. */
  readonly clusterDomain: string;
  /** Ports on which the Kubernetes API answers; `undefined` makes no NetworkPolicy. */
  readonly apiServerPorts?: readonly number[] | undefined;
}

/** What the operator adds to every spec. */
export type Settings = Pick<Target, "image" | "clusterDomain" | "apiServerPorts">;

/**
 * The names that a ledger has, or is to have.
 * @param hasNamesake whether there is a ShardSet of its name, which may be about to make its CA
 */
export function chooseLedgerNames(
  { metadata, spec, status }: CreditLedger,
  there: There,
  hasNamesake: boolean,
): LedgerNames {
  const { name, namespace = "" } = metadata;
  const variants = (keysOf: (names: LedgerNames) => readonly string[]) => ({
    usual: keysOf(ledgerNames(name)),
    apart: keysOf(ledgerNames(name, { authority: true, address: true })),
  });
  const secret = (called: string): string => objectKey(RESOURCES.Secret.kind, called);
  const service = (called: string): string => objectKey(RESOURCES.Service.kind, called);
  const address = variants(({ tls, service: called }) => [service(called), secret(tls)]);
  const told = [ledgerNames(name), ledgerNames(name, { address: true })].find(
    (names) => status?.url === urlOf(names, namespace),
  );
  return ledgerNames(name, {
    authority: isApart(
      variants(({ ca, caKey, caNext }) => [secret(ca), secret(caKey), secret(caNext)]),
      there,
      {
        recorded: status?.caSecret === undefined ? undefined : secret(status.caSecret),
        // Whoever of the two comes first: a ledger on the ShardSet of its own name always has the same names.
        yields: hasNamesake || spec.shardSet === name,
      },
    ),
    address: isApart(address, there, {
      recorded: told && service(told.service),
      yields: LIKE_SHARDS.test(name),
    }),
  });
}

/** What a ledger's target depends on besides its spec. */
export interface Surroundings {
  readonly shardSet: ShardSet | undefined;
  /** As `chooseLedgerNames` found them. */
  readonly names?: LedgerNames;
}

/** @param settings of the operator */
export function targetOf(
  ledger: CreditLedger,
  settings: Settings,
  { shardSet, names = ledgerNames(ledger.metadata.name) }: Surroundings,
): Target {
  return {
    owner: ownerOf(CREDIT_LEDGER, ledger, COMPONENTS.ledger),
    names,
    spec: ledger.spec,
    shards: Array.from({ length: shardSet?.spec.shards ?? 0 }, (_, shard) => shard),
    postgresCa: shardSet?.status?.caSecret ?? `${ledger.spec.shardSet}-ca`,
    image: settings.image,
    clusterDomain: settings.clusterDomain,
    apiServerPorts: settings.apiServerPorts,
  };
}

/** DNS names of the ledger's server certificate. */
export function serverNames({ owner, names, clusterDomain }: Target): string[] {
  const { name, namespace } = owner;
  const ofService = (called: string): string[] => {
    const service = `${called}.${namespace}.svc`;
    return [called, `${called}.${namespace}`, service, `${service}.${clusterDomain}`];
  };
  // Ledger pods call each other by the ledger's name, whatever its Service is called.
  const ofPods = names.service === name ? [] : [`${name}.${namespace}.svc`];
  return [...ofService(names.service), ...ofPods, "localhost"];
}

/** Where clients inside the cluster reach the ledger. */
export function ledgerUrl({ owner, names }: Target): string {
  return urlOf(names, owner.namespace);
}

function urlOf({ service }: LedgerNames, namespace: string): string {
  return `https://${service}.${namespace}.svc`;
}
