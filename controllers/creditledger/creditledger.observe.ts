import { CREDIT_LEDGER, type CreditLedger } from "../../crds/creditledger.ts";
import { COMPONENTS, LABELS } from "../../crds/group.ts";
import { SHARD_SET, type ShardSet } from "../../crds/shardset.ts";
import { deepFreeze } from "../../lib/core/objects.ts";
import {
  identityOf,
  type KubeObject,
  type ObjectIdentity,
  RESOURCES,
  type ResourceType,
  type SecretObject,
} from "../../lib/kube/types.ts";
import { type Clues, NO_CLUES, type Suspect } from "../../operator/runtime/clues.ts";
import type { CacheReader } from "../../operator/runtime/types.ts";
import { ACCESS_KINDS } from "../kit/access.ts";
import { type PodFacts, podFacts } from "../kit/explain/pods.ts";
import { objectKeys } from "../kit/names.ts";
import { componentSelector, ownLabels } from "../kit/objects.ts";
import { type NamedLeaf, type ObservedPki, observeAuthority } from "../kit/pki/objects.ts";
import { type Kept, keptSecrets, type LeafPair, readLeafPair } from "../kit/secrets.ts";
import {
  type AddressedRequest,
  asksFor,
  type ObservedDeployment,
  type ObservedJob,
  type ObservedLease,
  observeDeployment,
  observeJob,
  observeLease,
  type RolePasswords,
  readPasswords,
  readRequest,
} from "./creditledger.facts.ts";
import {
  chooseLedgerNames,
  type LedgerNames,
  type Settings,
  serverNames,
  type Target,
  targetOf,
} from "./creditledger.names.ts";

/** Everything that a reconcile of a ledger looks at: read once, plain and frozen. */
export interface World extends ObservedPki {
  readonly ledger: CreditLedger;
  readonly target: Target;
  readonly shardSet: ShardSet | undefined;
  readonly adminKey: Kept<string> | undefined;
  readonly roles: Kept<RolePasswords> | undefined;
  readonly request: Kept<AddressedRequest> | undefined;
  /** An older Secret of somebody else that asks the same ShardSet for a database of our name: the ShardSet serves that one. */
  readonly databaseTakenBy: string | undefined;
  readonly deployment: ObservedDeployment | undefined;
  /** Pods of the Deployment that are not ready. */
  readonly unreadyPods: readonly PodFacts[];
  /** Why Jobs and pods do not come up, where nothing of the above tells. */
  readonly clues: Clues;
  /** Migration Jobs in name order. */
  readonly jobs: readonly ObservedJob[];
  /** Writer Leases by shard. */
  readonly leases: readonly ObservedLease[];
  /** Other objects of ours, only ever deleted: Service, disruption budget, RBAC. */
  readonly others: readonly ObjectIdentity[];
}

/**
 * Reads the ledger and everything around it from the informers' memory.
 * An object of a wanted name without our labels counts as absent: it is somebody else's, and the executor refuses to
 * write over it.
 * @param settings of the operator
 */
