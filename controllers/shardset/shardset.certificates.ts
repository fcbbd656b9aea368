import { OPERATOR_COMMON_NAME } from "../../crds/agent-status.ts";
import type { NamedLeaf } from "../kit/pki/objects.ts";
import { type Kept, type LeafPair, readLeafPair, type SecretReader } from "../kit/secrets.ts";
import { serverNames, shardLabels, type Target } from "./shardset.names.ts";

/** The certificates of a ShardSet: one a shard, and the controller's own, which agents ask for. */
export function shardSetLeaves(
  target: Target,
  kept: (name: string, read: SecretReader<LeafPair>) => Kept<LeafPair> | undefined,
): NamedLeaf[] {
  const { names } = target;
  const operator: NamedLeaf = {
    secret: names.operatorTls,
    kept: kept(names.operatorTls, readLeafPair),
    what: "client certificate of the controller",
    request: { commonName: OPERATOR_COMMON_NAME, usage: "client" },
  };
  const servers = target.shards.map((shard): NamedLeaf => {
    const secret = names.shardTls(shard);
    return {
      secret,
      kept: kept(secret, readLeafPair),
      what: `certificate of shard ${shard}`,
      labels: shardLabels(shard),
      request: {
        commonName: names.shard(shard),
        usage: "server",
        dnsNames: serverNames(target, shard),
        ipAddresses: ["127.0.0.1"],
      },
    };
  });
  return [operator, ...servers];
}
