import type { Clock } from "../../lib/core/clock.ts";
import type { ProbeResult } from "../../lib/node/http-server.ts";
import type { ShardSeat } from "./shard-seats.ts";
import type { ShardWatch } from "./shard-watch.ts";

/** So long a new pod may look for every shard and its writer, before it serves with those that it found. */
const START_MS = 30_000;

/**
 * Whether the Service sends requests to this pod. A new pod waits until every shard's database answers and every shard's
 * writer is here or known. From then on, or after half a minute, one such shard is enough: requests of a shard that is
 * down are refused with a code, by this pod as by any other, and those of the other shards must not be. The reasons name
 * the shards that are down either way.
 */
export function createReadiness(options: {
  readonly watches: readonly Pick<ShardWatch, "fault">[];
  readonly seats: readonly Pick<ShardSeat, "writer" | "holderUrl" | "problem">[];
  readonly clock: Clock;
  /** Aborted when the pod stops. */
  readonly signal: AbortSignal;
}): () => ProbeResult {
  const { watches, seats, clock, signal } = options;
  const startEndsAt = clock.monotonic() + START_MS;
  let isStarted = false;

  function fault(seat: (typeof seats)[number], shard: number): string | undefined {
    const problem = watches[shard]?.fault() ?? seat.problem();
    if (problem !== undefined) return problem;
    const status = seat.writer()?.status();
    // One that refuses answers at once and with a code: reads go on here, and no other pod could do better.
    const answers = status?.phase === "writing" || status?.refusing !== undefined;
    return answers || seat.holderUrl() !== undefined ? undefined : "no writer known";
  }

  return () => {
    if (signal.aborted) return { ok: false, reasons: ["stopping"] };
    const faults = seats.map(fault);
    const reasons = faults.flatMap((found, shard) => (found === undefined ? [] : [`shard ${shard}: ${found}`]));
    isStarted ||= reasons.length === 0 || clock.monotonic() >= startEndsAt;
    return { ok: isStarted && reasons.length < seats.length, reasons };
  };
}
