import { describe, expect, it } from "@jest/globals";
import { OperatorError } from "../../lib/core/errors.ts";
import { createManualClock, type ManualClock } from "../../lib/core/manual-clock.ts";
import { createLogger, type Logger, silentLogger } from "../../lib/node/logger.ts";
import { createMetrics, type Metrics } from "../../lib/node/metrics.ts";
import { WIDGET, widget } from "../../testkit/widget.ts";
import type { CacheView } from "../kube/cache.ts";
import { type ControllerLoop, createControllerLoop } from "./controller.ts";
import { createControllerMetrics } from "./metrics.ts";
import { createQueue, type Queue } from "./queue.ts";
import { type Controller, type Key, PRIORITIES, type ReconcileContext, type Result } from "./types.ts";

// Goal: every way a reconcile can end leads to the right next run, and nothing it does harms another key.

const key = (name: string): Key => ({ namespace: "default", name });

interface Loop {
  readonly clock: ManualClock;
  readonly queue: Queue;
  readonly loop: ControllerLoop;
  readonly metrics: Metrics;
  /** Monotonic times of the runs. */
  readonly runs: number[];
  value(metric: string): Promise<number>;
}

interface Given {
  readonly deadlineMs?: number;
  readonly controller?: Partial<Controller>;
  readonly epoch?: () => number | undefined;
  readonly log?: Logger;
}

function start(reconcile: (context: ReconcileContext, key: Key) => Promise<Result>, given: Given = {}): Loop {
  const clock = createManualClock();
  const metrics = createMetrics();
  const controllerMetrics = createControllerMetrics(metrics, { controller: "widget", concurrency: 2 });
  const queue = createQueue({ clock, onAdd: controllerMetrics.queueAdded, onRetry: controllerMetrics.queueRetried });
  const runs: number[] = [];
  const view: CacheView = {
    byIndex: () => [],
    availability: () => "served",
    get: () => undefined,
    list: () => [],
    all: function* () {
      yield widget("known") as never;
    },
    include: () => undefined,
  };
  const loop = createControllerLoop({
    controller: {
      name: "widget",
      resource: WIDGET,
      watches: [],
      concurrency: 2,
      ...(given.deadlineMs === undefined ? {} : { deadlineSeconds: given.deadlineMs / 1_000 }),
      ...given.controller,
      reconcile: (item, context) => {
        runs.push(clock.monotonic());
        return reconcile(context, item);
      },
    },
    view,
    live: { list: async () => ({ resourceVersion: "1", items: [] }) },
    queue,
    execute: async () => ({ written: 0 }),
    status: { write: async () => "unchanged", stated: () => ({}) },
    lease: { epoch: given.epoch ?? (() => 1) },
    metrics: controllerMetrics,
    clock,
    random: () => 0.5,
    log: given.log ?? silentLogger,
  });
  loop.start();
  const value = async (metric: string): Promise<number> => {
    const line = (await metrics.text()).split("\n").find((text) => text.startsWith(metric));
    return Number(line?.split(" ").at(-1));
  };
  return { clock, queue, loop, metrics, runs, value };
}

const reconcileTotal = (result: string) => `controller_runtime_reconcile_total{controller="widget",result="${result}"}`;

