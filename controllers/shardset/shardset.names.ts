import { COMPONENTS, LABELS } from "../../crds/group.ts";
import { SHARD_SET, type ShardSet, type ShardSetSpec } from "../../crds/shardset.ts";
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
  /** Lease and Service of a shard. */
  readonly shard: (shard: number) => string;
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

/** Names of everything that a ShardSet of this name owns. */
export function shardSetNames(name: string): ShardSetNames {
  return {
    ca: `${name}-ca`,
    caKey: `${name}-ca-key`,
    caNext: `${name}-ca-next`,
    operatorTls: `${name}-operator-tls`,
    databases: `${name}-databases`,
    map: `${name}-map`,
    access: `${name}-shard`,
    shard: (shard) => `${name}-${shard}`,
    shardTls: (shard) => `${name}-${shard}-tls`,
    instance: (shard) => `${name}-${shard}-${INSTANCE}`,
  };
}

/** @param settings of the operator */
export function targetOf(shardSet: ShardSet, settings: Settings): Target {
  const { spec } = shardSet;
  return {
    owner: ownerOf(SHARD_SET, shardSet, COMPONENTS.shard),
    names: shardSetNames(shardSet.metadata.name),
    spec,
    shards: Array.from({ length: spec.shards }, (_, shard) => shard),
    image: settings.image,
    clusterDomain: settings.clusterDomain,
    apiServerPorts: settings.apiServerPorts,
  };
}

/** DNS names of a shard's server certificate. */
export function serverNames({ owner, names, clusterDomain }: Target, shard: number): string[] {
  const service = `${names.shard(shard)}.${owner.namespace}.svc`;
  return [
    names.shard(shard),
    `${names.shard(shard)}.${owner.namespace}`,
    service,
    `${service}.${clusterDomain}`,
    "localhost",
  ];
}

/** The one of them that the controller itself verifies. */
export function verifiedName({ owner, names }: Target, shard: number): string {
  return `${names.shard(shard)}.${owner.namespace}.svc`;
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
