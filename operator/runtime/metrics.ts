import type { Metrics } from "../../lib/node/metrics.ts";
import type { Queue } from "./queue.ts";
import type { Action } from "./types.ts";

/** How a reconcile ended, as controller-runtime counts it. */
export type ReconcileResult = "success" | "error" | "requeue" | "requeue_after";

/** What the loop of one controller counts. */
export interface ControllerMetrics {
  reconciled(result: ReconcileResult, seconds: number): void;
  failed(how: "terminal" | "panic" | "timeout"): void;
  active(workers: number): void;
  queueAdded(): void;
  queueRetried(): void;
  /** A key has to wait because it ran too often of late. */
  queuePaced(): void;
  queueWaited(seconds: number): void;
  acted(action: Action["type"], result: "written" | "unchanged" | "failed"): void;
  /** Shows the queue's state at each scrape. */
  showQueue(queue: Pick<Queue, "state">, monotonic: () => number): void;
}

const RESULTS: readonly ReconcileResult[] = ["success", "error", "requeue", "requeue_after"];
const ACTIONS: readonly Action["type"][] = ["apply", "create", "delete", "patch", "event"];
/** controller-runtime's buckets for queues: 1 ns to 1000 s in powers of ten; below 1 ms tells nothing here. */
const QUEUE_BUCKETS_SECONDS = [0.001, 0.01, 0.1, 1, 10, 100, 1000];

/** Metrics of one controller. Each series starts at 0: otherwise Prometheus would not count the first failure. */
export function createControllerMetrics(
  metrics: Metrics,
  options: { readonly controller: string; readonly concurrency: number },
): ControllerMetrics {
  const { controller } = options;
  const queueLabels = { name: controller, controller };
  const reconciles = metrics.counter("controller_runtime_reconcile_total");
  const errors = metrics.counter("controller_runtime_reconcile_errors_total");
  const times = metrics.histogram("controller_runtime_reconcile_time_seconds");
  const active = metrics.gauge("controller_runtime_active_workers");
  const adds = metrics.counter("workqueue_adds_total");
  const retries = metrics.counter("workqueue_retries_total");
  const waits = metrics.histogram("workqueue_queue_duration_seconds", QUEUE_BUCKETS_SECONDS);
  const works = metrics.histogram("workqueue_work_duration_seconds", QUEUE_BUCKETS_SECONDS);
  const paced = metrics.counter("shieldx_reconciles_paced_total");
  const actions = metrics.counter("shieldx_plan_actions_total");
  const failures = {
    terminal: metrics.counter("controller_runtime_terminal_reconcile_errors_total"),
    panic: metrics.counter("controller_runtime_reconcile_panics_total"),
    timeout: metrics.counter("controller_runtime_reconcile_timeouts_total"),
  };

  metrics.gauge("controller_runtime_max_concurrent_reconciles").set({ controller }, options.concurrency);
  for (const result of RESULTS) reconciles.inc({ controller, result }, 0);
  for (const counter of [errors, paced, ...Object.values(failures)]) counter.inc({ controller }, 0);
  for (const counter of [adds, retries]) counter.inc(queueLabels, 0);
  for (const action of ACTIONS) {
    for (const result of ["written", "unchanged", "failed"]) actions.inc({ controller, action, result }, 0);
  }
  times.zero({ controller });
  for (const histogram of [waits, works]) histogram.zero(queueLabels);
  active.set({ controller }, 0);

  return {
    reconciled: (result, seconds) => {
      reconciles.inc({ controller, result });
      if (result === "error") errors.inc({ controller });
      times.observe({ controller }, seconds);
      works.observe(queueLabels, seconds);
    },
    failed: (how) => failures[how].inc({ controller }),
    active: (workers) => active.set({ controller }, workers),
    queueAdded: () => adds.inc(queueLabels),
    queueRetried: () => retries.inc(queueLabels),
    queuePaced: () => paced.inc({ controller }),
    queueWaited: (seconds) => waits.observe(queueLabels, seconds),
    acted: (action, result) => actions.inc({ controller, action, result }),
    showQueue: (queue, monotonic) => {
      const depth = metrics.gauge("workqueue_depth");
      const unfinished = metrics.gauge("workqueue_unfinished_work_seconds");
      const longest = metrics.gauge("workqueue_longest_running_processor_seconds");
      const waiting = metrics.gauge("shieldx_queue_delayed_keys");
      metrics.beforeScrape(() => {
        const state = queue.state();
        const ages = state.processing.map((startedAt) => (monotonic() - startedAt) / 1000);
        for (const [priority, size] of state.depth) depth.set({ ...queueLabels, priority: String(priority) }, size);
        waiting.set({ controller }, state.waiting);
        const total = ages.reduce((sum, age) => sum + age, 0);
        unfinished.set(queueLabels, total);
        longest.set(queueLabels, Math.max(0, ...ages));
      });
    },
  };
}