describe("the next run", () => {
  it("comes with the next event after a success", async () => {
    const { clock, queue, loop, runs, value } = start(async () => ({}));
    queue.add(key("a"));
    await clock.advance(3_600_000);
    expect(runs).toEqual([0]);
    expect(await value(reconcileTotal("success"))).toBe(1);
    await loop.stop(0);
  });

  it("comes after the time that the result asks for", async () => {
    const { clock, queue, loop, runs, value } = start(async () => ({ requeueAfterSeconds: 30 }));
    queue.add(key("a"));
    await clock.advance(61_000);
    expect(runs).toEqual([0, 30_000, 60_000]);
    expect(await value(reconcileTotal("requeue_after"))).toBe(3);
    await loop.stop(0);
  });

  it("comes after 5 ms·2ⁿ while it fails; one success resets that", async () => {
    let failures = 12;
    const { clock, queue, loop, runs } = start(async () => {
      failures -= 1;
      if (failures >= 0) throw new OperatorError("KUBE_FAILED", "injected");
      return {};
    });
    queue.add(key("a"));
    await clock.advance(30_000);
    const gaps = runs.slice(1).map((at, index) => at - (runs[index] ?? 0));
    expect(gaps).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240]);
    failures = 1;
    queue.add(key("a"));
    await clock.advance(4);
    expect(runs).toHaveLength(14);
    await clock.advance(1);
    expect(runs).toHaveLength(15);
    await loop.stop(0);
  });

  // The reconcile of every kind returns the failure of a write beside what its plan asked for.
  describe.each([
    ["thrown", (error: Error): Promise<Result> => Promise.reject(error)],
    ["returned", (error: Error): Promise<Result> => Promise.resolve({ error })],
  ])("after a failure that is %s", (_how, fail) => {
    it("grows from 5 ms", async () => {
      const { clock, queue, loop, runs, value } = start(() => fail(new OperatorError("KUBE_FAILED", "injected")));
      queue.add(key("a"));
      await clock.advance(40);
      expect(runs).toEqual([0, 5, 15, 35]);
      expect(await value(reconcileTotal("error"))).toBe(4);
      expect(await value("controller_runtime_reconcile_errors_total")).toBe(4);
      expect(await value("workqueue_retries_total")).toBe(4);
      expect(await value("controller_runtime_reconcile_panics_total")).toBe(0);
      await loop.stop(0);
    });

    it("trial 5a: never waits longer than a minute for what was refused: nobody tells of a larger quota", async () => {
      let refused = 30;
      const { clock, queue, loop, runs } = start(() => {
        refused -= 1;
        const error = new OperatorError("KUBE_FORBIDDEN", 'pods "bank-0-0" is forbidden: exceeded quota');
        return refused > 0 ? fail(error) : Promise.resolve({});
      });
      queue.add(key("a"));
      await clock.advance(3_600_000);
      const gaps = runs.slice(1).map((at, index) => at - (runs[index] ?? 0));
      expect(runs).toHaveLength(30);
      expect(Math.max(...gaps)).toBe(60_000);
      await loop.stop(0);
    });

    it("waits as long as the failure says", async () => {
      const { clock, queue, loop, runs } = start(() =>
        fail(new OperatorError("KUBE_THROTTLED", "injected", { retryAfterSeconds: 7 })),
      );
      queue.add(key("a"));
      await clock.advance(15_000);
      expect(runs).toEqual([0, 7_000, 14_000]);
      await loop.stop(0);
    });

    it("comes with the next event when only another input helps, and is counted as terminal", async () => {
      const { clock, queue, loop, runs, value } = start(() => fail(new OperatorError("KUBE_INVALID", "injected")));
      queue.add(key("a"));
      await clock.advance(3_600_000);
      expect(runs).toEqual([0]);
      expect(await value("controller_runtime_terminal_reconcile_errors_total")).toBe(1);
      expect(await value(reconcileTotal("error"))).toBe(1);
      await loop.stop(0);
    });

    it("grows and is counted as a panic when nobody expected it", async () => {
      const { clock, queue, loop, runs, value } = start(() => fail(new TypeError("injected")));
      queue.add(key("a"));
      await clock.advance(14);
      expect(runs).toEqual([0, 5]);
      expect(await value("controller_runtime_reconcile_panics_total")).toBe(2);
      await loop.stop(0);
    });
  });

  it("comes after the time that was asked for beside a terminal failure, and the backoff is forgotten", async () => {
    const ends: Result[] = [
      { error: new OperatorError("KUBE_FAILED", "injected") },
      { error: new OperatorError("KUBE_FAILED", "injected") },
      { error: new OperatorError("KUBE_INVALID", "injected"), requeueAfterSeconds: 30 },
      { error: new OperatorError("KUBE_FAILED", "injected") },
    ];
    const { clock, queue, loop, runs, value } = start(async () => ends.shift() ?? {});
    queue.add(key("a"));
    await clock.advance(60_000);
    expect(runs).toEqual([0, 5, 15, 30_015, 30_020]);
    expect(await value(reconcileTotal("error"))).toBe(4);
    expect(await value("controller_runtime_terminal_reconcile_errors_total")).toBe(1);
    await loop.stop(0);
  });

  it("comes with the backoff, not after the time that was asked for, while trying again may help", async () => {
    const { clock, queue, loop, runs } = start(async () => ({
      error: new OperatorError("KUBE_FAILED", "injected"),
      requeueAfterSeconds: 0.001,
    }));
    queue.add(key("a"));
    await clock.advance(14);
    expect(runs).toEqual([0, 5]);
    await loop.stop(0);
  });

  it("comes when a step is due after a failure of steps alone, at the time that was asked for, and with each event", async () => {
    const error = new OperatorError("KUBE_FORBIDDEN", "injected");
    const ends: Result[] = [
      { error, steps: { isNews: true, retryAfterSeconds: 40 }, requeueAfterSeconds: 60 },
      { error, steps: { isNews: false, retryAfterSeconds: 39 } },
      { error, steps: { isNews: true }, requeueAfterSeconds: 60 },
    ];
    const { clock, queue, loop, runs, value } = start(async () => ends.shift() ?? {});
    queue.add(key("a"));
    await clock.advance(1_000);
    // No backoff of the key holds the event up.
    queue.add(key("a"));
    await clock.advance(200_000);
    expect(runs).toEqual([0, 1_000, 40_000, 100_000]);
    // Told and counted once, when it failed.
    expect(await value(reconcileTotal("error"))).toBe(2);
    await loop.stop(0);
  });

  it("never comes by itself after a terminal failure", async () => {
    const { clock, queue, loop, runs, value } = start(async () => {
      throw new OperatorError("KUBE_INVALID", "injected");
    });
    queue.add(key("a"));
    await clock.advance(3_600_000);
    expect(runs).toEqual([0]);
    expect(await value("controller_runtime_terminal_reconcile_errors_total")).toBe(1);
    expect(await value(reconcileTotal("error"))).toBe(1);
    queue.add(key("a"));
    await clock.advance(0);
    expect(runs).toHaveLength(2);
    await loop.stop(0);
  });

  it("comes when the failure says so, and keeps the backoff as it was", async () => {
    const { clock, queue, loop, runs } = start(async () => {
      throw new OperatorError("KUBE_THROTTLED", "injected", { retryAfterSeconds: 7 });
    });
    queue.add(key("a"));
    await clock.advance(15_000);
    expect(runs).toEqual([0, 7_000, 14_000]);
    await loop.stop(0);
  });

  it("comes a quarter of an hour later at the latest, whatever a proxy in maintenance says", async () => {
    const { clock, queue, loop, runs } = start(async () => {
      throw new OperatorError("KUBE_THROTTLED", "injected", { retryAfterSeconds: 86_400 });
    });
    queue.add(key("a"));
    await clock.advance(1_000_000);
    expect(runs).toEqual([0, 1_000_000]);
    await loop.stop(0);
  });

  it("comes with a pause also when the failure asks for none, as some proxies do", async () => {
    const { clock, queue, loop, runs } = start(async () => {
      // A key that runs without end would never let the clock go on.
      if (runs.length > 1_000) queue.shutDown();
      throw new OperatorError("KUBE_THROTTLED", "injected", { retryAfterSeconds: 0 });
    });
    queue.add(key("a"));
    await clock.advance(10_000);
    expect(runs.length).toBeLessThanOrEqual(20);
    await loop.stop(0);
  });

  it.each([Number.NaN, -1, undefined])(
    "comes after 5 s when the failure names a time that is none (%d)",
    async (seconds) => {
      const { clock, queue, loop, runs } = start(async () => {
        throw new OperatorError(
          "KUBE_THROTTLED",
          "injected",
          seconds === undefined ? {} : { retryAfterSeconds: seconds },
        );
      });
      queue.add(key("a"));
      await clock.advance(10_000);
      expect(runs).toEqual([0, 5_000, 10_000]);
      await loop.stop(0);
    },
  );

  it("comes for every known key after ten hours", async () => {
    const { clock, loop, runs } = start(async () => ({}));
    await clock.advance(36_000_001);
    expect(runs).toEqual([36_000_000]);
    await loop.stop(0);
  });
});

