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
} from "../../lib/kube/types.ts";
import { type Clues, NO_CLUES, type Suspect } from "../../operator/runtime/clues.ts";
import type { CacheReader } from "../../operator/runtime/types.ts";
import { ACCESS_KINDS } from "../kit/access.ts";
import { objectKeys } from "../kit/names.ts";
import { ownLabels } from "../kit/objects.ts";
import { type ObservedPki, observeAuthority } from "../kit/pki/objects.ts";
import { keptSecrets } from "../kit/secrets.ts";
import { shardSetLeaves } from "./shardset.certificates.ts";
import { type MergedRequests, mergeRequests } from "./shardset.databases.ts";
import { type ObservedMap, type ObservedShards, observeMap, observeShards, shardNamed } from "./shardset.facts.ts";
import { chooseShardSetNames, type ShardSetNames, type Target } from "./shardset.names.ts";

/** Everything that a reconcile of a ShardSet reads from memory: once, plain and frozen. */
export interface World extends ObservedPki, ObservedShards {
  readonly shardSet: ShardSet;
  readonly target: Target;
  /** It has not published a map yet: one that is there, or volumes, were left by an earlier ShardSet of its name. */
  readonly isNew: boolean;
  readonly map: ObservedMap | undefined;
  /** Why claims and pods do not come up, where nothing of the above tells. */
  readonly clues: Clues;
  /** When it was read, milliseconds since the epoch. */
  readonly seenAt: number;
  readonly requests: MergedRequests;
  /** CreditLedgers on this ShardSet, in name order: they block its deletion. */
  readonly ledgers: readonly string[];
  /** Those of them that do not run as they should, and so maybe with pods of an earlier version, which read the CA once. */
  readonly unreadyLedgers: readonly string[];
  /**
   * The ShardSet is being deleted, and so is every ledger on it, none of which needs a shard for that: only one that drops its
   * database, where the volumes are kept, does.
   */
  readonly isLeft: boolean;
  /** The ShardSet is being deleted, and nobody uses it any more. */
  readonly isEnding: boolean;
  /** All objects with an owner reference to the ShardSet but Pods, for its deletion. */
  readonly owned: readonly ObjectIdentity[];
}

/**
 * Reads the ShardSet and everything around it from the informers' memory.
 * Objects without our labels are not seen: they are somebody else's, and the executor refuses to write over them.
 */
export function observeShardSet(cache: CacheReader, shardSet: ShardSet, target: Target): World {
  const { owner, names } = target;
  const labels = ownLabels(owner);
  const ours = <T extends KubeObject>(type: ResourceType<T>): readonly T[] => cache.list(type, owner.namespace, labels);
  const secret = keptSecrets(ours(RESOURCES.Secret));
  const requests = cache.list(RESOURCES.Secret, owner.namespace, {
    [LABELS.shardSet]: owner.name,
    [LABELS.component]: COMPONENTS.databaseRequest,
  });
  const ledgers = cache.list(CREDIT_LEDGER, owner.namespace).filter(({ spec }) => spec.shardSet === owner.name);
  const isDeleted = shardSet.metadata.deletionTimestamp !== undefined;
  return deepFreeze({
    shardSet,
    target,
    isNew: shardSet.status?.map === undefined,
    ...observeAuthority(secret, names),
    leaves: shardSetLeaves(target, secret),
    map: observeMap(ours(RESOURCES.ConfigMap).find(({ metadata }) => metadata.name === names.map)),
    ...observeShards(
      { claims: ours(RESOURCES.PersistentVolumeClaim), pods: ours(RESOURCES.Pod), leases: ours(RESOURCES.Lease) },
      names,
    ),
    clues: NO_CLUES,
    seenAt: 0,
    requests: mergeRequests(requests.filter(({ metadata }) => metadata.deletionTimestamp === undefined)),
    ledgers: ledgers.map(({ metadata }) => metadata.name).sort(),
    unreadyLedgers: ledgers
      .filter((ledger) => !isReady(ledger))
      .map(({ metadata }) => metadata.name)
      .sort(),
    isLeft: isDeleted && !ledgers.some((ledger) => needsShards(ledger, shardSet)),
    isEnding: isDeleted && ledgers.length === 0,
    owned: OWNED_KINDS.flatMap((resource) =>
      ours(resource)
        .filter((object) => goesWith(target, object))
        .map((object) => identityOf(resource, object)),
    ),
  });
}

/** False for a ledger that is being deleted and has no database to drop first. */
function needsShards({ metadata, spec }: CreditLedger, shardSet: ShardSet): boolean {
  if (metadata.deletionTimestamp === undefined) return true;
  return spec.deletionPolicy === "Delete" && shardSet.spec.deletionPolicy !== "Delete";
}

/** The names that a ShardSet has, or is to have, by what is in its namespace. */
export function observeNames(cache: CacheReader, shardSet: ShardSet): ShardSetNames {
  const { name, namespace = "" } = shardSet.metadata;
  const keysOf = (resource: ResourceType, kind: ResourceType): readonly string[] =>
    objectKeys(resource.kind, cache.list(resource, namespace, ownLabels({ resource: kind, name })));
  return chooseShardSetNames(shardSet, {
    ours: new Set([...keysOf(RESOURCES.Secret, SHARD_SET), ...keysOf(RESOURCES.Lease, SHARD_SET)]),
    theirs: new Set(keysOf(RESOURCES.Secret, CREDIT_LEDGER)),
  });
}

/** Claims without a volume and pods that do not run, in the order of their shards: whom to ask about. */
export function suspectsOf({ claims, pods, isEnding }: World): readonly Suspect[] {
  if (isEnding) return [];
  const unbound = [...claims.values()].filter(({ wasBound, phase }) => !wasBound || phase === "Lost");
  const waiting = [...pods.values()].filter(({ phase, deleting }) => phase === "Pending" && !deleting);
  return [...unbound.map((claim) => ({ ...claim, isClaim: true })), ...waiting].sort((a, b) => a.shard - b.shard);
}

function isReady({ status }: CreditLedger): boolean {
  return status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") === true;
}

/** In the order in which a deletion removes them: what others may still connect to goes first. */
const OWNED_KINDS: readonly ResourceType[] = [
  RESOURCES.Service,
  RESOURCES.NetworkPolicy,
  ...ACCESS_KINDS,
  RESOURCES.Lease,
  RESOURCES.Secret,
];

/**
 * True for an object that goes with its ShardSet: by its owner reference, or, where somebody took that off, by its name. The
 * CA does not, whoever's reference somebody put on it.
 */
function goesWith({ owner, names }: Target, { metadata }: KubeObject): boolean {
  const { name, ownerReferences = [] } = metadata;
  if ([names.ca, names.caKey, names.caNext].includes(name)) return false;
  if (ownerReferences.some(({ uid }) => uid === owner.uid)) return true;
  const isOfShard = [names.shard, names.lease, names.shardTls].some((nameOf) => shardNamed(name, nameOf) !== undefined);
  return isOfShard || [names.access, names.operatorTls, names.databases].includes(name);
}
