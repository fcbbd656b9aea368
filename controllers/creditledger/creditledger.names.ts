import { API_VERSION, LABELS } from "../../crds/group.ts";
import { contentHash } from "../../lib/core/canonical.ts";
import type { OwnerReference } from "../../lib/kube/types.ts";

/** PostgreSQL cuts identifiers at 63 bytes; the longest role suffix, `_writer`, must fit behind the database name. */
const DATABASE_NAME_MAX = 63 - "_writer".length;

/** Hex digits that keep two long names apart after the cut. */
const DATABASE_HASH_DIGITS = 8;

/** Hex digits of a migration's hash in its Job's name. */
const MIGRATION_HASH_DIGITS = 10;

/** Who a set of names belongs to. */
export interface LedgerIdentity {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** Names of the objects of one ledger, all in its own namespace (ARCHITECTURE.md, "Objects of a CreditLedger"). */
export interface LedgerNames {
  readonly ca: string;
  readonly caKey: string;
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

/** Labels that every object of a ledger carries; without them an object of the same name is somebody else's. */
export function ledgerLabels(name: string, component: string): Record<string, string> {
  return {
    "app.kubernetes.io/name": "shieldx",
    "app.kubernetes.io/managed-by": "shieldx",
    "app.kubernetes.io/instance": name,
    "app.kubernetes.io/component": component,
    [LABELS.kind]: "CreditLedger",
    [LABELS.name]: name,
    [LABELS.component]: component,
  };
}

/** Owner reference of the objects that go with the ledger. */
export function ownerReference(ledger: LedgerIdentity): OwnerReference {
  return {
    apiVersion: API_VERSION,
    kind: "CreditLedger",
    name: ledger.name,
    uid: ledger.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}
