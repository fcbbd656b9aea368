import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { systemClock } from "../lib/core/clock.ts";
import { OperatorError } from "../lib/core/errors.ts";
import { RESOURCES } from "../lib/kube/types.ts";
import { silentLogger } from "../lib/node/logger.ts";
import { createMetrics, type Metrics } from "../lib/node/metrics.ts";
import { type FakeKube, startFakeKube } from "../testkit/fake-kube.ts";
import { createScaledClock } from "../testkit/scaled-clock.ts";
import { eventually } from "../testkit/wait.ts";
import { configMap, WIDGET, widget } from "../testkit/widget.ts";
import { createManager, LEASE_NAME, type Manager, type ManagerOptions } from "./manager.ts";
import type { Runnable } from "./runtime/runnable.ts";
import { createChannel, timerSource } from "./runtime/sources.ts";
import { type Controller, type Key, PRIORITIES } from "./runtime/types.ts";

// Goal: what runs beside the controllers, and the controllers themselves, begin and end in the order that manager.ts draws.

const LEASE = { namespace: "default", name: LEASE_NAME };

let fake: FakeKube;
let stops: (() => Promise<number>)[];
beforeEach(async () => {
  fake = await startFakeKube();
  stops = [];
});
afterEach(async () => {
  for (const stop of stops) await stop();
  await fake.close();
});

interface Started {
  readonly manager: Manager;
  readonly metrics: Metrics;
  readonly exited: Promise<number>;
  stop(): Promise<number>;
}

function start(change: Partial<ManagerOptions> = {}): Started {
  const abort = new AbortController();
  const metrics = createMetrics();
  const client = fake.client();
  const manager = createManager({
    client,
    controllers: [controllerOf()],
    namespace: "default",
    identity: "a",
    watchNamespaces: [],
    port: "none",
    metrics,
    clock: systemClock,
    random: () => 0.5,
    log: silentLogger,
    // Long enough for a busy machine, short enough for a test that waits for its end.
    lease: { durationSeconds: 5, renewSeconds: 4, retrySeconds: 0.2 },
    ...change,
  });
  const exited = manager.run(abort.signal).finally(() => client.close());
  const stop = (): Promise<number> => {
    abort.abort();
    return exited;
  };
  stops.push(stop);
  return { manager, metrics, exited, stop };
}

function controllerOf(change: Partial<Controller> = {}): Controller {
  return { name: "widget", resource: WIDGET, watches: [], concurrency: 1, reconcile: async () => ({}), ...change };
}

const holder = async (): Promise<string | undefined> =>
  (await fake.client().find(RESOURCES.Lease, LEASE))?.spec?.holderIdentity;

/** Notes when it begins and ends, and what was so then. */
function traced(name: string, needs: Runnable["needs"], trace: string[]): Runnable {
  return {
    name,
    needs,
    run: async (signal) => {
      trace.push(`${name} begins, ${fake.watches() > 0 ? "watching" : "not watching"}`);
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      trace.push(
        `${name} ends, Lease of "${(await holder()) ?? ""}", ${fake.watches() > 0 ? "watching" : "not watching"}`,
      );
    },
  };
}

