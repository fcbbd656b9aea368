import { GROUP } from "../crds/group.ts";
import type { Clock } from "../lib/core/clock.ts";
import { OperatorError } from "../lib/core/errors.ts";
import { createPace, type PaceLimits, unboundedPace } from "../lib/core/pace.ts";
import type { KubeClient } from "../lib/kube/client.ts";
import type { LeaseHolder } from "../lib/kube/lease.ts";
import { RESOURCES, type ResourceType } from "../lib/kube/types.ts";
import type { Logger } from "../lib/node/logger.ts";
import type { Metrics } from "../lib/node/metrics.ts";
import { createApplier } from "./kube/apply.ts";
import type { KubeCache } from "./kube/cache.ts";
import { createEventRecorder } from "./kube/events.ts";
import { createStatusWriter } from "./kube/status.ts";
import { type ControllerLoop, createControllerLoop } from "./runtime/controller.ts";
import { createExecutor } from "./runtime/execute.ts";
import { createControllerMetrics } from "./runtime/metrics.ts";
import { createQueue } from "./runtime/queue.ts";
import { createStepRetries } from "./runtime/step-retries.ts";
import type { Controller } from "./runtime/types.ts";
import { connectWatches } from "./runtime/watch.ts";
import { reconcileFilledOnly, startWhenFilled } from "./start-gate.ts";

/** What all controllers of a process share. */
export interface AssemblyParts {
  readonly client: KubeClient;
  readonly cache: KubeCache;
  readonly lease: Pick<LeaseHolder, "isHeld" | "epoch">;
  /** Name of this process in events. */
  readonly identity: string;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

/** 20: an edit causes about two runs, so ten edits in a row are not slowed down. 1 s: the interval of Cluster API. */
const DEFAULT_PACE: PaceLimits = { burst: 20, intervalSeconds: 1 };

/** 5: a verdict, what is found out right after it, and tries that fail. 1 s: as for everything else. */
const URGENT_PACE: PaceLimits = { burst: 5, intervalSeconds: 1 };

/** The loop of one controller, with a queue, a view, an applier and metrics of its own. Nothing runs before `start`. */
export function assembleController(controller: Controller, parts: AssemblyParts): ControllerLoop {
  const { client, cache, clock, random, lease } = parts;
  const log = parts.log.child({ controller: controller.name });
  const metrics = createControllerMetrics(parts.metrics, {
    controller: controller.name,
    concurrency: controller.concurrency,
  });
  const limits = controller.pace ?? DEFAULT_PACE;
  const queue = createQueue({
    clock,
    pace: limits === "unbounded" ? unboundedPace : createPace(limits, clock),
    urgentPace: createPace(URGENT_PACE, clock),
    onAdd: metrics.queueAdded,
    onRetry: metrics.queueRetried,
    onPaced: metrics.queuePaced,
  });
  metrics.showQueue(queue, () => clock.monotonic());
  const view = cache.view();
  connectWatches(controller, {
    view,
    queue,
    onPanic: (kind, error) => {
      metrics.failed("panic");
      log.error({ kind, error: String((error as Error | undefined)?.stack ?? error) }, "watch panicked");
    },
  });

  const watched = new Set([controller.resource, ...controller.watches.map((watch) => watch.resource)].map(kindOf));
  const types = new Map(
    [...Object.values(RESOURCES), ...controller.watches.map((watch) => watch.resource), controller.resource].map(
      (type) => [kindOf(type), type],
    ),
  );
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
    onTakenBack: ({ kind, metadata: { namespace, name } }, conflict) =>
      log.warn({ object: `${kind}/${name}`, namespace, conflict: conflict.message }, "fields of ours taken back"),
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
    fence,
    clock,
    log,
  });
  const loop = createControllerLoop({
    controller: reconcileFilledOnly(controller, view),
    view,
    live: client,
    queue,
    execute: createExecutor({
      applier,
      recorder,
      retries: createStepRetries(clock),
      onAction: ({ type }, result) => metrics.acted(type, result),
    }),
    status: createStatusWriter({ client, cache, view, type: controller.resource, fence }),
    lease,
    metrics,
    clock,
    random,
    log: parts.log,
  });
  return startWhenFilled(loop, view, log);
}

function kindOf(type: ResourceType): string {
  return `${type.apiVersion}/${type.kind}`;
}
