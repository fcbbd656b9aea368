import { API_VERSION, LABELS } from "../../crds/group.ts";
import type { OwnerReference } from "../../lib/kube/types.ts";

/** Who a set of names belongs to. */
export interface ShardSetIdentity {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** Names of the objects of one ShardSet, all in its own namespace (ARCHITECTURE.md, "Objects of a ShardSet"). */
export interface ShardSetNames {
  readonly ca: string;
  readonly caKey: string;
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

/** The one instance of each shard until there are replicas. */
export const INSTANCE = 0;

/** Names of everything that a ShardSet of this name owns. */
export function shardSetNames(name: string): ShardSetNames {
  return {
    ca: `${name}-ca`,
    caKey: `${name}-ca-key`,
    operatorTls: `${name}-operator-tls`,
    databases: `${name}-databases`,
    map: `${name}-map`,
    access: `${name}-shard`,
    shard: (shard) => `${name}-${shard}`,
    shardTls: (shard) => `${name}-${shard}-tls`,
    instance: (shard) => `${name}-${shard}-${INSTANCE}`,
  };
}

/** Labels that tell the objects of a ShardSet from all others; without them an object is somebody else's. */
export function ownLabels(name: string): Record<string, string> {
  return { [LABELS.kind]: "ShardSet", [LABELS.name]: name };
}

/** Owner reference of the objects that go with the ShardSet. */
export function ownerReference(shardSet: ShardSetIdentity): OwnerReference {
  return {
    apiVersion: API_VERSION,
    kind: "ShardSet",
    name: shardSet.name,
    uid: shardSet.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}
