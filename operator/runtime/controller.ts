import type { Clock } from "../../lib/core/clock.ts";
import { isOperatorError, OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { type Logger, withLogContext } from "../../lib/node/logger.ts";
import type { CacheView } from "../kube/cache.ts";
import type { StatusWriter } from "../kube/status.ts";
import type { Execute } from "./execute.ts";
import { feed } from "./feed.ts";
import { ownKey } from "./mapping.ts";
import type { ControllerMetrics } from "./metrics.ts";
import type { Queue, QueueItem } from "./queue.ts";
import { timerSource } from "./sources.ts";
import { afterSecondsOf, longestWaitMs } from "./step-retries.ts";
import {
  type Controller,
  type Key,
  PRIORITIES,
  type Priority,
  type ReconcileContext,
  type Result,
  type SourceContext,
} from "./types.ts";

/*
 * The loop of one controller: take a key, reconcile it from memory, decide when to look again.
 *
 *   result              the key's backoff   next run
 *   {}                  reset               with the next event
 *   requeueAfter        reset               after that time
 *   error, backoff      grows               5 ms·2ⁿ
 *   error, after        kept                after the error's own time
 *   error, terminal     reset               with the next event, for only a change of input helps; or after requeueAfter
 *   error of steps      reset               with the next event, after requeueAfter, or when a step is due (`step-retries.ts`)
 *   stopped             kept                never: the process ends, or another replica goes on
 */

export interface ControllerLoopOptions {
  readonly controller: Controller;
  readonly view: CacheView;
  readonly live: ReconcileContext["live"];
  readonly queue: Queue;
  readonly execute: Execute;
  readonly status: StatusWriter;
  /** The operator's Lease; no epoch while this replica does not lead. */
  readonly lease: { epoch(): number | undefined };
  readonly metrics: ControllerMetrics;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

/** A controller at work. */
export interface ControllerLoop {
  /** Starts the workers and sources; returns at once. */
  start(): void;
  /** Starts no further reconcile and aborts the running ones, now. */
  abort(): void;
  /** `abort`, and waits for the end of what runs, `graceMs` at most. @returns what did not end in time, by name */
  stop(graceMs: number): Promise<readonly string[]>;
  /** Milliseconds that the longest running reconcile has taken so far; 0 at rest. */
  longestRunMs(): number;
}

/** A reconcile that is going on. */
interface Run {
  readonly key: Key;
  readonly startedAt: number;
  readonly abort: AbortController;
}

/** No reconcile waits for anything that takes long: one that takes longer than this is stuck. */
const DEADLINE_SECONDS = 120;
/** Why a timer is aborted that is not needed any more. Without a reason, each abort would make an exception with a stack. */
const IN_TIME = "the reconcile ended in time";
/** Everything is looked at again this often, spread, in case an event was lost in a way that nobody thought of. */
const RESYNC = timerSource({ name: "resync", everySeconds: 10 * 3_600 });

/** Nothing runs before `start`. */
export function createControllerLoop(options: ControllerLoopOptions): ControllerLoop {
  const { controller, queue, metrics, clock } = options;
  const log = options.log.child({ controller: controller.name });
  const stopping = new AbortController();
  const running = new Set<Run>();
  const feeding = new Set<string>();
  let workers: Promise<unknown> | undefined;

  const work = async (atLeast?: Priority): Promise<void> => {
    for (let item = await queue.take(atLeast); item !== undefined; item = await queue.take(atLeast)) {
      // The queue handed the key out just before the abort, which did not know of this run.
      if (stopping.signal.aborted) return queue.done(item.key);
      const run: Run = { key: item.key, startedAt: clock.monotonic(), abort: new AbortController() };
      running.add(run);
      metrics.active(running.size);
      metrics.queueWaited((run.startedAt - item.readyAt) / 1_000);
      const result = await reconcile(run, stopping.signal, { ...options, log });
      running.delete(run);
      metrics.active(running.size);
      conclude({ item, result, seconds: (clock.monotonic() - run.startedAt) / 1_000 }, stopping.signal, options);
      queue.done(item.key);
    }
  };

  const abort = (): void => {
    queue.shutDown();
    stopping.abort();
    for (const run of running) run.abort.abort();
  };

  return {
    start: () => {
      if (workers !== undefined || stopping.signal.aborted) return;
      const context = sourceContextOf(options, stopping.signal);
      const sources = [RESYNC, ...(controller.sources ?? [])].map(async (source) => {
        feeding.add(source.name);
        await feed(source, context);
        feeding.delete(source.name);
      });
      // The one more is for what is urgent: slow reconciles of other keys must not hold that up.
      const loops = [...Array.from({ length: controller.concurrency }, () => work()), work(PRIORITIES.urgent)];
      workers = Promise.all([...loops, ...sources]);
    },
    abort,
    stop: async (graceMs) => {
      abort();
      const grace = new AbortController();
      await Promise.race([workers, clock.sleep(graceMs, grace.signal)]);
      grace.abort();
      return [
        ...[...running].map(({ key }) => `${controller.name} ${key.namespace}/${key.name}`),
        ...[...feeding].map((name) => `${controller.name} source ${name}`),
      ];
    },
    longestRunMs: () =>
      [...running].reduce((longest, { startedAt }) => Math.max(longest, clock.monotonic() - startedAt), 0),
  };
}

/** Runs one reconcile under its deadline; a thrown value becomes an error that says how to go on. */
async function reconcile(run: Run, stopping: AbortSignal, options: ControllerLoopOptions): Promise<Ended> {
  const { controller, metrics, clock, log } = options;
  const { key } = run;
  const seconds = controller.deadlineSeconds ?? DEADLINE_SECONDS;
  const timer = new AbortController();
  let late = false;
  void clock.sleep(seconds * 1_000, timer.signal).then(() => {
    late = !timer.signal.aborted;
    if (late) run.abort.abort();
  });
  const failed = (thrown: unknown): OperatorError => {
    if (late) {
      metrics.failed("timeout");
      const error = new OperatorError("RECONCILE_TIMEOUT", `no end within ${seconds} s`, { cause: thrown });
      log.error({ code: error.code, error: error.message }, "reconcile failed");
      return error;
    }
    if (stopping.aborted) return new OperatorError("ABORTED", "stopped", { cause: thrown });
    if (!isOperatorError(thrown)) {
      // A broken invariant of ours: the key fails, the process and the other keys go on.
      metrics.failed("panic");
      log.error({ error: String((thrown as Error | undefined)?.stack ?? thrown) }, "reconcile panicked");
      return toOperatorError(thrown);
    }
    if (thrown.retry === "terminal") metrics.failed("terminal");
    log.warn({ code: thrown.code, error: thrown.message, retry: thrown.retry }, "reconcile failed");
    return thrown;
  };
  // Also what cache, client and lease write on behalf of this run carries its id.
  return withLogContext({ namespace: key.namespace, name: key.name, reconcileId: newId(options.random) }, async () => {
    try {
      const { error, ...result } = checked(await controller.reconcile(key, contextOf(run, options)));
      if (error === undefined) return result;
      // Told and counted when it failed; nothing was sent since.
      if (result.steps?.isNews === false && !late && !stopping.aborted)
        return { ...result, error: toOperatorError(error) };
      return { ...result, error: failed(error) };
    } catch (thrown) {
      return { error: failed(thrown) };
    } finally {
      timer.abort(IN_TIME);
    }
  });
}

function contextOf({ abort }: Run, options: ControllerLoopOptions): ReconcileContext {
  const { lease, log } = options;
  const { signal } = abort;
  const epoch = lease.epoch();
  if (epoch === undefined) throw new OperatorError("LEASE_LOST", "this replica does not lead any more");
  return {
    cache: options.view,
    live: options.live,
    clock: options.clock,
    log,
    signal,
    epoch,
    fence: () => {
      if (lease.epoch() === epoch) return;
      throw new OperatorError("LEASE_LOST", `this replica does not lead under epoch ${epoch} any more`);
    },
    execute: (owner, plan) => options.execute({ owner, plan, signal, log }),
    statedStatus: options.status.stated,
    patchStatus: async (owner: KubeObject, status) => {
      if ((await options.status.write(owner, status, signal)) === "written") log.info({}, "status written");
    },
  };
}

/** @throws TypeError for NaN, infinite and negative times: the queue would hand the key out never, or without a pause */
function checked(result: Result): Result {
  const { requeueAfterSeconds: after } = result;
  if (after === undefined || (Number.isFinite(after) && after >= 0)) return result;
  throw new TypeError(`the controller asks to be run again after ${after} s`);
}

/** A reconcile that has ended, well or not. */
type Ended = Omit<Result, "error"> & { readonly error?: OperatorError };

/** One reconcile that has ended. */
interface Conclusion {
  readonly item: QueueItem;
  readonly result: Ended;
  readonly seconds: number;
}

function conclude(
  { item, result, seconds }: Conclusion,
  stopping: AbortSignal,
  { queue, metrics }: Pick<ControllerLoopOptions, "queue" | "metrics">,
): void {
  const { key } = item;
  const isUrgent = item.priority === PRIORITIES.urgent;
  // To look again some time is not urgent any more; to try again is.
  const { error, requeueAfterSeconds: after, priority = isUrgent ? PRIORITIES.live : item.priority } = result;
  const { steps } = result;
  if (error !== undefined && steps !== undefined && error.code !== "RECONCILE_TIMEOUT") {
    if (error.code === "ABORTED" && stopping.aborted) return;
    metrics.reconciled(steps.isNews ? "error" : "requeue_after", seconds);
    queue.forget(key);
    if (after !== undefined) queue.add(key, { priority, afterMs: after * 1_000 });
    if (steps.retryAfterSeconds !== undefined) queue.addRetry(key, steps.retryAfterSeconds * 1_000, item.priority);
    return;
  }
  if (error !== undefined) {
    if (error.code === "ABORTED" && stopping.aborted) return;
    metrics.reconciled("error", seconds);
    if (error.retry === "backoff") return void queue.addRateLimited(key, item.priority, longestWaitMs(error, isUrgent));
    if (error.retry === "after") return queue.addAfter(key, afterSecondsOf(error) * 1_000, item.priority);
  } else {
    metrics.reconciled(after === undefined ? "success" : "requeue_after", seconds);
  }
  // Also after a terminal error: what the plan wanted to look at again may change by itself.
  queue.forget(key);
  if (after !== undefined) queue.add(key, { priority, afterMs: after * 1_000 });
}

function sourceContextOf(options: ControllerLoopOptions, signal: AbortSignal): SourceContext {
  const { controller, view, live, queue, clock, random } = options;
  return {
    cache: view,
    live,
    keys: function* () {
      for (const object of view.all(controller.resource)) yield* ownKey(object, view);
    },
    add: (key, priority) => queue.add(key, priority === undefined ? {} : { priority }),
    clock,
    random,
    log: options.log.child({ controller: controller.name }),
    signal,
  };
}

/** Eight hex digits that tell the log lines of one reconcile. */
function newId(random: () => number): string {
  return Math.floor(random() * 0x1_0000_0000)
    .toString(16)
    .padStart(8, "0");
}
