import type { AgentReason } from "../../crds/agent-status.ts";
import type { Clock } from "../../lib/core/clock.ts";
import type { Logger } from "../../lib/node/logger.ts";

/** What the agent says about itself: one reason and one sentence at a time. */
export interface Display {
  reason(): AgentReason;
  message(): string;
  /** Says something new; a change of reason is logged. Also proof that the caller's loop moves. */
  show(reason: AgentReason, message: string): void;
  /** The last word: nothing that is still under way may call the shard ready afterwards. */
  end(reason: "Stopping" | "LeaseLost"): void;
  /** Milliseconds since something was last said. */
  silentMs(): number;
}

/** Begins with "Starting". */
export function createDisplay(clock: Clock, log: Logger): Display {
  let reason: AgentReason = "Starting";
  let message = "the agent has begun";
  let saidAt = clock.monotonic();
  let ended = false;

  const say = (nextReason: AgentReason, nextMessage: string): void => {
    if (reason !== nextReason) log.info({ reason: nextReason }, nextMessage);
    reason = nextReason;
    message = nextMessage;
  };

  return {
    reason: () => reason,
    message: () => message,
    show: (nextReason, nextMessage) => {
      saidAt = clock.monotonic();
      if (!ended) say(nextReason, nextMessage);
    },
    end: (lastReason) => {
      ended = true;
      say(lastReason, lastReason === "LeaseLost" ? "another pod holds the Lease" : "the pod is ending");
    },
    silentMs: () => clock.monotonic() - saidAt,
  };
}
