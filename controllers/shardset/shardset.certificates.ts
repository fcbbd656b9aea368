import { OPERATOR_COMMON_NAME } from "../../crds/agent-status.ts";
import type { NamedLeaf } from "../kit/pki/objects.ts";
import { type Kept, type LeafPair, readLeafPair, type SecretReader } from "../kit/secrets.ts";
import { shardLabels, type Target } from "./shardset.names.ts";

/** The certificates of a ShardSet: one a shard, and the controller's own, which agents ask for. */
export function shardSetLeaves(
  target: Target,
  kept: (name: string, read: SecretReader<LeafPair>) => Kept<LeafPair> | undefined,
): NamedLeaf[] {
  const { names } = target;
  const operator: Omit<NamedLeaf, "kept"> = {
    secret: names.operatorTls,
    what: "client certificate of the controller",
    request: { commonName: OPERATOR_COMMON_NAME, usage: "client" },
  };
  const servers = target.shards.map(
    (shard): Omit<NamedLeaf, "kept"> => ({
      secret: names.shardTls(shard),
      what: `certificate of shard ${shard}`,
      labels: shardLabels(shard),
      request: {
        commonName: names.shard(shard),
        usage: "server",
        dnsNames: serverNames(target, shard),
        ipAddresses: ["127.0.0.1"],
      },
    }),
  );
  return [operator, ...servers].map((leaf) => ({ ...leaf, kept: kept(leaf.secret, readLeafPair) }));
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
