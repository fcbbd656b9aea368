import type { Clock } from "../../lib/core/clock.ts";
import { toOperatorError } from "../../lib/core/errors.ts";
import type { ProbeResult } from "../../lib/node/http-server.ts";
import type { LedgerReads } from "./ledger.reads.ts";
import type { ShardSeat } from "./shard-seats.ts";

const CHECK_MS = 1_000;
/** A shard whose last answer is older than this is not reachable. */
const ANSWERED_WITHIN_MS = 10_000;
/** So long a new pod may look for every shard and its writer, before it serves with those that it found. */
const START_MS = 30_000;

export interface Readiness {
  run(signal: AbortSignal): Promise<void>;
  check(): ProbeResult;
}

/**
 * Whether the Service sends requests to this pod. A new pod waits until every shard's database answers and every shard's
 * writer is here or known. From then on, or after half a minute, one such shard is enough: requests of a shard that is
 * down are refused with a code, by this pod as by any other, and those of the other shards must not be. The reasons name
 * the shards that are down either way.
 */
export function createReadiness(options: {
  readonly reads: readonly Pick<LedgerReads, "ready">[];
  readonly seats: readonly Pick<ShardSeat, "writer" | "holderUrl" | "problem">[];
  readonly clock: Clock;
}): Readiness {
  const { reads, seats, clock } = options;
  const answeredAt = reads.map(() => Number.NEGATIVE_INFINITY);
  const failure: (string | undefined)[] = reads.map(() => "no answer yet");
  const startEndsAt = clock.monotonic() + START_MS;
  let isStarted = false;
  let isStopping = false;

  async function ask(shard: Pick<LedgerReads, "ready">, index: number): Promise<void> {
    try {
      await shard.ready();
      answeredAt[index] = clock.monotonic();
      failure[index] = undefined;
    } catch (error) {
      failure[index] = toOperatorError(error).message;
    }
  }

  function fault(seat: (typeof seats)[number], shard: number): string | undefined {
    if (clock.monotonic() - (answeredAt[shard] as number) > ANSWERED_WITHIN_MS) {
      return failure[shard] ?? "no answer lately";
    }
    const problem = seat.problem();
    if (problem !== undefined) return problem;
    const status = seat.writer()?.status();
    // One that refuses answers at once and with a code: reads go on here, and no other pod could do better.
    const answers = status?.phase === "writing" || status?.refusing !== undefined;
    return answers || seat.holderUrl() !== undefined ? undefined : "no writer known";
  }

  return {
    run: async (signal) => {
      while (!signal.aborted) {
        await Promise.all(reads.map(ask));
        await clock.sleep(CHECK_MS, signal);
      }
      isStopping = true;
    },
    check: () => {
      if (isStopping) return { ok: false, reasons: ["stopping"] };
      const faults = seats.map(fault);
      const reasons = faults.flatMap((found, shard) => (found === undefined ? [] : [`shard ${shard}: ${found}`]));
      isStarted ||= reasons.length === 0 || clock.monotonic() >= startEndsAt;
      return { ok: isStarted && reasons.length < seats.length, reasons };
    },
  };
}
