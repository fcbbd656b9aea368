import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, it } from "@jest/globals";
import { type ProbeResult, type ProbeServer, startMetricsServer, startProbeServer } from "./http-server.ts";
import { silentLogger } from "./logger.ts";
import { createMetrics } from "./metrics.ts";

// Goal: the kubelet and people get the truth and its reason, and nothing else is served.

let server: ProbeServer;
afterEach(() => server.close());

async function open(checks: { live?: () => ProbeResult; ready?: () => ProbeResult | Promise<ProbeResult> } = {}) {
  const metrics = createMetrics();
  metrics.counter("rest_client_requests_total").inc({ code: "200", method: "GET", host: "h" });
  server = await startProbeServer({
    port: 0,
    host: "127.0.0.1",
    live: checks.live ?? (() => ({ ok: true })),
    ready: checks.ready ?? (() => ({ ok: true })),
    metrics,
    log: silentLogger,
  });
  return async (path: string, method = "GET") => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
    return { status: response.status, text: await response.text() };
  };
}

describe("probes", () => {
  it("say yes with 200 and no with 503 and the reasons", async () => {
    const get = await open({ ready: () => ({ ok: false, reasons: ["pods: not listed yet"] }) });
    expect(await get("/healthz")).toEqual({ status: 200, text: "ok\n" });
    expect(await get("/readyz?verbose")).toEqual({ status: 503, text: "not ok\npods: not listed yet\n" });
  });

  it("that fail themselves answer 500 and keep the server alive", async () => {
    const get = await open({
      ready: () => {
        throw new Error("broken");
      },
    });
    expect((await get("/readyz")).status).toBe(500);
    expect((await get("/healthz")).status).toBe(200);
  });

  it("serve metrics, and nothing that was not asked for", async () => {
    const get = await open();
    expect((await get("/metrics")).text).toContain('rest_client_requests_total{code="200",method="GET",host="h"} 1');
    expect((await get("/")).status).toBe(404);
    expect((await get("/healthz", "POST")).status).toBe(405);
  });

  it("keep nobody out who comes after a crowd of silent connections, nor wait for them at the end", async () => {
    server = await startMetricsServer({ port: 0, host: "127.0.0.1", metrics: createMetrics(), log: silentLogger });
    const crowd = Array.from({ length: 200 }, () => connect(server.port, "127.0.0.1").on("error", () => undefined));
    await Promise.all(crowd.map((socket) => new Promise((resolve) => socket.once("connect", resolve))));
    expect((await fetch(`http://127.0.0.1:${server.port}/metrics`)).status).toBe(200);
    for (const socket of crowd) socket.destroy();
  });

  it("answer a path that is none, and end the connection after one answer", async () => {
    await open();
    const socket = connect(server.port, "127.0.0.1");
    socket.write("GET http://[ HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n");
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 404 [^]*connection: close/i);
  });

  it("refuse a port that is taken, with its number", async () => {
    await open();
    const { port } = server;
    const second = startProbeServer({
      port,
      host: "127.0.0.1",
      live: () => ({ ok: true }),
      ready: () => ({ ok: true }),
      log: silentLogger,
    });
    await expect(second).rejects.toMatchObject({ code: "CONFIG_INVALID", message: expect.stringContaining(`${port}`) });
  });
});

describe("the metrics server", () => {
  it("serves metrics to everybody, and nothing else", async () => {
    const metrics = createMetrics();
    metrics.counter("rest_client_requests_total").inc({ code: "200", method: "GET", host: "h" });
    server = await startMetricsServer({ port: 0, host: "127.0.0.1", metrics, log: silentLogger });
    const ask = (path: string, method = "GET") => fetch(`http://127.0.0.1:${server.port}${path}`, { method });
    const answer = await ask("/metrics");
    expect(answer.headers.get("content-type")).toContain("version=0.0.4");
    expect(await answer.text()).toContain("rest_client_requests_total{");
    for (const path of ["/", "/healthz", "/readyz", "/status", "/metrics/x"])
      expect((await ask(path)).status).toBe(404);
    expect((await ask("/metrics", "POST")).status).toBe(405);
  });
});
