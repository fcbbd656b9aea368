import { expect, it } from "@jest/globals";
import { createManualClock } from "../lib/core/manual-clock.ts";
import { silentLogger } from "../lib/node/logger.ts";
import { createMetrics } from "../lib/node/metrics.ts";
import { WIDGET } from "../testkit/widget.ts";
import { createControllerLoop } from "./runtime/controller.ts";
import { createControllerMetrics } from "./runtime/metrics.ts";
import { createQueue } from "./runtime/queue.ts";
import { startWhenFilled } from "./start-gate.ts";

// Goal: a loop that waits for its lists begins once they are there, once, and never after the Lease was lost.

function open() {
  const clock = createManualClock();
  const queue = createQueue({ clock });
  const filled = Promise.withResolvers<undefined>();
  const runs: string[] = [];
  let sources = 0;
  const source = { name: "counted", run: async () => void (sources += 1) };
  const loop = createControllerLoop({
    controller: {
      name: "widget",
      resource: WIDGET,
      watches: [],
      concurrency: 1,
      sources: [source],
      reconcile: async ({ name }) => {
        runs.push(name);
        return {};
      },
    },
    view: {
      availability: () => "served",
      byIndex: () => [],
      get: () => undefined,
      list: () => [],
      all: () => [],
      include: () => undefined,
    },
    live: { list: async () => ({ resourceVersion: "1", items: [] }) },
    queue,
    execute: async () => ({ written: 0 }),
    status: { write: async () => "unchanged", stated: () => ({}) },
    lease: { epoch: () => 1 },
    metrics: createControllerMetrics(createMetrics(), { controller: "widget", concurrency: 1 }),
    clock,
    random: () => 0.5,
    log: silentLogger,
  });
  const view = { missing: () => ["widgets"], whenFilled: () => filled.promise };
  queue.add({ namespace: "ns", name: "a" });
  const fill = (): Promise<void> => {
    filled.resolve(undefined);
    return clock.advance(1_000);
  };
  return { gate: startWhenFilled(loop, view, silentLogger), runs, sources: () => sources, fill, clock };
}

it("begins when everything is listed, workers and sources once", async () => {
  const { gate, runs, sources, fill, clock } = open();
  gate.start();
  gate.start();
  await clock.advance(1_000);
  expect(runs).toEqual([]);
  await fill();
  expect(runs).toEqual(["a"]);
  expect(sources()).toBe(1);
  await gate.stop(0);
});

it("stays at rest when the Lease was lost meanwhile, or before the start", async () => {
  for (const isBefore of [false, true]) {
    const { gate, runs, sources, fill } = open();
    if (isBefore) gate.abort();
    gate.start();
    gate.abort();
    await fill();
    expect(runs).toEqual([]);
    expect(sources()).toBe(0);
    expect(await gate.stop(0)).toEqual([]);
  }
});
