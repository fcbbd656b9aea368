import type { Clock } from "../core/clock.ts";
import { CONNECTIONS_MAX } from "./transport.ts";

/**
 * What must not wait, what serves users, what can wait. `urgent`: renewals of Leases, writes that undo something. It leaves
 * at once, on connections of its own; `background`: telling, sweeping, first passes over everything.
 */
export type Priority = "urgent" | "normal" | "background";

export interface FlowControlOptions {
  readonly clock: Clock;
  /** Ordinary requests in flight at once; as many as their pool has connections unless told. */
  readonly concurrency?: number | undefined;
  /** Ordinary requests per second; unlimited unless told: the server's own priority and fairness is relied on. */
  readonly qps?: number | undefined;
  /** Ordinary requests that may follow each other at once under `qps`; the same number unless told, and at least one. */
  readonly burst?: number | undefined;
}

/** Decides when a request may leave the process. */
export interface FlowControl {
  /**
   * Waits for a place: by priority, then in order of arrival.
   * @returns a function that gives the place back @throws the signal's reason when it aborts first
   */
  enter(priority: Priority, signal: AbortSignal): Promise<() => void>;
  /** The server asks to slow down: nothing but `urgent` requests leaves for this time. */
  pause(ms: number): void;
  /** Requests in flight and requests that wait. */
  load(): { readonly inFlight: number; readonly waiting: number };
}

interface Waiter {
  readonly admit: () => void;
}

/** A server (or a proxy) that asks for longer is asked again after this: every request of ours obeys its own answer too. */
const PAUSE_MAX_MS = 30_000;

/**
 * A queue in front of the connections. Without it undici's own queue decides, first come first served: behind thousands
 * of ordinary writes the renewal of a Lease would wait for longer than the Lease lives.
 */
export function createFlowControl(options: FlowControlOptions): FlowControl {
  const { clock, concurrency = CONNECTIONS_MAX, qps } = options;
  // Less than a whole one would never let anybody through.
  const burst = Math.max(1, options.burst ?? qps ?? 1);
  // In order of priority; a Set keeps the order of arrival and lets a waiter leave from the middle.
  const lanes = { normal: new Set<Waiter>(), background: new Set<Waiter>() };
  let inFlight = 0;
  let ordinary = 0;
  let pausedUntil = clock.monotonic();
  let tokens = burst;
  let refilledAt = clock.monotonic();
  let waking = false;

  /** Milliseconds until time alone lets another ordinary request leave. */
  const closedMs = (): number => {
    const now = clock.monotonic();
    if (qps === undefined) return Math.max(0, pausedUntil - now);
    tokens = Math.min(burst, tokens + ((now - refilledAt) / 1000) * qps);
    refilledAt = now;
    return Math.max(0, pausedUntil - now, tokens >= 1 ? 0 : ((1 - tokens) / qps) * 1000);
  };

  const take = (priority: Priority): (() => void) => {
    const isOrdinary = priority !== "urgent";
    inFlight += 1;
    if (isOrdinary) {
      ordinary += 1;
      tokens -= 1;
    }
    let left = false;
    return () => {
      if (left) return;
      left = true;
      inFlight -= 1;
      if (isOrdinary) ordinary -= 1;
      drain();
    };
  };

  const drain = (): void => {
    for (const priority of ["normal", "background"] as const) {
      for (const waiter of lanes[priority]) {
        if (ordinary >= concurrency) return;
        const waitMs = closedMs();
        if (waitMs > 0) return wakeAfter(waitMs);
        lanes[priority].delete(waiter);
        waiter.admit();
      }
    }
  };

  const wakeAfter = (ms: number): void => {
    if (waking) return;
    waking = true;
    void clock.sleep(ms).then(() => {
      waking = false;
      drain();
    });
  };

  return {
    enter: (priority, signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason as Error);
        // Whatever it would wait for can be as stuck as what it is to undo.
        if (priority === "urgent") return resolve(take(priority));
        const lane = lanes[priority];
        const onAbort = (): void => {
          lane.delete(waiter);
          reject(signal.reason as Error);
        };
        const waiter: Waiter = {
          admit: () => {
            signal.removeEventListener("abort", onAbort);
            resolve(take(priority));
          },
        };
        signal.addEventListener("abort", onAbort, { once: true });
        lane.add(waiter);
        drain();
      }),
    pause: (ms) => {
      pausedUntil = Math.max(pausedUntil, clock.monotonic() + Math.min(ms, PAUSE_MAX_MS));
    },
    load: () => ({ inFlight, waiting: lanes.normal.size + lanes.background.size }),
  };
}