describe("the next run's priority", () => {
  it("is that of the run, unless its result says otherwise", async () => {
    const priorities: number[] = [];
    const { clock, queue, loop } = start(async (_context, { name }) =>
      name === "as it is" ? { requeueAfterSeconds: 1 } : { requeueAfterSeconds: 1, priority: PRIORITIES.resync },
    );
    const add = queue.add;
    queue.add = (item, how) => {
      priorities.push(how?.priority ?? Number.NaN);
      add(item, how);
    };
    queue.add(key("as it is"), { priority: PRIORITIES.start });
    queue.add(key("other"), { priority: PRIORITIES.start });
    await clock.advance(0);
    expect(priorities.slice(2)).toEqual([-100, -50]);
    await loop.stop(0);
  });
});

describe("an urgent key", () => {
  const { urgent } = PRIORITIES;

  it("is run while all workers are held up, one at a time, and no other key is", async () => {
    const gates = new Map<string, () => void>();
    const names: string[] = [];
    const { clock, queue, loop } = start(async (_context, { name }) => {
      names.push(name);
      await new Promise<void>((resolve) => gates.set(name, resolve));
      return {};
    });
    for (const name of ["slow1", "slow2", "slow3"]) queue.add(key(name));
    await clock.advance(60_000);
    expect(names).toEqual(["slow1", "slow2"]);
    queue.add(key("rollback"), { priority: urgent });
    queue.add(key("rollback2"), { priority: urgent });
    await clock.advance(0);
    expect(names).toEqual(["slow1", "slow2", "rollback"]);
    gates.get("rollback")?.();
    await clock.advance(0);
    expect(names).toEqual(["slow1", "slow2", "rollback", "rollback2"]);
    for (const name of ["slow1", "rollback2", "slow2"]) gates.get(name)?.();
    await clock.advance(0);
    expect(names.at(-1)).toBe("slow3");
    gates.get("slow3")?.();
    await loop.stop(0);
  });

  it("that fails is tried again every 5 s at least; what it asks for after a success is not urgent", async () => {
    const priorities: number[] = [];
    let isDown = true;
    const { clock, queue, loop, runs } = start(async () => {
      if (isDown) throw new OperatorError("KUBE_UNREACHABLE", "injected");
      return { requeueAfterSeconds: 30 };
    });
    const { add } = queue;
    queue.add = (item, how) => {
      priorities.push(how?.priority ?? Number.NaN);
      add(item, how);
    };
    queue.add(key("rollback"), { priority: urgent });
    await clock.advance(600_000);
    const gaps = runs.slice(1).map((at, index) => at - (runs[index] ?? 0));
    expect(gaps.slice(0, 11)).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5000]);
    expect(Math.max(...gaps)).toBe(5_000);
    isDown = false;
    await clock.advance(5_000);
    expect(priorities).toEqual([50, 0]);
    await loop.stop(0);
  });
});

