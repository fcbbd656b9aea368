import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { RESOURCES } from "../lib/kube/types.ts";
import { silentLogger } from "../lib/node/logger.ts";
import { createMetrics } from "../lib/node/metrics.ts";
import { type FakeKube, startFakeKube, storeKey } from "../testkit/fake-kube.ts";
import { createScaledClock } from "../testkit/scaled-clock.ts";
import { eventually } from "../testkit/wait.ts";
import { configMap, WIDGET, widget } from "../testkit/widget.ts";
import { createManager } from "./manager.ts";
import type { Controller } from "./runtime/types.ts";

// Goal: a watched namespace that is not there, or may not be read, takes nothing from the others, and is served again by
// itself; while a part of it may be read, nothing in it is decided.

const { ConfigMap } = RESOURCES;

let fake: FakeKube;
let stops: (() => Promise<unknown>)[];
beforeEach(async () => {
  fake = await startFakeKube();
  stops = [];
  for (const namespace of ["here", "gone"]) put(namespace, "w");
});
afterEach(async () => {
  for (const stop of stops) await stop();
  await fake.close();
});

function put(namespace: string, name: string): void {
  fake.store.create(storeKey(WIDGET, namespace, name), widget(name, {}, { namespace }), "user");
  fake.store.create(storeKey(ConfigMap, namespace, name), configMap(name, {}), "user");
}

/** All that is asked of a namespace, or of a kind in it, is refused until the end. */
const refuse = (path: RegExp): (() => void) =>
  fake.inject({ path, times: Number.POSITIVE_INFINITY, action: { type: "answer", status: 403 } });

function start() {
  const abort = new AbortController();
  const client = fake.client();
  /** What was there, run by run. */
  const runs: string[] = [];
  const controller: Controller = {
    name: "widget",
    resource: WIDGET,
    watches: [{ resource: ConfigMap, keys: ({ metadata: { namespace = "", name } }) => [{ namespace, name }] }],
    concurrency: 1,
    reconcile: async ({ namespace, name }, { cache }) => {
      const has = (type: typeof WIDGET | typeof ConfigMap) => cache.get(type, namespace, name) !== undefined;
      runs.push(`${namespace}/${name} ${has(WIDGET) ? "widget" : "-"} ${has(ConfigMap) ? "map" : "-"}`);
      return {};
    },
  };
  const log: string[] = [];
  const note = (context: unknown, message: string) => void log.push(`${message} ${JSON.stringify(context)}`);
  const manager = createManager({
    client,
    controllers: [controller],
    namespace: "default",
    identity: "a",
    watchNamespaces: ["here", "gone"],
    port: "none",
    metrics: createMetrics(),
    // 45 s between two attempts pass in less than half a second.
    clock: createScaledClock(100),
    random: () => 0.5,
    log: { ...silentLogger, warn: note as never, info: note as never, child: () => silentLogger },
    lease: { durationSeconds: 1_000_000, renewSeconds: 900_000, retrySeconds: 100_000, unclaimedSeconds: 0 },
  });
  const exited = manager.run(abort.signal).finally(() => client.close());
  stops.push(() => (abort.abort(), exited));
  return { manager, runs, log };
}

const AWAY =
  "namespace gone is not served: it may not be read, so it was deleted, or the operator's Role and RoleBinding in it were; " +
  "it is served again within a minute once both are there";

describe("a watched namespace", () => {
  it("that may not be read at the start takes nothing from the others, and is served once it can be read", async () => {
    const heal = refuse(/namespaces\/gone\//);
    const { manager, runs, log } = start();
    await eventually("the other one is served", () => runs.includes("here/w widget map"));
    expect(manager.ready()).toEqual({ ok: true, reasons: ["leading", AWAY] });
    expect(runs.some((run) => run.startsWith("gone/"))).toBe(false);
    expect(log.filter((line) => line.startsWith(AWAY))).toHaveLength(1);
    heal();
    await eventually("it is served", () => runs.includes("gone/w widget map"), 20_000);
    expect(manager.ready()).toEqual({ ok: true, reasons: ["leading"] });
    expect(log.filter((line) => line.startsWith("namespace gone is served again"))).toHaveLength(1);
    expect(runs.filter((run) => run.startsWith("gone/") && run !== "gone/w widget map")).toEqual([]);
  });

  it("that goes away is forgotten, without a decision on half of it, and comes back", async () => {
    const { manager, runs } = start();
    await eventually("both are served", () => runs.length >= 2);
    runs.length = 0;
    const heal = refuse(/namespaces\/gone\//);
    fake.endWatches();
    await eventually("noticed", () => manager.ready().reasons?.includes(AWAY) === true, 20_000);
    put("here", "x");
    await eventually("the other one goes on", () => runs.includes("here/x widget map"));
    expect(runs.filter((run) => run.startsWith("gone/"))).toEqual([]);
    fake.store.remove(storeKey(ConfigMap, "gone", "w"), {});
    heal();
    await eventually("it is served as it is now", () => runs.includes("gone/w widget -"), 20_000);
    expect(runs.filter((run) => run.startsWith("gone/") && run !== "gone/w widget -")).toEqual([]);
  });

  it("of which one kind may not be read makes the replica unready, and is left alone", async () => {
    const heal = refuse(/namespaces\/gone\/configmaps/);
    const { manager, runs } = start();
    await eventually("the other one is served", () => runs.includes("here/w widget map"));
    expect(manager.ready()).toEqual({
      ok: false,
      reasons: [
        expect.stringMatching(/^configmaps in namespace gone: cannot be listed: KUBE_FORBIDDEN GET .*\/configmaps: /),
      ],
    });
    expect(runs.some((run) => run.startsWith("gone/"))).toBe(false);
    heal();
    await eventually("it is served", () => runs.includes("gone/w widget map"), 20_000);
    await eventually("ready", () => manager.ready().ok);
  });

  it("that is the only one and may not be read makes the replica unready", async () => {
    refuse(/namespaces\/(gone|here)\//);
    const { manager } = start();
    await eventually("told", () => manager.ready().reasons?.[0]?.includes("cannot be listed") === true);
    expect(manager.ready().ok).toBe(false);
  });
});
