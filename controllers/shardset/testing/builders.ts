import { API_VERSION } from "../../../crds/group.ts";
import type { ShardSet, ShardSetSpec } from "../../../crds/shardset.ts";
import { type Target, targetOf } from "../shardset.names.ts";

export const NAMESPACE = "demo";
export const NAME = "bank";
export const IMAGE = "shieldx-postgres:1";

/** What the operator adds to every spec. */
export const SETTINGS = { image: IMAGE, clusterDomain: "cluster.local" };

/** A spec as the server sends it, defaults filled in. */
export function spec(changes: Partial<ShardSetSpec> = {}): ShardSetSpec {
  return {
    shards: 3,
    instancesPerShard: 1,
    storage: { size: "1Gi" },
    postgres: { parameters: {} },
    resources: { requests: { cpu: "100m", memory: "256Mi" } },
    scheduling: {},
    deletionPolicy: "Retain",
    ...changes,
  };
}

export function shardSet(changes: Partial<ShardSet> = {}): ShardSet {
  const { metadata, ...rest } = changes;
  return {
    apiVersion: API_VERSION,
    kind: "ShardSet",
    metadata: { name: NAME, namespace: NAMESPACE, uid: "uid-bank", generation: 1, ...metadata },
    spec: spec(),
    ...rest,
  };
}

export function target(changes: Partial<ShardSetSpec> = {}): Target {
  return targetOf(shardSet({ spec: spec(changes) }), SETTINGS);
}