describe("a time that is none", () => {
  it.each([Number.NaN, -1, Number.POSITIVE_INFINITY])("(%d s) is a broken invariant, not a loop", async (seconds) => {
    const { clock, queue, loop, runs, value } = start(async () => ({ requeueAfterSeconds: seconds }));
    queue.add(key("a"));
    await clock.advance(14);
    expect(runs).toEqual([0, 5]);
    expect(await value("controller_runtime_reconcile_panics_total")).toBe(2);
    await loop.stop(0);
  });
});

describe("the epoch", () => {
  it("of a run is that of its beginning; the fence closes when it is another one, or none", async () => {
    let epoch: number | undefined = 7;
    const seen: unknown[] = [];
    const ask = (fence: () => void): string => {
      try {
        fence();
        return "open";
      } catch (error) {
        return (error as OperatorError).code;
      }
    };
    const { clock, queue, loop } = start(
      async (context) => {
        seen.push(context.epoch, ask(context.fence));
        epoch = 8;
        seen.push(context.epoch, ask(context.fence));
        epoch = undefined;
        seen.push(ask(context.fence));
        return {};
      },
      { epoch: () => epoch },
    );
    queue.add(key("a"));
    await clock.advance(0);
    expect(seen).toEqual([7, "open", 7, "LEASE_LOST", "LEASE_LOST"]);
    await loop.stop(0);
  });

  it("is missing when this replica does not lead: nothing is run", async () => {
    const { clock, queue, loop, runs, value } = start(async () => ({}), { epoch: () => undefined });
    queue.add(key("a"));
    await clock.advance(0);
    expect(runs).toEqual([]);
    expect(await value(reconcileTotal("error"))).toBe(1);
    await loop.stop(0);
  });

  it("ends with an abort, at once", async () => {
    let aborted = false;
    const { clock, queue, loop, runs } = start(async ({ signal }) => {
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      aborted = true;
      throw new OperatorError("ABORTED", "stopped");
    });
    queue.add(key("a"));
    await clock.advance(0);
    loop.abort();
    queue.add(key("b"));
    await clock.advance(0);
    expect([aborted, runs.length]).toEqual([true, 1]);
    loop.start();
    expect(await loop.stop(0)).toEqual([]);
  });
});