describe("runnables", () => {
  it("of every replica enclose the caches, those of the leader lie within the Lease", async () => {
    const trace: string[] = [];
    const runnables = [traced("webhooks", "every", trace), traced("collector", "leader", trace)];
    const { stop } = start({ runnables });
    await eventually("both run", () => trace.length === 2);
    const standby = start({ runnables: [traced("second", "leader", trace)], identity: "b" });
    await eventually("it stands by", () => standby.manager.ready().ok);
    expect(await standby.stop()).toBe(0);
    expect(await stop()).toBe(0);
    expect(trace).toEqual([
      "webhooks begins, not watching",
      "collector begins, watching",
      'collector ends, Lease of "a", watching',
      'webhooks ends, Lease of "", not watching',
    ]);
  });

  it.each(["every", "leader"] as const)("that fail end the process in order with code 1 (%s)", async (needs) => {
    let fail: (error: Error) => void = () => undefined;
    const failing: Runnable = {
      name: "failing",
      needs,
      run: () =>
        new Promise((_resolve, reject) => {
          fail = reject;
        }),
    };
    const { manager, exited } = start({ runnables: [failing] });
    await eventually("it leads", () => manager.isLeader());
    fail(new OperatorError("CONFIG_INVALID", "the port is taken"));
    expect(await exited).toBe(1);
    // In order: the Lease was given back.
    expect(await holder()).toBe("");
  });

  it("that do not end in time keep the Lease from being given back: it expires", async () => {
    const deaf: Runnable = { name: "deaf", needs: "leader", run: () => new Promise(() => undefined) };
    const { manager, stop } = start({ runnables: [deaf], graceMs: 50 });
    await eventually("it leads", () => manager.isLeader());
    expect(await stop()).toBe(1);
    expect(await holder()).toBe("a");
  });

  it("that fail before the caches are filled keep the replica from taking part in the Lease", async () => {
    fake.inject({ path: /widgets/, times: Number.POSITIVE_INFINITY, action: { type: "hang" } });
    const failing: Runnable = { name: "failing", needs: "every", run: () => Promise.reject(new Error("injected")) };
    expect(await start({ runnables: [failing] }).exited).toBe(1);
    expect(await holder()).toBeUndefined();
  });

  it("take part in readiness", async () => {
    let ok = false;
    const runnable: Runnable = {
      ...traced("webhooks", "every", []),
      ready: () => ({ ok, reasons: ok ? [] : ["no certificate yet"] }),
    };
    const { manager } = start({ runnables: [runnable] });
    await eventually("it leads", () => manager.isLeader());
    expect(manager.ready()).toEqual({ ok: false, reasons: ["webhooks: no certificate yet"] });
    ok = true;
    expect(manager.ready().ok).toBe(true);
  });
});

describe("the Lease", () => {
  it("that cannot be renewed makes the leader unready before it is lost; then its runs are aborted", async () => {
    await fake.client().create(WIDGET, widget("w"));
    const seen: string[] = [];
    const controller = controllerOf({
      reconcile: async (_key, { signal, epoch, fence }) => {
        seen.push(`epoch ${epoch}`);
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
        try {
          fence();
          seen.push("fence is open");
        } catch (error) {
          seen.push((error as OperatorError).code);
        }
        throw new OperatorError("ABORTED", "stopped");
      },
    });
    const { manager, exited } = start({ controllers: [controller] });
    await eventually("it runs", () => seen.length === 1);
    expect(manager.ready()).toEqual({ ok: true, reasons: ["leading"] });
    fake.inject({ path: /leases/, times: Number.POSITIVE_INFINITY, action: { type: "reset" } });
    await eventually("unready", () => manager.isLeader() && !manager.ready().ok);
    expect(manager.ready().reasons?.[0]).toMatch(/^lease: not renewed for [23] s, ends in [12] s$/);
    expect(await exited).toBe(1);
    expect(seen).toEqual(["epoch 1", "LEASE_LOST"]);
    expect(manager.ready().ok).toBe(false);
    fake.heal();
  });

  it("that somebody else touches is renewed all the same, and the slow way is counted", async () => {
    const { manager, metrics } = start();
    await eventually("it leads", () => manager.isLeader());
    expect(await metrics.text()).toContain('leader_election_slowpath_total{name="shieldx-controller"} 0');
    expect(await metrics.text()).toMatch(/^shieldx_event_loop_stall_seconds \d/m);
    await fake
      .client()
      .patch(RESOURCES.Lease, LEASE, { format: "merge", patch: { metadata: { labels: { touched: "1" } } } });
    await eventually("counted", async () => /^leader_election_slowpath_total\{.*\} 1$/m.test(await metrics.text()));
    expect(manager.isLeader()).toBe(true);
  });
});

