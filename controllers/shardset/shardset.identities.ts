import type { AgentStatus } from "../../crds/agent-status.ts";
import type { ShardStatus } from "../../crds/shardset.ts";
import { type ShardIdentities, type ShardIdentity, UNKNOWN_IDENTIFIER } from "../../lib/core/shard-identity.ts";
import { type DataLoss, dataLoss } from "../kit/data-loss.ts";
import type { Agents } from "./shardset.facts.ts";
import type { MapState } from "./shardset.map.ts";
import type { Target } from "./shardset.names.ts";
import type { World } from "./shardset.observe.ts";

// What is known of each shard's data, in the map's ConfigMap. The record of a shard goes one way:
//
//   (nothing) ──never had data──► new ──the agent reports what it made──► its system identifier ──given up──► given-up
//       │                                                                  ▲                                    │
//       └──────────found on the volume, the Lease or the status────────────┴────the agent reports what it made──┘
//
// Only `new` and `given-up` let an agent make a database cluster. An identifier that is recorded is never changed but by
// somebody who gives that very data up.

/** What is so with the records. */
export interface IdentityState {
  /** What is to be recorded, by shard; the others stay as they are. */
  readonly changes: ShardIdentities;
  /** What people may do about data that is lost, by shard. */
  readonly ways: ReadonlyMap<number, string>;
}

/** What is known of one shard, beside its record. */
interface Evidence {
  readonly agent: AgentStatus | undefined;
  /** Identifier that status or Lease remember. */
  readonly remembered: string | undefined;
  /** Somebody gave up what the agent misses. */
  readonly isGivenUp: boolean;
  /** There was a server, or another ShardSet, that may have left data. */
  readonly hadData: boolean;
}

/** The records that are missing or due, for the map that there is and for one that is about to be made. */
export function identityState(world: World, map: MapState, agents: Agents): IdentityState {
  const { shardSet, target } = world;
  const changes = new Map<number, ShardIdentity>();
  const ways = new Map<number, string>();
  for (const shard of target.shards) {
    const answer = agents.get(shard);
    // An earlier answer is good enough to be told, not to act on.
    const agent = answer?.isRemembered === true ? undefined : answer;
    const named = lostData(agent);
    const loss = named && dataLoss(shardSet, target.owner, named);
    if (loss !== undefined) ways.set(shard, wayOut(target, shard, loss));
    // A map that cannot be read is not written to: it may say what it seems not to.
    if (world.map !== undefined && world.map.value === undefined) continue;
    const change = nextIdentity(world.map?.identities.get(shard), {
      agent,
      isGivenUp: loss?.isGivenUp === true,
      ...historyOf(world, map, shard),
    });
    if (change !== undefined) changes.set(shard, change);
  }
  return { changes, ways };
}

function wayOut({ names }: Target, shard: number, { command }: DataLoss): string {
  const restore = `bind PersistentVolumeClaim ${names.instance(shard)} to the volume that has the data, or restore it there`;
  return `${restore}; to give that data up for good: ${command}`;
}

/** Names the data that the agent of a shard misses; `undefined` when nothing is missing that could be given up. */
function lostData(agent: AgentStatus | undefined): (string | number)[] | undefined {
  if (agent === undefined) return undefined;
  const isLost =
    agent.reason === "DataLost" || (agent.reason === "DataRefused" && agent.expectedIdentifier !== undefined);
  const { shard, expectedIdentifier = UNKNOWN_IDENTIFIER, epoch = 0 } = agent;
  return isLost ? [shard, expectedIdentifier, epoch] : undefined;
}

function nextIdentity(recorded: ShardIdentity | undefined, evidence: Evidence): ShardIdentity | undefined {
  const { agent, remembered } = evidence;
  if (evidence.isGivenUp) {
    const systemIdentifier = agent?.expectedIdentifier ?? UNKNOWN_IDENTIFIER;
    const isRecorded = recorded?.state === "given-up" && recorded.systemIdentifier === systemIdentifier;
    return isRecorded ? undefined : { state: "given-up", systemIdentifier };
  }
  if (recorded?.state === "known") return undefined;
  if (agent?.systemIdentifier !== undefined) return { state: "known", systemIdentifier: agent.systemIdentifier };
  if (recorded !== undefined) return undefined;
  if (remembered !== undefined) return { state: "known", systemIdentifier: remembered };
  return evidence.hadData ? undefined : { state: "new" };
}

function historyOf(
  { shardSet, target, map, claims, leases }: World,
  { counts }: MapState,
  shard: number,
): Pick<Evidence, "remembered" | "hadData"> {
  const before = shardSet.status?.shardStatuses?.find((known) => known.shard === shard);
  const [lease, claim] = [leases.get(shard), claims.get(shard)];
  const ownsBuckets = (counts.get(shard) ?? 0) > 0;
  const isOurs = (createdFor: string | undefined): boolean => createdFor === target.owner.uid;
  return {
    remembered: before?.systemIdentifier ?? lease?.systemIdentifier,
    hadData:
      wasStarted(before) ||
      (lease !== undefined && lease.epoch > 0) ||
      (claim !== undefined && !isOurs(claim.createdFor)) ||
      (ownsBuckets && (shardSet.status?.initialized === true || !isOurs(map?.createdFor))),
  };
}

/** An agent has held the shard's Lease at some time, and so may have made data. */
function wasStarted(before: ShardStatus | undefined): boolean {
  return before?.ready === true || before?.epoch !== undefined;
}
