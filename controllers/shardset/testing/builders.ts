import { DATABASE_REQUEST_KEY, type DatabaseRequest } from "../../../crds/database-request.ts";
import { API_VERSION, COMPONENTS, LABELS } from "../../../crds/group.ts";
import type { ShardSet, ShardSetSpec } from "../../../crds/shardset.ts";
import type { SecretObject } from "../../../lib/kube/types.ts";
import { textData } from "../../kit/secrets.ts";
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

const VERIFIER =
  "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

/** A request for a database, with roles named after it. */
export function databaseRequest(database: string): DatabaseRequest {
  const role = (suffix: string) => ({ name: `${database}_${suffix}`, verifier: VERIFIER });
  return { database, owner: role("owner"), writer: role("writer"), reader: role("reader") };
}

/** A Secret that asks for a database. @param json in place of the request */
export function requestSecret(
  name: string,
  ...[database, createdAt, json]: readonly [database: string, createdAt: string, json?: string]
): SecretObject {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name,
      namespace: NAMESPACE,
      creationTimestamp: createdAt,
      labels: { [LABELS.shardSet]: NAME, [LABELS.component]: COMPONENTS.databaseRequest },
    },
    data: textData({ [DATABASE_REQUEST_KEY]: json ?? JSON.stringify(databaseRequest(database)) }),
  };
}