it("marks all that is logged on behalf of a run with its id and key, whoever logs", async () => {
  const lines: string[] = [];
  const root = createLogger("info", {}, { write: (line) => void lines.push(line) });
  const { clock, queue, loop } = start(
    async () => {
      root.info({ part: "client" }, "somewhere deep");
      return {};
    },
    { log: root },
  );
  queue.add(key("a"));
  await clock.advance(0);
  root.info({}, "outside");
  const [inside, outside] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(inside).toMatchObject({ part: "client", namespace: "default", name: "a", reconcileId: "80000000" });
  expect(outside).not.toHaveProperty("reconcileId");
  await loop.stop(0);
});

describe("sources", () => {
  it("ask for keys while the loop runs; one that breaks is begun again", async () => {
    let begun = 0;
    const ended: boolean[] = [];
    const names: string[] = [];
    const { clock, loop } = start(
      async (_context, { name }) => {
        names.push(name);
        return {};
      },
      {
        controller: {
          sources: [
            {
              name: "breaks",
              run: async ({ add, keys, signal }) => {
                begun += 1;
                add(key(`start ${begun}`));
                if (begun < 3) throw new Error("injected");
                for (const known of keys()) add(known, PRIORITIES.resync);
                await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
                ended.push(true);
              },
            },
          ],
        },
      },
    );
    await clock.advance(799);
    expect(names).toEqual(["start 1"]);
    await clock.advance(1 + 1_600);
    expect(names).toEqual(["start 1", "start 2", "start 3", "known"]);
    await loop.stop(0);
    expect(ended).toEqual([true]);
    expect(clock.pendingSleeps()).toBe(0);
  });
});

describe("a broken reconcile", () => {
  it("fails its key, is counted, and stops nobody else", async () => {
    const { clock, queue, loop, value } = start(async (_context, { name }) => {
      if (name === "bad") throw new TypeError("cannot read properties of undefined");
      return {};
    });
    queue.add(key("bad"));
    queue.add(key("good"));
    await clock.advance(1);
    expect(await value("controller_runtime_reconcile_panics_total")).toBe(1);
    expect(await value(reconcileTotal("success"))).toBe(1);
    await clock.advance(5);
    expect(await value("controller_runtime_reconcile_panics_total")).toBe(2);
    await loop.stop(0);
  });

  it("is aborted at its deadline and tried again", async () => {
    const { clock, queue, loop, runs, value } = start(
      async ({ signal }) => {
        await new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(new OperatorError("ABORTED", "stopped")));
        });
        return {};
      },
      { deadlineMs: 1_000 },
    );
    queue.add(key("a"));
    await clock.advance(999);
    expect(loop.longestRunMs()).toBe(999);
    await clock.advance(1);
    expect(await value("controller_runtime_reconcile_timeouts_total")).toBe(1);
    await clock.advance(5);
    expect(runs).toEqual([0, 1_005]);
    await loop.stop(0);
  });
});

describe("workers", () => {
  it("run different keys at once, up to their number, and a key never twice", async () => {
    const ends: (() => void)[] = [];
    const names: string[] = [];
    const { clock, queue, loop, value } = start(async (_context, { name }) => {
      names.push(name);
      await new Promise<void>((resolve) => ends.push(resolve));
      return {};
    });
    for (const name of ["a", "a", "b", "c"]) queue.add(key(name));
    await clock.advance(0);
    queue.add(key("a"));
    await clock.advance(0);
    expect(names).toEqual(["a", "b"]);
    expect(await value("controller_runtime_active_workers")).toBe(2);
    ends[0]?.();
    await clock.advance(0);
    // "c" waited longer than the second run of "a".
    expect(names).toEqual(["a", "b", "c"]);
    for (const end of ends) end();
    await clock.advance(0);
    expect(names).toEqual(["a", "b", "c", "a"]);
    for (const end of ends) end();
    await loop.stop(0);
  });
});

