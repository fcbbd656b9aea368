import { GROUP } from "../crds/group.ts";
import type { Clock } from "../lib/core/clock.ts";
import { OperatorError, toOperatorError } from "../lib/core/errors.ts";
import type { KubeClient } from "../lib/kube/client.ts";
import { createLeaseHolder, type LeaseHolder } from "../lib/kube/lease.ts";
import { apiVersionOf } from "../lib/kube/paths.ts";
import { RESOURCES, type ResourceType } from "../lib/kube/types.ts";
import { type ProbeResult, startProbeServer } from "../lib/node/http-server.ts";
import { createLifecycle } from "../lib/node/lifecycle.ts";
import type { Logger } from "../lib/node/logger.ts";
import type { Metrics } from "../lib/node/metrics.ts";
import { createApplier } from "./kube/apply.ts";
import { createCache, type KubeCache } from "./kube/cache.ts";
import { createEventRecorder } from "./kube/events.ts";
import { createStatusWriter } from "./kube/status.ts";
import { type ControllerLoop, createControllerLoop } from "./runtime/controller.ts";
import { createExecutor } from "./runtime/execute.ts";
import { createControllerMetrics } from "./runtime/metrics.ts";
import { createQueue } from "./runtime/queue.ts";
import type { Controller } from "./runtime/types.ts";
import { connectWatches } from "./runtime/watch.ts";

/*
 * Start:  probes and metrics → caches (also in a standby, so that it takes over warm) → Lease → workers.
 * Stop:   workers (no new run, 30 s for running ones) → Lease given back → caches → probes. Exit code 0.
 * Loss:   the Lease is gone while workers run → they are aborted and the process ends with 1: a fresh start has no
 *         memory that could be wrong. Until they end, no write passes the fence.
 */

export interface ManagerOptions {
  readonly client: KubeClient;
  readonly controllers: readonly Controller[];
  /** Namespace of the Lease. */
  readonly namespace: string;
  /** Identity in the Lease: unique among processes that live at the same time. */
  readonly identity: string;
  /** Namespaces that the caches hold; empty for all. */
  readonly watchNamespaces: readonly string[];
  /** Port of probes and metrics; 0 for any. */
  readonly port: number;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** Shorter times, for tests. */
  readonly lease?: {
    readonly durationSeconds?: number;
    readonly renewSeconds?: number;
    readonly retrySeconds?: number;
  };
  /** See `WatchOptions`; shorter for tests. */
  readonly inactivityMs?: number;
}

/** One replica of the operator. */
export interface Manager {
  /** Runs until the signal aborts or the Lease is lost. @returns exit code: 0 after a clean stop, 1 otherwise */
  run(signal: AbortSignal): Promise<number>;
  /** Port of probes and metrics once they listen. */
  port(): number | undefined;
  /** This replica leads. */
  isLeader(): boolean;
  /** Answer of `/readyz`: caches are full and alive. A standby is ready too. */
  ready(): ProbeResult;
}

/** Name of the Lease, and of its metric. */
export const LEASE_NAME = "shieldx-controller";
/** A first list that takes longer means: no permission, no CRD or no server. A restart says so again. */
const SYNC_TIMEOUT_MS = 120_000;
/** An informer without a sign of life for this long shows the past. */
const STALE_MS = 120_000;
/** Running reconciles may use this long after the stop signal. */
const GRACE_MS = 30_000;
/** After the loss of the Lease nothing they do counts any more; they only get time to let go. */
const LOSS_GRACE_MS = 2_000;
/** A reconcile ignores its deadline and its abort signal: only a new process helps. */
const STUCK_MS = 600_000;

const FAULTS = ["gone", "cut", "stalled", "garbage", "throttled", "refused", "failed"] as const;

