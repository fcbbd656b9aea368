import { OperatorError, toOperatorError } from "../lib/core/errors.ts";
import { type ProbeResult, startProbeServer } from "../lib/node/http-server.ts";
import { createLifecycle, type Lifecycle } from "../lib/node/lifecycle.ts";
import type { Logger } from "../lib/node/logger.ts";
import type { NamedInformerState } from "./kube/cache.ts";
import { createReplica, type Replica, type ReplicaOptions } from "./replica.ts";

/*
 * Start:  probes and metrics → runnables of every replica → caches (also in a standby, so that it takes over warm)
 *         → Lease → runnables of the leader, and the workers of each controller whose caches are full.
 *         A kind that the server refuses to list, because it is not there or not allowed, holds up nothing but the
 *         workers that need it; a server that does not answer holds up the Lease, and after two minutes ends the start.
 * Stop:   workers (no new run, 30 s for running ones) and runnables of the leader → Lease given back (left to expire
 *         when one of them still runs) → caches
 *         → runnables of every replica → probes. Exit code 0.
 * Loss:   the Lease is gone while workers run → they are aborted and the process ends with 1: a fresh start has no
 *         memory that could be wrong. Until they end, no write passes the fence.
 * Failure of a runnable: a stop in the same order, and exit code 1.
 */

/** What a manager takes besides what its replica does. */
export interface ManagerOptions extends ReplicaOptions {
  /** Port of probes and metrics: 0 for any, "none" for no server at all. */
  readonly port: number | "none";
  /** Milliseconds that running reconciles and runnables have after the stop signal; 30 s unless told. */
  readonly graceMs?: number;
}

/** One replica of the operator. */
export interface Manager {
  /** Runs until the signal aborts or the Lease is lost. @returns exit code: 0 after a clean stop, 1 otherwise */
  run(signal: AbortSignal): Promise<number>;
  /** Port of probes and metrics once they listen. */
  port(): number | undefined;
  /** This replica leads. */
  isLeader(): boolean;
  /** Answer of `/readyz`: all caches are full and alive, a leader renews its Lease, the process gets to run. A standby is ready too. */
  ready(): ProbeResult;
}

export { LEASE_NAME } from "./leadership.ts";

/** A first list that has no answer for longer means: no server. A restart says so again. */
const SYNC_TIMEOUT_MS = 120_000;
/** controller-runtime's graceful shutdown timeout. */
const GRACE_MS = 30_000;
/** What has a limit of its own is not cut off before. */
const MARGIN_MS = 1_000;
/** Giving the Lease back takes two requests of two seconds at most; somebody may have touched it meanwhile. */
const LEASE_STOP_MS = 9_000;
/** After the loss of the Lease nothing they do counts any more; they only get time to let go. */
const LOSS_GRACE_MS = 2_000;

/** Nothing runs before `run`. */
export function createManager(options: ManagerOptions): Manager {
  const { log } = options;
  const ending = Promise.withResolvers<string>();
  const replica = createReplica(options, ending.resolve);
  let port: number | undefined;

  const run = async (signal: AbortSignal): Promise<number> => {
    const lifecycle = createLifecycle(log);
    const stopRequest = Promise.withResolvers<undefined>();
    if (signal.aborted) stopRequest.resolve(undefined);
    signal.addEventListener("abort", () => stopRequest.resolve(undefined), { once: true });
    try {
      port = await startServing(replica, lifecycle, options);
      const isAsked = AbortSignal.any([signal, lifecycle.signal]);
      const filled = replica.cache.waitForSync(SYNC_TIMEOUT_MS, isAsked).then(() => "filled" as const);
      const isFilled = (await Promise.race([filled, ending.promise])) === "filled";
      if (isFilled) {
        tellStates(replica.cache.states(), log);
        startLeading(replica, lifecycle, { end: ending.resolve, graceMs: options.graceMs ?? GRACE_MS });
      }
      const reason = await Promise.race([ending.promise, stopRequest.promise]);
      // A reason means that nobody asked for the stop.
      const failures = await lifecycle.stop(reason ?? "stop requested");
      return reason === undefined && failures === 0 ? 0 : 1;
    } catch (thrown) {
      const error = toOperatorError(thrown);
      const failures = await lifecycle.stop(error.message);
      if (error.code === "ABORTED" && signal.aborted) return failures === 0 ? 0 : 1;
      log.error({ code: error.code, error: error.message }, "cannot run");
      return 1;
    }
  };

  return { run, port: () => port, isLeader: () => replica.leadership.lease.isHeld(), ready: replica.health.ready };
}

/** Probes, runnables of every replica, caches. @returns the port of the probes */
async function startServing(
  { cache, eventLoop, everywhere, health }: Replica,
  lifecycle: Lifecycle,
  { port, metrics, log, graceMs = GRACE_MS }: ManagerOptions,
): Promise<number | undefined> {
  eventLoop.start();
  lifecycle.defer("event loop monitor", eventLoop.close);
  let opened: number | undefined;
  if (port !== "none") {
    const probes = await startProbeServer({ port, live: health.live, ready: health.ready, metrics, log });
    opened = probes.port;
    lifecycle.defer("probes", () => probes.close());
  }
  const endRunnables = async (): Promise<void> => assertEnded(await everywhere.stop(graceMs));
  lifecycle.defer("runnables of every replica", endRunnables, graceMs + MARGIN_MS);
  everywhere.start();
  lifecycle.defer("caches", () => cache.stop());
  cache.start();
  return opened;
}

function tellStates(states: readonly NamedInformerState[], log: Logger): void {
  const refused = states.filter(({ synced, optional }) => !synced && !optional);
  log.info({ informers: states.length - refused.length }, "caches are filled");
  for (const { informer, refused: error } of refused) {
    log.error({ informer, code: error?.code, error: error?.message }, "cannot be listed; who watches it has to wait");
  }
}

/** Takes part in the Lease; who holds it starts the workers (`replica.ts`). */
function startLeading(
  { leadership, leaders, loops }: Replica,
  lifecycle: Lifecycle,
  { end, graceMs }: { readonly end: (why: string) => void; readonly graceMs: number },
): void {
  let stillRunning = false;
  // While work under the Lease goes on it is not given back: others wait for its expiry, and by then this process has ended.
  lifecycle.defer("lease", () => leadership.lease.stop(stillRunning ? "expire" : "release"), LEASE_STOP_MS);
  leadership.lease.run().then(
    () => end("the lease loop ended"),
    (error: unknown) => end(toOperatorError(error).message),
  );
  const endWorkers = async (): Promise<void> => {
    const leftMs = leadership.lostForMs() === undefined ? graceMs : LOSS_GRACE_MS;
    const left = await Promise.all([leaders.stop(leftMs), ...loops.map((loop) => loop.stop(leftMs))]);
    stillRunning = left.flat().length > 0;
    assertEnded(left.flat());
  };
  lifecycle.defer("workers", endWorkers, graceMs + MARGIN_MS);
}

/** @throws OperatorError RECONCILE_TIMEOUT with the names of what went on after its time */
function assertEnded(names: readonly string[]): void {
  if (names.length === 0) return;
  throw new OperatorError("RECONCILE_TIMEOUT", `did not end in time: ${names.join(", ")}`);
}