describe("a controller", () => {
  it("that wakes itself with every run is bounded, and shows in a metric", async () => {
    await fake.client().create(WIDGET, widget("hot"));
    let runs = 0;
    const controller = controllerOf({
      pace: { burst: 5, intervalSeconds: 1_000 },
      reconcile: async (_key, { execute, cache }) => {
        runs += 1;
        const owner = cache.get(WIDGET, "default", "hot");
        if (owner === undefined) return {};
        const patch = { metadata: { annotations: { run: String(runs) } } };
        await execute(owner, {
          actions: [{ type: "patch", resource: WIDGET, namespace: "default", name: "hot", patch, note: "loop" }],
        });
        return {};
      },
    });
    const { metrics } = start({ controllers: [controller] });
    // A key that is delayed has no run before the interval has passed.
    await eventually("it was held back", async () =>
      (await metrics.text()).includes('shieldx_queue_delayed_keys{controller="widget"} 1'),
    );
    expect(runs).toBe(5);
    expect(await metrics.text()).toContain('shieldx_reconciles_paced_total{controller="widget"} 1');
  });

  it("hears of its channel and its timer", async () => {
    const channel = createChannel<string>("outside", (name) => [{ namespace: "default", name }]);
    const names: string[] = [];
    const timer = timerSource({
      name: "tick",
      everySeconds: 0.05,
      keys: () => [{ namespace: "default", name: "by timer" }],
    });
    const controller = controllerOf({
      sources: [channel.source, timer],
      reconcile: async ({ name }) => {
        names.push(name);
        return {};
      },
    });
    channel.push("pushed before");
    const { manager } = start({ controllers: [controller] });
    await eventually("it leads", () => manager.isLeader());
    channel.push("pushed");
    await eventually("all came", () => ["pushed before", "pushed", "by timer"].every((name) => names.includes(name)));
  });

  it("runs what is urgent within milliseconds, while its workers are held up and the key has used up its pace", async () => {
    await fake.client().create(WIDGET, widget("slow"));
    const gate = Promise.withResolvers<object>();
    const delaysMs: number[] = [];
    let askedAt = 0;
    let isHeldUp = false;
    const urgent = createChannel("verdicts", (name: string) => [{ namespace: "default", name }], PRIORITIES.urgent);
    const live = createChannel("news", (name: string) => [{ namespace: "default", name }]);
    const reconcile = async ({ name }: Key): Promise<object> => {
      if (name === "slow") {
        isHeldUp = true;
        return gate.promise;
      }
      delaysMs.push(systemClock.monotonic() - askedAt);
      return {};
    };
    const pace = { burst: 1, intervalSeconds: 60 };
    start({ controllers: [controllerOf({ pace, sources: [urgent.source, live.source], reconcile })] });
    await eventually("its worker is held up", () => isHeldUp);
    live.push("rollback");
    for (let wake = 1; wake <= 5; wake += 1) {
      askedAt = systemClock.monotonic();
      urgent.push("rollback");
      await eventually("it has run", () => delaysMs.length === wake);
    }
    // Some milliseconds, and a busy machine on top.
    expect(Math.max(...delaysMs)).toBeLessThan(250);
    gate.resolve({});
  });

  it("whose map cannot read an object goes on with the others", async () => {
    await fake.client().create(RESOURCES.ConfigMap, configMap("bad", {}));
    const names: string[] = [];
    const controller = controllerOf({
      watches: [
        {
          resource: RESOURCES.ConfigMap,
          keys: ({ metadata }) => {
            if (metadata.name === "bad") throw new TypeError("unreadable");
            return [{ namespace: "default", name: metadata.name }];
          },
        },
      ],
      reconcile: async ({ name }) => {
        names.push(name);
        return {};
      },
    });
    const { manager, metrics } = start({ controllers: [controller] });
    await eventually("it leads", () => manager.isLeader());
    await fake.client().create(RESOURCES.ConfigMap, configMap("good", {}));
    await eventually("the other one came", () => names.includes("good"));
    expect(manager.ready().ok).toBe(true);
    expect(await metrics.text()).toContain('controller_runtime_reconcile_panics_total{controller="widget"} 1');
  });
});

