import type { Clock } from "../../lib/core/clock.ts";
import type { ProbeResult } from "../../lib/node/http-server.ts";
import type { ShardSeat } from "./shard-seats.ts";

const LOOK_MS = 1_000;

export interface Liveness {
  run(signal: AbortSignal): Promise<void>;
  check(): ProbeResult;
}

/**
 * Whether only a new process helps: a writer is stuck in our own code, and giving its right back has not ended it. What is
 * down outside (a database, a volume, the API of Kubernetes) is no reason: a restart would mend nothing.
 */
export function createLiveness(options: {
  readonly seats: readonly Pick<ShardSeat, "look">[];
  readonly clock: Clock;
}): Liveness {
  let reasons: readonly string[] = [];
  return {
    run: async (signal) => {
      while (!signal.aborted) {
        await options.clock.sleep(LOOK_MS, signal);
        reasons = options.seats.flatMap((seat) => seat.look() ?? []);
      }
    },
    check: () => (reasons.length === 0 ? { ok: true } : { ok: false, reasons }),
  };
}
