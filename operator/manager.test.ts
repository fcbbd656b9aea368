import { describe, expect, it } from "@jest/globals";
import { systemClock } from "../lib/core/clock.ts";
import { createKubeClient } from "../lib/kube/client.ts";
import { createTransport } from "../lib/kube/transport.ts";
import { silentLogger } from "../lib/node/logger.ts";
import { createMetrics } from "../lib/node/metrics.ts";
import { createManager } from "./manager.ts";
import { type FakeKube, startFakeKube } from "./testing/fake-kube.ts";
import { describeManagerContract } from "./testing/manager-contract.ts";
import { createScaledClock } from "./testing/scaled-clock.ts";
import { eventually } from "./testing/wait.ts";
import { WIDGET } from "./testing/widget.ts";

let fake: FakeKube;
describeManagerContract(
  async () => {
    fake = await startFakeKube();
    return {
      clock: systemClock,
      client: (onRequest) =>
        createKubeClient({
          transport: createTransport(fake.endpoint()),
          namespace: "default",
          userAgent: "shieldx/test",
          clock: systemClock,
          random: () => 0.5,
          onRequest,
        }),
    };
  },
  () => fake.close(),
);

describe("a server that goes away", () => {
  it("makes a replica unready after two minutes of silence, and ready again afterwards", async () => {
    const server = await startFakeKube();
    const metrics = createMetrics();
    const abort = new AbortController();
    const manager = createManager({
      client: server.client(),
      controllers: [{ name: "widget", resource: WIDGET, watches: [], concurrency: 1, reconcile: async () => ({}) }],
      namespace: "default",
      identity: "a",
      watchNamespaces: [],
      port: 0,
      metrics,
      // Two minutes pass in 120 ms, a watch's patience in 70.
      clock: createScaledClock(1_000),
      inactivityMs: 70,
      random: () => 0.5,
      log: silentLogger,
      // Far away: this is about reading.
      lease: { durationSeconds: 1_000_000, renewSeconds: 900_000, retrySeconds: 100_000 },
    });
    const exited = manager.run(abort.signal);
    await eventually("ready", () => manager.ready().ok);
    const heal = server.inject({ path: /widgets/, times: Number.POSITIVE_INFINITY, action: { type: "reset" } });
    server.cutWatches();
    await eventually("unready", () => !manager.ready().ok);
    expect(manager.ready().reasons?.[0]).toMatch(/^widgets\.test\.shieldx\.dev: silent for \d+ s$/);
    heal();
    await eventually("ready again", () => manager.ready().ok);
    abort.abort();
    expect(await exited).toBe(0);
    await server.close();
  });
});

describe("a start that cannot succeed", () => {
  it("ends with 1 when the port is taken", async () => {
    const server = await startFakeKube();
    const port = Number(new URL(server.server).port);
    const manager = createManager({
      client: server.client(),
      controllers: [],
      namespace: "default",
      identity: "a",
      watchNamespaces: [],
      port,
      metrics: createMetrics(),
      clock: systemClock,
      random: () => 0.5,
      log: silentLogger,
    });
    // The fake listens on 127.0.0.1 and the probes on all addresses: the port is taken on Linux either way.
    expect(await manager.run(new AbortController().signal)).toBe(1);
    await server.close();
  });
});
