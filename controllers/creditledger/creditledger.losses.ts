import { UNKNOWN_IDENTIFIER } from "../../lib/core/shard-identity.ts";
import { otherDatabase } from "../../lib/core/shard-memory.ts";
import { dataLoss } from "../kit/data-loss.ts";
import type { ObservedJob, ObservedLease } from "./creditledger.facts.ts";
import type { World } from "./creditledger.observe.ts";

// Data that the ledger had and a shard has no more. The writer Leases remember it: a writer refuses to begin below what they
// say and leaves the reason there, and what the ShardSet says of its shards tells without a writer when the whole database
// is another one.

/** Lost data of one shard. */
export interface ShardLoss {
  readonly lease: ObservedLease;
  /** What is lost, and what to do. */
  readonly message: string;
  /** The shard has another database, which was never migrated. */
  readonly isElsewhere: boolean;
  /** Somebody gave this very data up. */
  readonly isGivenUp: boolean;
}

/** Losses of all shards, in order. */
export function lossesOf(world: World, writers: readonly (ObservedLease | undefined)[]): ShardLoss[] {
  const clusters = clustersOf(world);
  return writers.flatMap((lease, shard): ShardLoss[] => {
    if (lease === undefined) return [];
    const cluster = clusters[shard];
    const elsewhere = cluster === undefined ? undefined : otherDatabase(shard, lease, cluster);
    const reason = elsewhere ?? lease.problem;
    if (reason === undefined) return [];
    const { systemIdentifier = UNKNOWN_IDENTIFIER, position = 0, epoch } = lease;
    const { ledger, target } = world;
    const { command, isGivenUp } = dataLoss(ledger, target.owner, [shard, systemIdentifier, position, epoch]);
    const message = `${reason}; restore the data of that shard; to go on with what is there: ${command}`;
    return [{ lease, message, isElsewhere: elsewhere !== undefined, isGivenUp }];
  });
}

/** PostgreSQL clusters of the shards, in order, as the ShardSet has recorded them. */
export function clustersOf({ shardSet, target }: Pick<World, "shardSet" | "target">): (string | undefined)[] {
  const states = shardSet?.status?.shardStatuses ?? [];
  return target.shards.map((shard) => states.find((state) => state.shard === shard)?.systemIdentifier);
}

/** True for a migration of clusters that the shards are not any more: the ShardSet was made anew, or data was given up. */
export function isOfOtherData(
  { clusters }: Pick<ObservedJob, "clusters">,
  now: readonly (string | undefined)[],
): boolean {
  return (
    clusters?.some((cluster, shard) => cluster !== "" && now[shard] !== undefined && now[shard] !== cluster) ?? false
  );
}
