import type { Clock } from "./clock.ts";

/** A clock that stands still until a test moves it. */
export interface ManualClock extends Clock {
  /**
   * Moves time forward by `ms`, waking sleepers in the order of their times; what a woken sleeper starts runs before
   * the next one wakes. Pending promises of in-memory work settle too.
   */
  advance(ms: number): Promise<void>;
  /** Moves the wall clock alone, as an operator's `date -s` does; durations are not touched. */
  jumpWallClock(ms: number): void;
  /** Sleepers that have not woken yet. */
  pendingSleeps(): number;
}

interface Sleeper {
  readonly at: number;
  readonly order: number;
  readonly wake: () => void;
}

/** Turns of the event loop that let chains of promises settle between two wake-ups; more costs only test time. */
const SETTLE_TURNS = 5;

/** @param startMs wall-clock time at the start, milliseconds since the epoch */
export function createManualClock(startMs = 1_735_689_600_000): ManualClock {
  let wall = startMs;
  let elapsed = 0;
  let order = 0;
  let sleepers: Sleeper[] = [];

  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < SETTLE_TURNS; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  const moveTo = (target: number): void => {
    wall += target - elapsed;
    elapsed = target;
  };

  return {
    now: () => wall,
    monotonic: () => elapsed,
    jumpWallClock: (ms) => {
      wall += ms;
    },
    pendingSleeps: () => sleepers.length,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const wake = (): void => {
          sleepers = sleepers.filter((other) => other !== sleeper);
          signal?.removeEventListener("abort", wake);
          resolve();
        };
        const sleeper: Sleeper = { at: elapsed + ms, order: order++, wake };
        sleepers.push(sleeper);
        signal?.addEventListener("abort", wake, { once: true });
      }),
    advance: async (ms) => {
      const target = elapsed + ms;
      await settle();
      for (;;) {
        const due = sleepers
          .filter((sleeper) => sleeper.at <= target)
          .sort((a, b) => a.at - b.at || a.order - b.order)[0];
        if (due === undefined) break;
        moveTo(Math.max(elapsed, due.at));
        due.wake();
        await settle();
      }
      moveTo(target);
      await settle();
    },
  };
}
