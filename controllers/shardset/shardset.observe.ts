import type { AgentStatus } from "../../crds/agent-status.ts";
import { CREDIT_LEDGER } from "../../crds/creditledger.ts";
import { COMPONENTS, LABELS } from "../../crds/group.ts";
import type { ShardSet } from "../../crds/shardset.ts";
import { deepFreeze } from "../../lib/core/objects.ts";
import { type KubeObject, RESOURCES, type ResourceType, type SecretObject } from "../../lib/kube/types.ts";
import type { CacheReader } from "../../operator/runtime/types.ts";
import type { KeyPair } from "./shardset.desired.ts";
import {
  type Kept,
  type MergedRequests,
  mergeRequests,
  type ObservedClaim,
  type ObservedMap,
  type ObservedPod,
  observeClaim,
  observeMap,
  observePod,
  readKeyPair,
  secretText,
  shardOf,
} from "./shardset.facts.ts";
import { ownLabels, shardSetNames } from "./shardset.names.ts";

/** An object that is only ever made or deleted. */
export interface ObservedRef {
  readonly resource: ResourceType;
  readonly name: string;
  readonly uid: string | undefined;
}

/** Everything that a reconcile of a ShardSet looks at: read once, plain and frozen. */
export interface Observed {
  readonly shardSet: ShardSet;
  readonly ca: Kept<string> | undefined;
  readonly caKey: Kept<KeyPair> | undefined;
  readonly operatorTls: Kept<KeyPair> | undefined;
  readonly map: ObservedMap | undefined;
  /** Server certificates by shard. */
  readonly shardTls: ReadonlyMap<number, Kept<KeyPair>>;
  readonly claims: ReadonlyMap<number, ObservedClaim>;
  readonly pods: ReadonlyMap<number, ObservedPod>;
  /** Shards that have a Lease. */
  readonly leases: ReadonlySet<number>;
  readonly requests: MergedRequests;
  /** CreditLedgers on this ShardSet, in name order: they block its deletion. */
  readonly ledgers: readonly string[];
  /** All objects with an owner reference to the ShardSet but Pods, for its deletion. */
  readonly owned: readonly ObservedRef[];
}

/** What the agents of the shards answered; a shard whose agent does not answer is absent. */
export type Agents = ReadonlyMap<number, AgentStatus>;

/**
 * Reads the ShardSet and everything around it from the informers' memory.
 * Objects without our labels are not seen: they are somebody else's, and the executor refuses to write over them.
 */
export function observeShardSet(cache: CacheReader, shardSet: ShardSet): Observed {
  const { name: shardSetName, namespace = "" } = shardSet.metadata;
  const names = shardSetNames(shardSetName);
  const labels = ownLabels(shardSetName);
  const ours = <T extends KubeObject>(type: ResourceType<T>): readonly T[] => cache.list(type, namespace, labels);
  const secrets = ours(RESOURCES.Secret);
  const secret = <T>(name: string, read: (object: SecretObject) => T | undefined): Kept<T> | undefined => {
    const object = secrets.find(({ metadata }) => metadata.name === name);
    return object && { name, uid: object.metadata.uid, value: read(object) };
  };
  const shards = shardSetShards(shardSet, ours(RESOURCES.PersistentVolumeClaim));
  const requests = cache.list(RESOURCES.Secret, namespace, {
    [LABELS.shardSet]: shardSetName,
    [LABELS.component]: COMPONENTS.databaseRequest,
  });
  return deepFreeze({
    shardSet,
    ca: secret(names.ca, (object) => secretText(object, "ca.crt")),
    caKey: secret(names.caKey, readKeyPair),
    operatorTls: secret(names.operatorTls, readKeyPair),
    map: observeMap(ours(RESOURCES.ConfigMap).find(({ metadata }) => metadata.name === names.map)),
    shardTls: new Map(
      shards.flatMap((shard) => {
        const found = secret(names.shardTls(shard), readKeyPair);
        return found === undefined ? [] : [[shard, found] as const];
      }),
    ),
    claims: byShard(ours(RESOURCES.PersistentVolumeClaim).map(observeClaim)),
    pods: byShard(ours(RESOURCES.Pod).map(observePod)),
    leases: new Set(ours(RESOURCES.Lease).map(shardOf)),
    requests: mergeRequests(requests.filter(({ metadata }) => metadata.deletionTimestamp === undefined)),
    ledgers: cache
      .list(CREDIT_LEDGER, namespace)
      .filter(({ spec }) => spec.shardSet === shardSetName)
      .map(({ metadata }) => metadata.name)
      .sort(),
    owned: OWNED_KINDS.flatMap((resource) =>
      ours(resource)
        .filter(({ metadata }) => metadata.ownerReferences !== undefined)
        .map(({ metadata }) => ({ resource, name: metadata.name, uid: metadata.uid })),
    ),
  });
}

/** In the order in which a deletion removes them: what others may still connect to goes first. */
const OWNED_KINDS: readonly ResourceType[] = [
  RESOURCES.Service,
  RESOURCES.RoleBinding,
  RESOURCES.Role,
  RESOURCES.ServiceAccount,
  RESOURCES.Lease,
  RESOURCES.Secret,
];

/** Shards that the spec asks for or that left a volume behind. */
function shardSetShards(shardSet: ShardSet, claims: readonly KubeObject[]): number[] {
  const wanted = Array.from({ length: shardSet.spec.shards }, (_, shard) => shard);
  return [...new Set([...wanted, ...claims.map(shardOf)])];
}

function byShard<T extends { readonly shard: number }>(items: readonly T[]): ReadonlyMap<number, T> {
  return new Map(items.map((item) => [item.shard, item]));
}