describe("a stop", () => {
  it("starts nothing more, aborts what runs, and waits for its end", async () => {
    let aborted = false;
    let end: () => void = () => undefined;
    const { clock, queue, loop, runs, value } = start(async ({ signal }) => {
      signal.addEventListener("abort", () => {
        aborted = true;
      });
      await new Promise<void>((resolve) => {
        end = resolve;
      });
      return {};
    });
    queue.add(key("a"));
    await clock.advance(0);
    queue.add(key("b"), { afterMs: 1 });
    const stopped = loop.stop(30_000);
    expect(aborted).toBe(true);
    await clock.advance(100);
    expect(runs).toHaveLength(1);
    end();
    expect(await stopped).toEqual([]);
    expect(await value(reconcileTotal("error"))).toBe(0);
    expect(clock.pendingSleeps()).toBe(0);
  });

  it("does not wait longer than the grace time", async () => {
    const { clock, queue, loop } = start(() => new Promise(() => undefined));
    queue.add(key("a"));
    await clock.advance(0);
    const stopped = loop.stop(30_000);
    await clock.advance(30_000);
    expect(await stopped).toEqual(["widget default/a"]);
  });

  it("begins no run for a key that a worker was handed at that very moment", async () => {
    const { clock, queue, loop, runs } = start(async () => ({}));
    await clock.advance(0);
    queue.add(key("a"));
    loop.abort();
    await clock.advance(1_000);
    expect(runs).toEqual([]);
    expect(await loop.stop(0)).toEqual([]);
  });

  it("names a source that goes on after its time: it still acts under the Lease", async () => {
    const source = { name: "deaf", run: () => new Promise<void>(() => undefined) };
    const { clock, loop } = start(async () => ({}), { controller: { sources: [source] } });
    await clock.advance(0);
    const stopped = loop.stop(30_000);
    await clock.advance(30_000);
    expect(await stopped).toEqual(["widget source deaf"]);
  });
});

describe("metrics", () => {
  it("start at 0 for every label, and show the queue", async () => {
    const metrics = createMetrics();
    const queue = createQueue({ clock: createManualClock() });
    const shown = createControllerMetrics(metrics, { controller: "widget", concurrency: 1 });
    shown.showQueue(queue, () => 0);
    queue.add(key("a"), { priority: -100 });
    const text = await metrics.text();
    for (const result of ["success", "error", "requeue", "requeue_after"])
      expect(text).toContain(`${reconcileTotal(result)} 0`);
    expect(text).toContain('workqueue_depth{name="widget",controller="widget",priority="-100"} 1');
    for (const zero of [
      'workqueue_depth{name="widget",controller="widget",priority="0"}',
      'workqueue_depth{name="widget",controller="widget",priority="-50"}',
      ...["adds_total", "retries_total", "unfinished_work_seconds", "longest_running_processor_seconds"].map(
        (name) => `workqueue_${name}{name="widget",controller="widget"}`,
      ),
      ...["queue_duration_seconds_count", "work_duration_seconds_count"].map(
        (name) => `workqueue_${name}{name="widget",controller="widget"}`,
      ),
      ...[
        "reconcile_errors_total",
        "terminal_reconcile_errors_total",
        "reconcile_panics_total",
        "reconcile_timeouts_total",
        "reconcile_time_seconds_count",
        "active_workers",
      ].map((name) => `controller_runtime_${name}{controller="widget"}`),
      'shieldx_reconciles_paced_total{controller="widget"}',
      'shieldx_queue_delayed_keys{controller="widget"}',
    ]) {
      expect(text).toContain(`${zero} 0\n`);
    }
    expect(text).toContain('controller_runtime_max_concurrent_reconciles{controller="widget"} 1');
    expect(text).toContain('shieldx_plan_actions_total{controller="widget",action="apply",result="written"} 0');
  });
});
