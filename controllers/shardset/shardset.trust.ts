import type { Truster } from "../kit/pki/rotation.ts";
import type { Agents } from "./shardset.facts.ts";
import type { World } from "./shardset.observe.ts";

/** Ledgers that have to run as they should before another CA signs. */
export function ledgersInTheWay({ unreadyLedgers }: World): string[] {
  return unreadyLedgers.map((name) => `CreditLedger ${name} is not Ready, so its pods may not read a new CA`);
}

/**
 * The agents, in shard order: each trusts the bundle that its pod has mounted and shows the certificate of its shard. Clients
 * of the shards, ledgers above all, do not say what they trust.
 */
export function shardSetTrusters({ pods, target }: World, agents: Agents): Truster[] {
  return [...pods.values()]
    .filter(({ phase }) => phase === "Running")
    .sort((a, b) => a.shard - b.shard)
    .map(({ shard }) => {
      const agent = agents.get(shard);
      return {
        what: `shard ${shard}`,
        secret: target.names.shardTls(shard),
        answers: agent !== undefined,
        trusts: agent?.tls?.authorities,
        shows: agent?.tls?.certificate,
      };
    });
}
