import type { CreditLedger } from "../../crds/creditledger.ts";
import { COMPONENTS, LABELS } from "../../crds/group.ts";
import { SHARD_SET, type ShardSet } from "../../crds/shardset.ts";
import { deepFreeze } from "../../lib/core/objects.ts";
import { type KubeObject, RESOURCES, type ResourceType, type SecretObject } from "../../lib/kube/types.ts";
import type { CacheReader } from "../../operator/runtime/types.ts";
import type { KeyPair, RolePasswords } from "./creditledger.desired.ts";
import {
  type AddressedRequest,
  asksFor,
  type Kept,
  type ObservedDeployment,
  type ObservedJob,
  type ObservedLease,
  observeDeployment,
  observeJob,
  observeLease,
  readKeyPair,
  readPasswords,
  readRequest,
  readServerCertificate,
  type SecretText,
  type ServerCertificate,
  secretText,
} from "./creditledger.facts.ts";
import { type LedgerNames, ledgerNames } from "./creditledger.names.ts";

/** Everything that a reconcile of a ledger looks at: read once, plain and frozen. */
export interface Observed {
  readonly ledger: CreditLedger;
  readonly shardSet: ShardSet | undefined;
  readonly ca: Kept<string> | undefined;
  readonly caKey: Kept<KeyPair> | undefined;
  readonly tls: Kept<ServerCertificate> | undefined;
  readonly adminKey: Kept<string> | undefined;
  readonly roles: Kept<RolePasswords> | undefined;
  readonly request: Kept<AddressedRequest> | undefined;
  /** An older Secret of somebody else that asks the same ShardSet for a database of our name: the ShardSet serves that one. */
  readonly databaseTakenBy: string | undefined;
  readonly deployment: ObservedDeployment | undefined;
  /** Migration Jobs in name order. */
  readonly jobs: readonly ObservedJob[];
  /** Writer Leases by shard. */
  readonly leases: readonly ObservedLease[];
  /** Other objects of ours, only ever deleted: Service, disruption budget, RBAC. */
  readonly others: readonly {
    readonly resource: ResourceType;
    readonly name: string;
    readonly uid: string | undefined;
  }[];
}

/**
 * Reads the ledger and everything around it from the informers' memory.
 * An object of a wanted name without our labels counts as absent: it is somebody else's, and the executor refuses to
 * write over it.
 */
export function observeCreditLedger(cache: CacheReader, ledger: CreditLedger): Observed {
  const { name: ledgerName, namespace = "" } = ledger.metadata;
  const names = ledgerNames(ledgerName);
  const ours = { [LABELS.kind]: "CreditLedger", [LABELS.name]: ledgerName };
  const find = <T extends KubeObject>(type: ResourceType<T>, name: string): T | undefined => {
    const object = cache.get(type, namespace, name);
    return object !== undefined && hasLabels(object, ours) ? object : undefined;
  };
  const secret = <T>(
    name: string,
    read: (data: SecretText, object: SecretObject) => T | undefined,
  ): Kept<T> | undefined => {
    const object = find(RESOURCES.Secret, name);
    return object && { name, uid: object.metadata.uid, value: read(secretText(object), object) };
  };
  const migrationPods = cache.list(RESOURCES.Pod, namespace, { ...ours, [LABELS.component]: COMPONENTS.migration });
  const requests = cache.list(RESOURCES.Secret, namespace, {
    [LABELS.shardSet]: ledger.spec.shardSet,
    [LABELS.component]: COMPONENTS.databaseRequest,
  });
  return deepFreeze({
    ledger,
    shardSet: cache.get(SHARD_SET, namespace, ledger.spec.shardSet),
    ca: secret(names.ca, (text) => text("ca.crt")),
    caKey: secret(names.caKey, readKeyPair),
    tls: secret(names.tls, readServerCertificate),
    adminKey: secret(names.adminKey, (text) => text("key")),
    roles: secret(names.roles, readPasswords),
    request: secret(names.databaseRequest, readRequest),
    databaseTakenBy: olderRequest(requests, names),
    deployment: observeDeployment(find(RESOURCES.Deployment, names.deployment)),
    jobs: cache.list(RESOURCES.Job, namespace, ours).map((job) => observeJob(job, migrationPods)),
    leases: cache
      .list(RESOURCES.Lease, namespace, ours)
      .map(observeLease)
      .sort((a, b) => a.shard - b.shard),
    others: [
      { resource: RESOURCES.Service, name: names.service },
      { resource: RESOURCES.PodDisruptionBudget, name: names.disruptionBudget },
      { resource: RESOURCES.RoleBinding, name: names.access },
      { resource: RESOURCES.Role, name: names.access },
      { resource: RESOURCES.ServiceAccount, name: names.access },
    ].flatMap(({ resource, name }) => {
      const object = find(resource, name);
      return object === undefined ? [] : [{ resource, name, uid: object.metadata.uid }];
    }),
  });
}

function olderRequest(requests: readonly SecretObject[], names: LedgerNames): string | undefined {
  const age = ({ metadata }: SecretObject): string => `${metadata.creationTimestamp ?? ""} ${metadata.name}`;
  // A request that does not exist yet will be the youngest.
  const ours = requests.find(({ metadata }) => metadata.name === names.databaseRequest);
  return requests.find(
    (other) => other !== ours && asksFor(other, names.database) && (ours === undefined || age(other) < age(ours)),
  )?.metadata.name;
}

function hasLabels(object: KubeObject, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([label, value]) => object.metadata.labels?.[label] === value);
}
