import { COMPONENTS, LABELS } from "../../crds/group.ts";
import { SHARD_SET, type ShardSet, type ShardSetSpec } from "../../crds/shardset.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import { isApart, objectKey, type There } from "../kit/names.ts";
import { componentSelector, type Owner, ownerOf } from "../kit/objects.ts";

// What a ShardSet is called and what it is to be. Every other file of this folder builds on it.

/** Names of the objects of one ShardSet, all in its own namespace (ARCHITECTURE.md, "Objects of a ShardSet"). */
export interface ShardSetNames {
  readonly ca: string;
  readonly caKey: string;
  readonly caNext: string;
  readonly operatorTls: string;
  readonly databases: string;
  readonly map: string;
  /** ServiceAccount, Role and RoleBinding. */
  readonly access: string;
  /** Service of a shard. */
  readonly shard: (shard: number) => string;
  readonly lease: (shard: number) => string;
  readonly shardTls: (shard: number) => string;
  /** Pod and PersistentVolumeClaim of a shard's only instance. */
  readonly instance: (shard: number) => string;
}

/** What a ShardSet is to be: the spec, and what the operator adds to it. */
export interface Target {
  readonly owner: Owner;
  readonly names: ShardSetNames;
  readonly spec: ShardSetSpec;
  /** Indexes of the shards that the spec asks for. */
  readonly shards: readonly number[];
  /** Image of shieldx-postgres. */
  readonly image: string;
  /** DNS domain of the cluster, for example `cluster.local`. */
  readonly clusterDomain: string;
  /** Ports on which the Kubernetes API answers; `undefined` makes no NetworkPolicy. */
  readonly apiServerPorts?: readonly number[] | undefined;
}

/** What the operator adds to every spec. */
export type Settings = Pick<Target, "image" | "clusterDomain" | "apiServerPorts">;

/** The one instance of each shard until there are replicas. */
export const INSTANCE = 0;

/** The container that runs the agent; an admission policy may put others beside it, also before it. */
export const POSTGRES_CONTAINER = "postgres";

/** Which objects have the names that no CreditLedger can want, in place of their usual ones. */
export interface NamesApart {
  readonly authority?: boolean;
  readonly leases?: boolean;
}

/** Behind the names of a CA whose usual ones a ledger of the same name has. */
const APART = "-shardset";

/** Writer Leases of ledger `l` are `l-writer-n`, as those of the shards of a ShardSet `l-writer` would be. */
const LIKE_WRITERS = /-writer$/;

/** Names of everything that a ShardSet of this name owns. */
export function shardSetNames(name: string, apart: NamesApart = {}): ShardSetNames {
  const authority = apart.authority === true ? APART : "";
  const lease = apart.leases === true ? "-lease" : "";
  return {
    ca: `${name}-ca${authority}`,
    caKey: `${name}-ca-key${authority}`,
    caNext: `${name}-ca-next${authority}`,
    operatorTls: `${name}-operator-tls`,
    databases: `${name}-databases`,
    map: `${name}-map`,
    access: `${name}-shard`,
    shard: (shard) => `${name}-${shard}`,
    lease: (shard) => `${name}-${shard}${lease}`,
    shardTls: (shard) => `${name}-${shard}-tls`,
    instance: (shard) => `${name}-${shard}-${INSTANCE}`,
  };
}

/** The names that a ShardSet has, or is to have. */
export function chooseShardSetNames({ metadata, spec, status }: ShardSet, there: There): ShardSetNames {
  const { name } = metadata;
  const variants = (keysOf: (names: ShardSetNames) => readonly string[]) => ({
    usual: keysOf(shardSetNames(name)),
    apart: keysOf(shardSetNames(name, { authority: true, leases: true })),
  });
  const secret = (called: string): string => objectKey(RESOURCES.Secret.kind, called);
  const recorded = status?.caSecret === undefined ? undefined : secret(status.caSecret);
  const leases = variants((names) =>
    Array.from({ length: spec.shards }, (_, shard) => objectKey(RESOURCES.Lease.kind, names.lease(shard))),
  );
  return shardSetNames(name, {
    authority: isApart(
      variants(({ ca, caKey, caNext }) => [secret(ca), secret(caKey), secret(caNext)]),
      there,
      { recorded },
    ),
    leases: isApart(leases, there, { yields: LIKE_WRITERS.test(name) }),
  });
}

/** @param settings of the operator @param names as `chooseShardSetNames` found them */
export function targetOf(
  shardSet: ShardSet,
  settings: Settings,
  names = shardSetNames(shardSet.metadata.name),
): Target {
  const { spec } = shardSet;
  return {
    owner: ownerOf(SHARD_SET, shardSet, COMPONENTS.shard),
    names,
    spec,
    shards: Array.from({ length: spec.shards }, (_, shard) => shard),
    image: settings.image,
    clusterDomain: settings.clusterDomain,
    apiServerPorts: settings.apiServerPorts,
  };
}

/** Labels of one shard's objects. */
export function shardLabels(shard: number): Record<string, string> {
  return { [LABELS.shard]: String(shard) };
}

/** Labels of the objects of a shard's only instance. */
export function instanceLabels(shard: number): Record<string, string> {
  return { ...shardLabels(shard), [LABELS.instance]: String(INSTANCE), [LABELS.role]: "primary" };
}

/** Selector of the pods, for the scale subresource. */
export function podSelector({ owner }: Pick<Target, "owner">): string {
  return selectorText(componentSelector(owner));
}

/** `key=value,key=value`, as `kubectl --selector` takes it. */
export function selectorText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([label, value]) => `${label}=${value}`)
    .join(",");
}