describe("a kind that cannot be listed", () => {
  const { ConfigMap } = RESOURCES;
  const waiting = (runs: string[]): Controller =>
    controllerOf({
      name: "waiting",
      watches: [{ resource: ConfigMap, keys: ({ metadata }) => [{ namespace: "default", name: metadata.name }] }],
      reconcile: async ({ name }) => {
        runs.push(name);
        return {};
      },
    });
  const working = (runs: string[]): Controller =>
    controllerOf({
      name: "working",
      reconcile: async ({ name }) => {
        runs.push(name);
        return {};
      },
    });
  const refuse = (status: number): (() => void) =>
    fake.inject({ path: /configmaps/, times: Number.POSITIVE_INFINITY, action: { type: "answer", status } });
  const quick = createScaledClock(100);

  it.each([
    [403, "KUBE_FORBIDDEN"],
    [404, "KUBE_NOT_FOUND"],
  ] as const)("stops who watches it, nobody else, and only until it can (%s)", async (status, code) => {
    await fake.client().create(WIDGET, widget("w"));
    const [held, free]: [string[], string[]] = [[], []];
    const heal = refuse(status);
    const { manager, metrics, stop } = start({ controllers: [waiting(held), working(free)] });
    await eventually("it leads", () => manager.isLeader());
    await eventually("the other one works", () => free.includes("w"));
    expect(manager.ready().ok).toBe(false);
    expect(manager.ready().reasons).toEqual([
      expect.stringMatching(new RegExp(`^configmaps: cannot be listed: ${code} GET /api/v1/configmaps: .`)),
    ]);
    expect(await metrics.text()).toMatch(
      /shieldx_informer_faults_total\{informer="configmaps",fault="refused"\} [1-9]/,
    );
    expect(held).toEqual([]);
    heal();
    await eventually("it begins by itself", () => held.includes("w"));
    await eventually("ready", () => manager.ready().ok);
    expect(await stop()).toBe(0);
  });

  it("does not hold up a stand-by, and says so there too", async () => {
    refuse(403);
    const leader = start({ controllers: [waiting([])] });
    await eventually("it leads", () => leader.manager.isLeader());
    const runs: string[] = [];
    const standby = start({ controllers: [waiting([]), working(runs)], identity: "b" });
    await eventually("named", () => standby.manager.ready().reasons?.[0]?.includes("cannot be listed") === true);
    await fake.client().create(WIDGET, widget("w"));
    expect(await leader.stop()).toBe(0);
    await eventually("it takes over", () => runs.includes("w"));
  });

  it("lets the replica stop while a controller waits for it", async () => {
    refuse(404);
    const runs: string[] = [];
    const { manager, stop } = start({ controllers: [waiting(runs)] });
    await eventually("it leads", () => manager.isLeader());
    expect(await stop()).toBe(0);
    expect(await holder()).toBe("");
    expect(runs).toEqual([]);
  });

  it("starts nobody who got it after the Lease was lost", async () => {
    await fake.client().create(WIDGET, widget("w"));
    const heal = refuse(403);
    const runs: string[] = [];
    const { manager, exited } = start({ controllers: [waiting(runs)] });
    await eventually("it leads", () => manager.isLeader());
    const spec = { holderIdentity: "usurper", leaseTransitions: 90 };
    await fake.client().patch(RESOURCES.Lease, LEASE, { format: "merge", patch: { spec } });
    await eventually("the loss is noticed", () => !manager.isLeader());
    heal();
    expect(await exited).toBe(1);
    expect(runs).toEqual([]);
  });

  it("is told from a server that does not answer: without one there is no start", async () => {
    refuse(403);
    fake.inject({ path: /widgets/, times: Number.POSITIVE_INFINITY, action: { type: "reset" } });
    // Two minutes pass in about a second.
    const { exited } = start({ controllers: [waiting([])], clock: quick });
    expect(await exited).toBe(1);
    expect(await holder()).toBeUndefined();
  });
});
