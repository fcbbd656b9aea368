import type { Clock } from "../lib/core/clock.ts";
import type { KubeClient } from "../lib/kube/client.ts";
import { createEventLoopMonitor, type EventLoopMonitor } from "../lib/node/event-loop.ts";
import type { Logger } from "../lib/node/logger.ts";
import type { Metrics } from "../lib/node/metrics.ts";
import { assembleController } from "./assembly.ts";
import { createCacheMetrics } from "./cache-metrics.ts";
import { createHealth, type Health, notServed } from "./health.ts";
import { createCache, type KubeCache } from "./kube/cache.ts";
import { createLeadership, type Leadership, type LeaseTimes } from "./leadership.ts";
import type { ControllerLoop } from "./runtime/controller.ts";
import { createRunnableGroup, type Runnable, type RunnableGroup } from "./runtime/runnable.ts";
import type { Controller } from "./runtime/types.ts";

/** What a replica is made of. */
export interface ReplicaOptions {
  readonly client: KubeClient;
  readonly controllers: readonly Controller[];
  /** What else the process runs; none unless told. */
  readonly runnables?: readonly Runnable[];
  /** Namespace of the Lease. */
  readonly namespace: string;
  /** Identity in the Lease: unique among processes that live at the same time. */
  readonly identity: string;
  /** Namespaces that the caches hold; empty for all. */
  readonly watchNamespaces: readonly string[];
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** Shorter times, for tests. */
  readonly lease?: LeaseTimes;
  /** See `WatchOptions`; shorter for tests. */
  readonly inactivityMs?: number;
}

/** The parts of one replica, connected; `manager.ts` starts and stops them in order. */
export interface Replica {
  readonly cache: KubeCache;
  readonly leadership: Leadership;
  readonly loops: readonly ControllerLoop[];
  /** Runnables that only the leader runs; the Lease starts them with the loops. */
  readonly leaders: RunnableGroup;
  readonly everywhere: RunnableGroup;
  readonly eventLoop: EventLoopMonitor;
  readonly health: Health;
}

/** Nothing runs yet. @param onEnd the replica must stop: its Lease is lost, or a runnable failed */
export function createReplica(options: ReplicaOptions, onEnd: (reason: string) => void): Replica {
  const { clock, random, log, metrics } = options;
  const cacheMetrics = createCacheMetrics(metrics);
  const cache = createCache({
    client: options.client,
    namespaces: options.watchNamespaces,
    clock,
    random,
    log,
    onFault: cacheMetrics.fault,
    onNamespace: (namespace, what) => {
      if (what === "away") log.warn({ namespace }, notServed(namespace));
      else log.info({ namespace }, `namespace ${namespace} is served again`);
    },
    ...(options.inactivityMs === undefined ? {} : { inactivityMs: options.inactivityMs }),
  });
  const groupOf = (needs: Runnable["needs"]): RunnableGroup => {
    const runnables = (options.runnables ?? []).filter((runnable) => runnable.needs === needs);
    return createRunnableGroup({ runnables, onFailure: onEnd, sleep: clock.sleep, log });
  };
  const leaders = groupOf("leader");
  const everywhere = groupOf("every");
  const leadership = createLeadership({
    ...options,
    onGained: () => {
      for (const loop of loops) loop.start();
      leaders.start();
    },
    onLost: (reason) => {
      // At once, not after what a stop does before: no side effect may begin under a right that is gone.
      for (const loop of loops) loop.abort();
      onEnd(reason);
    },
  });
  const loops = options.controllers.map((controller) =>
    assembleController(controller, { ...options, cache, lease: leadership.lease }),
  );
  cacheMetrics.show(cache);
  const eventLoop = createEventLoopMonitor();
  const stall = metrics.gauge("shieldx_event_loop_stall_seconds");
  metrics.beforeScrape(() => stall.set({}, eventLoop.longestStallMs() / 1000));
  const health = createHealth({
    informers: cache.states,
    lease: leadership.lease,
    waitsFor: leadership.waitsFor,
    renewSeconds: leadership.renewSeconds,
    lostForMs: leadership.lostForMs,
    longestRunMs: () => Math.max(0, ...loops.map((loop) => loop.longestRunMs())),
    longestStallMs: eventLoop.longestStallMs,
    runnables: () => {
      const reasons = [everywhere, leaders].flatMap((group) => group.ready().reasons ?? []);
      return { ok: reasons.length === 0, reasons };
    },
  });
  return { cache, leadership, loops, leaders, everywhere, eventLoop, health };
}