/** Nothing runs before `run`. */
export function createManager(options: ManagerOptions): Manager {
  const { client, clock, random, log, metrics } = options;
  const lifecycle = createLifecycle(log);
  const leaderGauge = metrics.gauge("leader_election_master_status");
  const faults = metrics.counter("shieldx_informer_faults_total");
  leaderGauge.set({ name: LEASE_NAME }, 0);

  const cache = createCache({
    client,
    namespaces: options.watchNamespaces,
    clock,
    random,
    log,
    onFault: (informer, fault) => faults.inc({ informer, fault }),
    ...(options.inactivityMs === undefined ? {} : { inactivityMs: options.inactivityMs }),
  });
  let leading = false;
  let port: number | undefined;
  let lost: (reason: string) => void = () => undefined;

  const loops: ControllerLoop[] = [];
  const lease: LeaseHolder = createLeaseHolder({
    client,
    namespace: options.namespace,
    name: LEASE_NAME,
    identity: options.identity,
    clock,
    random,
    log,
    createIfMissing: true,
    ...options.lease,
    onHeld: (epoch) => {
      log.info({ epoch, identity: options.identity }, "leading");
      leading = true;
      leaderGauge.set({ name: LEASE_NAME }, 1);
      for (const loop of loops) loop.start();
    },
    onLost: (reason) => {
      leading = false;
      leaderGauge.set({ name: LEASE_NAME }, 0);
      lost(reason);
    },
  });
  for (const controller of options.controllers) loops.push(assemble(controller, { ...options, cache, lease }));
  for (const { informer } of cache.states()) {
    for (const fault of FAULTS) faults.inc({ informer, fault }, 0);
  }
  showCache(metrics, cache);

  const ready = (): ProbeResult => {
    const reasons = cache.states().flatMap((state) => {
      if (!state.synced) return [`${state.informer}: not listed yet`];
      return state.silentMs > STALE_MS ? [`${state.informer}: silent for ${Math.round(state.silentMs / 1000)} s`] : [];
    });
    return reasons.length === 0 ? { ok: true, reasons: [leading ? "leading" : "standing by"] } : { ok: false, reasons };
  };
  const live = (): ProbeResult => {
    const longest = Math.max(0, ...loops.map((loop) => loop.longestRunMs()));
    return longest < STUCK_MS ? { ok: true } : { ok: false, reasons: [`a reconcile runs for ${longest / 1000} s`] };
  };

  const run = async (signal: AbortSignal): Promise<number> => {
    const lossReason = new Promise<string>((resolve) => {
      lost = resolve;
    });
    const stopRequest = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    try {
      const probes = await startProbeServer({ port: options.port, live, ready, metrics, log });
      port = probes.port;
      lifecycle.defer("probes", () => probes.close());
      lifecycle.defer("caches", () => cache.stop());
      cache.start();
      await cache.waitForSync(SYNC_TIMEOUT_MS, signal);
      log.info({ informers: cache.states().length }, "caches are filled");
      lifecycle.defer("lease", () => lease.stop());
      const held = lease.run();
      lifecycle.defer("workers", async () => {
        const grace = leading ? GRACE_MS : LOSS_GRACE_MS;
        const left = await Promise.all(loops.map((loop) => loop.stop(grace)));
        const count = left.reduce((sum, unfinished) => sum + unfinished, 0);
        if (count > 0) throw new OperatorError("RECONCILE_TIMEOUT", `${count} reconciles did not end in time`);
      });
      const reason = await Promise.race([lossReason, stopRequest, held.then(() => "the lease loop ended")]);
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

  return { run, port: () => port, isLeader: () => lease.isHeld(), ready };
}

/** Builds the loop of one controller from its parts. */
function assemble(
  controller: Controller,
  parts: ManagerOptions & { readonly cache: KubeCache; readonly lease: LeaseHolder },
): ControllerLoop {
  const { client, cache, clock, random, lease } = parts;
  const log = parts.log.child({ controller: controller.name });
  const metrics = createControllerMetrics(parts.metrics, {
    controller: controller.name,
    concurrency: controller.concurrency,
  });
  const queue = createQueue({ clock, onAdd: metrics.queueAdded, onRetry: metrics.queueRetried });
  metrics.showQueue(queue, () => clock.monotonic());
  const view = cache.view();
  connectWatches(controller, view, queue);

  const watched = new Set([controller.resource, ...controller.watches.map((watch) => watch.resource)].map(kindOf));
  const types = new Map([...Object.values(RESOURCES), controller.resource].map((type) => [kindOf(type), type]));
  // Checked before every write: an event loop that stalled past the Lease must not write what it decided before.
  const fence = (): void => {
    if (!lease.isHeld()) throw new OperatorError("LEASE_LOST", "this replica does not lead any more");
  };
  const applier = createApplier({
    client,
    cache,
    view,
    clock,
    fence,
    isWatched: (type) => watched.has(kindOf(type)),
    typeOf: (object) => {
      const type = types.get(`${object.apiVersion}/${object.kind}`);
      if (type === undefined) throw new Error(`${object.apiVersion} ${object.kind} is not a kind that we write`);
      return type;
    },
  });
  const recorder = createEventRecorder({
    client,
    reportingController: `${GROUP}/${controller.name}`,
    reportingInstance: parts.identity,
    clock,
    log,
  });
  return createControllerLoop({
    controller,
    view,
    queue,
    execute: createExecutor({ applier, recorder, onAction: metrics.acted }),
    status: createStatusWriter({ client, cache, view, type: controller.resource, fence }),
    metrics,
    clock,
    random,
    log: parts.log,
  });
}

function kindOf(type: ResourceType): string {
  return `${apiVersionOf(type)}/${type.kind}`;
}

function showCache(metrics: Metrics, cache: KubeCache): void {
  const objects = metrics.gauge("shieldx_informer_objects");
  const silence = metrics.gauge("shieldx_informer_silence_seconds");
  const relists = metrics.counter("shieldx_informer_relists_total");
  const counted = new Map<string, number>();
  metrics.beforeScrape(() => {
    for (const state of cache.states()) {
      const { informer } = state;
      objects.set({ informer }, state.objects);
      silence.set({ informer }, state.silentMs / 1000);
      relists.inc({ informer }, state.relists - (counted.get(informer) ?? 0));
      counted.set(informer, state.relists);
    }
  });
}