export function observeCreditLedger(cache: CacheReader, ledger: CreditLedger, settings: Settings): World {
  const { namespace = "" } = ledger.metadata;
  const shardSet = cache.get(SHARD_SET, namespace, ledger.spec.shardSet);
  const target = targetOf(ledger, settings, { shardSet, names: observeNames(cache, ledger) });
  const { names, owner } = target;
  const labels = ownLabels(owner);
  const ours = <T extends KubeObject>(type: ResourceType<T>): readonly T[] => cache.list(type, namespace, labels);
  const secret = keptSecrets(ours(RESOURCES.Secret));
  const pods = cache.list(RESOURCES.Pod, namespace, componentSelector(owner));
  const podUids = new Set(pods.map(({ metadata }) => metadata.uid));
  const migrationPods = cache.list(RESOURCES.Pod, namespace, { ...labels, [LABELS.component]: COMPONENTS.migration });
  const requests = cache.list(RESOURCES.Secret, namespace, {
    [LABELS.shardSet]: ledger.spec.shardSet,
    [LABELS.component]: COMPONENTS.databaseRequest,
  });
  return deepFreeze({
    ledger,
    target,
    shardSet,
    ...observeAuthority(secret, names),
    leaves: [serverLeaf(target, secret(names.tls, readLeafPair))],
    adminKey: secret(names.adminKey, (text) => text("key")),
    roles: secret(names.roles, readPasswords),
    request: secret(names.databaseRequest, readRequest),
    databaseTakenBy: olderRequest(requests, names),
    deployment: observeDeployment(
      ours(RESOURCES.Deployment).find(({ metadata }) => metadata.name === names.deployment),
    ),
    unreadyPods: pods.map(podFacts).filter(({ ready, deleting }) => !ready && !deleting),
    clues: NO_CLUES,
    jobs: ours(RESOURCES.Job).map((job) => observeJob(job, migrationPods)),
    leases: ours(RESOURCES.Lease)
      .map(observeLease)
      .filter(({ name, shard }) => name === names.writerLease(shard))
      .map((lease) => ({ ...lease, isHolderGone: lease.holder !== undefined && !podUids.has(uidOf(lease.holder)) }))
      .sort((a, b) => a.shard - b.shard),
    others: OTHER_KINDS.flatMap((resource) => ours(resource).map((object) => identityOf(resource, object))),
  });
}

/** The names that the ledger has, or is to have, by what is in its namespace. */
function observeNames(cache: CacheReader, ledger: CreditLedger): LedgerNames {
  const { name, namespace = "" } = ledger.metadata;
  const keysOf = (resource: ResourceType, kind: ResourceType): readonly string[] =>
    objectKeys(resource.kind, cache.list(resource, namespace, ownLabels({ resource: kind, name })));
  const there = {
    ours: new Set([...keysOf(RESOURCES.Secret, CREDIT_LEDGER), ...keysOf(RESOURCES.Service, CREDIT_LEDGER)]),
    theirs: new Set(keysOf(RESOURCES.Secret, SHARD_SET)),
  };
  return chooseLedgerNames(ledger, there, cache.get(SHARD_SET, namespace, name) !== undefined);
}

/** Jobs without a pod, and pods that do not run: whom to ask about. */
export function suspectsOf({ ledger, jobs, unreadyPods }: World): readonly Suspect[] {
  if (ledger.metadata.deletionTimestamp !== undefined) return [];
  const running = jobs.filter(({ state }) => state === "running");
  const pods = [...running.flatMap((job) => job.pods), ...unreadyPods];
  return [...running.filter((job) => job.pods.length === 0), ...pods.filter(({ phase }) => phase === "Pending")];
}

/** Of the pod that a holder is: `<pod name>_<pod uid>`. */
function uidOf(holder: string): string {
  return holder.slice(holder.lastIndexOf("_") + 1);
}

/** In the order in which a deletion removes them: what others may still connect to goes first. */
const OTHER_KINDS: readonly ResourceType[] = [
  RESOURCES.Service,
  RESOURCES.PodDisruptionBudget,
  RESOURCES.NetworkPolicy,
  ...ACCESS_KINDS,
];

/** The one certificate of a ledger. */
export function serverLeaf(target: Target, kept: Kept<LeafPair> | undefined): NamedLeaf {
  return {
    secret: target.names.tls,
    kept,
    what: "server certificate",
    request: {
      commonName: target.owner.name,
      usage: "server",
      dnsNames: serverNames(target),
      ipAddresses: ["127.0.0.1"],
    },
  };
}

function olderRequest(requests: readonly SecretObject[], names: LedgerNames): string | undefined {
  const age = ({ metadata }: SecretObject): string => `${metadata.creationTimestamp ?? ""} ${metadata.name}`;
  // A request that does not exist yet will be the youngest.
  const ours = requests.find(({ metadata }) => metadata.name === names.databaseRequest);
  return requests.find(
    (other) => other !== ours && asksFor(other, names.database) && (ours === undefined || age(other) < age(ours)),
  )?.metadata.name;
}
