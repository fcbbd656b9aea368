import { jitter } from "../../lib/core/backoff.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { isOperatorError, OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import type { Logger } from "../../lib/node/logger.ts";
import type { CacheView } from "../kube/cache.ts";
import type { StatusWriter } from "../kube/status.ts";
import type { Execute } from "./execute.ts";
import type { ControllerMetrics } from "./metrics.ts";
import { PRIORITY_BACKGROUND, type Queue, type QueueItem } from "./queue.ts";
import type { Controller, ReconcileContext, Result } from "./types.ts";

/*
 * The loop of one controller: take a key, reconcile it from memory, decide when to look again.
 *
 *   result              the key's backoff   next run
 *   {}                  reset               with the next event
 *   requeueAfter        reset               after that time
 *   error, backoff      grows               5 ms·2ⁿ
 *   error, after        kept                after the error's own time
 *   error, terminal     reset               with the next event: only a change of input helps
 *   stopped             kept                never: the process ends, or another replica goes on
 */

export interface ControllerLoopOptions {
  readonly controller: Controller;
  readonly view: CacheView;
  readonly queue: Queue;
  readonly execute: Execute;
  readonly status: StatusWriter;
  readonly metrics: ControllerMetrics;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** A reconcile is aborted after this time; 2 min unless told. */
  readonly deadlineMs?: number;
}

/** A controller at work. */
export interface ControllerLoop {
  /** Starts the workers; returns at once. */
  start(): void;
  /**
   * Starts no further reconcile, aborts the running ones and waits for their end, `graceMs` at most.
   * @returns the number of reconciles that did not end in time
   */
  stop(graceMs: number): Promise<number>;
  /** Milliseconds that the longest running reconcile has taken so far; 0 at rest. */
  longestRunMs(): number;
}

/** controllers wait for nothing for long: what takes longer than this is stuck. */
const DEADLINE_MS = 120_000;
/** A failure that asks for a time without naming one. */
const AFTER_DEFAULT_SECONDS = 5;
/** Everything is looked at again this often, spread, in case an event was lost in a way that nobody thought of. */
const RESYNC_MS = 10 * 3_600_000;
const RESYNC_JITTER = 0.1;

/** Nothing runs before `start`. */
export function createControllerLoop(options: ControllerLoopOptions): ControllerLoop {
  const { controller, view, queue, metrics, clock, random } = options;
  const log = options.log.child({ controller: controller.name });
  const stopping = new AbortController();
  const running = new Map<symbol, { readonly startedAt: number; readonly abort: AbortController }>();
  let workers: Promise<unknown> | undefined;

  const contextOf = (signal: AbortSignal, runLog: Logger): ReconcileContext => ({
    cache: view,
    clock,
    log: runLog,
    signal,
    execute: (owner, plan) => options.execute({ owner, plan, signal, log: runLog }),
    patchStatus: async (owner: KubeObject, status) => {
      if ((await options.status.write(owner, status, signal)) === "written") runLog.info({}, "status written");
    },
  });

  /** Runs one reconcile under its deadline; a thrown value becomes an error that says how to go on. */
  const reconcile = async (item: QueueItem, abort: AbortController): Promise<Result | OperatorError> => {
    const { key } = item;
    const runLog = log.child({ namespace: key.namespace, name: key.name, reconcileId: newId(random) });
    const timer = new AbortController();
    let late = false;
    void clock.sleep(options.deadlineMs ?? DEADLINE_MS, timer.signal).then(() => {
      late = !timer.signal.aborted;
      if (late) abort.abort();
    });
    try {
      return await controller.reconcile(key, contextOf(abort.signal, runLog));
    } catch (thrown) {
      if (late) {
        metrics.failed("timeout");
        const seconds = (options.deadlineMs ?? DEADLINE_MS) / 1000;
        const error = new OperatorError("RECONCILE_TIMEOUT", `no end within ${seconds} s`, { cause: thrown });
        runLog.error({ code: error.code, error: error.message }, "reconcile failed");
        return error;
      }
      if (stopping.signal.aborted) return new OperatorError("ABORTED", "stopped", { cause: thrown });
      if (!isOperatorError(thrown)) {
        // A broken invariant of ours: the key fails, the process and the other keys go on.
        metrics.failed("panic");
        runLog.error({ error: String((thrown as Error | undefined)?.stack ?? thrown) }, "reconcile panicked");
        return toOperatorError(thrown);
      }
      if (thrown.retry === "terminal") metrics.failed("terminal");
      runLog.warn({ code: thrown.code, error: thrown.message, retry: thrown.retry }, "reconcile failed");
      return thrown;
    } finally {
      timer.abort();
    }
  };

  const conclude = (item: QueueItem, result: Result | OperatorError, seconds: number): void => {
    const { key, priority } = item;
    if (isOperatorError(result)) {
      if (result.code === "ABORTED" && stopping.signal.aborted) return;
      metrics.reconciled("error", seconds);
      if (result.retry === "terminal") return queue.forget(key);
      if (result.retry === "after") {
        return queue.add(key, { priority, afterMs: (result.retryAfterSeconds ?? AFTER_DEFAULT_SECONDS) * 1000 });
      }
      return void queue.addRateLimited(key, priority);
    }
    queue.forget(key);
    const after = result.requeueAfterSeconds;
    metrics.reconciled(after === undefined ? "success" : "requeue_after", seconds);
    if (after !== undefined) queue.add(key, { priority, afterMs: Math.max(0, after) * 1000 });
  };

  const work = async (): Promise<void> => {
    for (let item = await queue.take(); item !== undefined; item = await queue.take()) {
      const run = Symbol(item.key.name);
      const startedAt = clock.monotonic();
      const abort = new AbortController();
      running.set(run, { startedAt, abort });
      metrics.active(running.size);
      metrics.queueWaited((startedAt - item.readyAt) / 1000);
      const result = await reconcile(item, abort);
      running.delete(run);
      metrics.active(running.size);
      conclude(item, result, (clock.monotonic() - startedAt) / 1000);
      queue.done(item.key);
    }
  };

  const resync = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await clock.sleep(jitter(RESYNC_MS, RESYNC_JITTER, random()), stopping.signal);
      if (stopping.signal.aborted) return;
      for (const { metadata } of view.all(controller.resource)) {
        queue.add({ namespace: metadata.namespace ?? "", name: metadata.name }, { priority: PRIORITY_BACKGROUND });
      }
    }
  };

  return {
    start: () => {
      workers ??= Promise.all([...Array.from({ length: controller.concurrency }, work), resync()]);
    },
    stop: async (graceMs) => {
      queue.shutDown();
      stopping.abort();
      for (const { abort } of running.values()) abort.abort();
      const grace = new AbortController();
      await Promise.race([workers, clock.sleep(graceMs, grace.signal)]);
      grace.abort();
      return running.size;
    },
    longestRunMs: () =>
      [...running.values()].reduce((longest, { startedAt }) => Math.max(longest, clock.monotonic() - startedAt), 0),
  };
}

/** Eight hex digits that tell the log lines of one reconcile. */
function newId(random: () => number): string {
  return Math.floor(random() * 0x1_0000_0000)
    .toString(16)
    .padStart(8, "0");
}
