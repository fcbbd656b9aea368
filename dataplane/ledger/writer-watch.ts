/**
 * Notices a writer that is stuck in our own code: it makes no step although every wait of it has a bound. A database or an
 * API server that does not answer is no such case: the bounds end each wait, and that is a step.
 */
import type { Clock } from "../../lib/core/clock.ts";
import { createHeartbeat, type Heartbeat } from "../../lib/core/heartbeat.ts";

/** Six times the longest bound, that of an answer from PostgreSQL. */
export const STUCK_AFTER_MS = 90_000;

/** One writer, from its first step to its end. */
export interface WatchedWriter {
  /** It came a step further, or has nothing to do. */
  readonly step: () => void;
  /** It was told to end: what it does from now on is no step. */
  leave(): void;
  ended(): void;
}

export interface WriterWatch {
  begin(): WatchedWriter;
  /** Asked once a second. */
  look(): {
    /** The present writer makes no step. */
    readonly isStuck: boolean;
    /** One that was told to end does not. */
    readonly isOverdue: boolean;
  };
}

export function createWriterWatch(clock: Clock): WriterWatch {
  const present = new Set<Heartbeat>();
  const leaving = new Set<Heartbeat>();
  /** Each is looked at, whatever the others say. */
  const isAnySilent = (heartbeats: ReadonlySet<Heartbeat>): boolean =>
    [...heartbeats].map((heartbeat) => heartbeat.look()).some((ms) => ms >= STUCK_AFTER_MS);

  return {
    begin: () => {
      const steps = createHeartbeat(clock);
      let end: Heartbeat | undefined;
      present.add(steps);
      return {
        step: steps.beat,
        leave: () => {
          if (!present.delete(steps)) return;
          end = createHeartbeat(clock);
          leaving.add(end);
        },
        ended: () => {
          present.delete(steps);
          if (end !== undefined) leaving.delete(end);
        },
      };
    },
    look: () => ({ isStuck: isAnySilent(present), isOverdue: isAnySilent(leaving) }),
  };
}
