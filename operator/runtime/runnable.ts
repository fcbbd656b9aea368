import { toOperatorError } from "../../lib/core/errors.ts";
import type { Logger } from "../../lib/node/logger.ts";

/** Answer of something that serves: may traffic come? The reasons are one short line each, for people. */
export interface Readiness {
  readonly ok: boolean;
  readonly reasons?: readonly string[];
}

/**
 * Something that runs beside the controllers for as long as the process does: a server of webhooks, a collector.
 *
 *   every   begins before the caches are filled (a list may need a conversion webhook) and ends after them, in every replica
 *   leader  begins with the workers when this replica leads, and ends with them, before the Lease is given back
 */
export interface Runnable {
  /** For logs; unique in a manager. */
  readonly name: string;
  readonly needs: "leader" | "every";
  /**
   * Runs until the signal aborts, then cleans up after itself and resolves. It may resolve earlier when it has nothing
   * more to do. When it rejects, the process has failed: the manager stops in order and ends with code 1.
   */
  run(signal: AbortSignal): Promise<void>;
  /** Takes part in `/readyz`; always ready unless told. Must not throw. */
  readonly ready?: () => Readiness;
}

/** Runnables that begin and end together. */
export interface RunnableGroup {
  /** Begins all, in their order; returns at once. */
  start(): void;
  /** Asks all to end and waits, `graceMs` at most. @returns the names of those that did not end in time */
  stop(graceMs: number): Promise<readonly string[]>;
  /** What those that run say about their readiness. */
  ready(): Readiness;
}

export interface RunnableGroupOptions {
  readonly runnables: readonly Runnable[];
  /** One of them failed; nobody had asked it to end. */
  readonly onFailure: (reason: string) => void;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly log: Logger;
}

/** Nothing runs before `start`. */
export function createRunnableGroup(options: RunnableGroupOptions): RunnableGroup {
  const { runnables, log } = options;
  const stopping = new AbortController();
  const running = new Map<string, Promise<unknown>>();

  const guard = async (runnable: Runnable): Promise<void> => {
    try {
      await runnable.run(stopping.signal);
      log.info({ runnable: runnable.name }, "runnable ended");
    } catch (thrown) {
      const { code, message } = toOperatorError(thrown);
      const isAsked = stopping.signal.aborted;
      log[isAsked ? "warn" : "error"]({ runnable: runnable.name, code, error: message }, "runnable failed");
      if (!isAsked) options.onFailure(`${runnable.name}: ${message}`);
    }
  };

  return {
    start: () => {
      if (stopping.signal.aborted) return;
      for (const runnable of runnables) {
        const { name } = runnable;
        running.set(
          name,
          guard(runnable).finally(() => running.delete(name)),
        );
      }
    },
    stop: async (graceMs) => {
      stopping.abort();
      const grace = new AbortController();
      await Promise.race([Promise.all(running.values()), options.sleep(graceMs, grace.signal)]);
      grace.abort();
      return [...running.keys()];
    },
    ready: () => {
      const reasons = runnables.flatMap(({ name, ready }) => {
        const answer = running.has(name) ? ready?.() : undefined;
        return answer === undefined || answer.ok
          ? []
          : (answer.reasons ?? ["not ready"]).map((why) => `${name}: ${why}`);
      });
      return { ok: reasons.length === 0, reasons };
    },
  };
}
