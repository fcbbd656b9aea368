import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "@jest/globals";
import { Counter, Histogram, Registry } from "prom-client";
import { type PrometheusSource, type RolloutAnalysis, rolloutAnalysis } from "../../../crds/rollout-analysis.ts";
import { OperatorError } from "../../../lib/core/errors.ts";
import { getText } from "../../../lib/node/http-text.ts";
import { taskOf } from "../testing/counting-pods.ts";
import type { Scrape } from "./answer.ts";
import { gatewaySource } from "./gateway.ts";
import { podSource } from "./pods.ts";
import { prometheusSource } from "./prometheus.ts";
import type { SampleTask } from "./task.ts";

// Goal: what real pods and gateways tell becomes counts of the right version; who is silent is named, and nobody else is.

const never = new AbortController().signal;
const LATENCY = { source: { pods: { metrics: { latency: "http_request_duration_seconds" } } }, latency: {} };

function podsOf(analysis: RolloutAnalysis) {
  const { pods } = analysis.source;
  if (pods === undefined) throw new Error("no pods");
  return pods;
}

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** A program with prom-client on an address of its own, as a pod has one. */
async function program(host: string, port: number) {
  const registry = new Registry();
  const labelNames = ["code"];
  const requests = new Counter({ name: "http_requests_total", help: "r", labelNames, registers: [registry] });
  const latency = new Histogram({
    name: "http_request_duration_seconds",
    help: "l",
    buckets: [0.1, 0.5],
    registers: [registry],
  });
  const server = createServer((_, response) => {
    void registry.metrics().then((page) => response.end(page));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  const answer = (code: string, seconds: number): void => {
    requests.inc({ code });
    latency.observe(seconds);
  };
  return { answer, port: (server.address() as AddressInfo).port };
}

describe("pods", () => {
  it("are asked at their addresses, all at once", async () => {
    const one = await program("127.0.0.1", 0);
    const other = await program("127.0.0.2", one.port);
    one.answer("200", 0.2);
    one.answer("503", 0.05);
    other.answer("200", 3);
    const target = (name: string, ip: string) => ({ name, uid: `uid-${name}`, ip, isReady: true });
    const analysis = rolloutAnalysis.parse(LATENCY);
    const task: SampleTask = {
      ...taskOf({ canary: [], stable: [] }, { analysis }),
      canary: [target("a", "127.0.0.1")],
      stable: [target("b", "127.0.0.2"), target("gone", "127.0.0.3")],
    };
    const answer = await podSource(getText, { ...podsOf(analysis), port: one.port })(task, never);
    expect([...answer.canary.readings]).toEqual([
      [
        "uid-a",
        { counters: { requests: 2, errors: 1 }, histogram: { boundsMs: [100, 500], upTo: [1, 2] }, missing: [] },
      ],
    ]);
    expect([...answer.stable.readings.keys()]).toEqual(["uid-b"]);
    expect([...answer.stable.silent]).toEqual([["uid-gone", `pod gone: 127.0.0.3:${one.port}: ECONNREFUSED`]]);
  });
});

describe("a pod", () => {
  it("has 1 MiB for its page", async () => {
    const server = createServer((_, response) => void response.end(`# ${"x".repeat(60_000)}\n`.repeat(20)));
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const analysis = rolloutAnalysis.parse({});
    const task: SampleTask = {
      ...taskOf({ canary: [], stable: [] }, { analysis }),
      canary: [{ name: "a", uid: "a", ip: "127.0.0.1", isReady: true }],
    };
    const { canary } = await podSource(getText, { ...podsOf(analysis), port })(task, never);
    expect([...canary.silent.values()]).toEqual([`pod a: 127.0.0.1:${port}: the answer has more than 1048576 bytes`]);
  });
});

describe("this machine", () => {
  it("is asked neither as a gateway nor as a Prometheus", async () => {
    const { port } = await program("127.0.0.1", 0);
    const analysis = rolloutAnalysis.parse({});
    const target = { name: "a", uid: "a", ip: "", isReady: true };
    const task: SampleTask = { ...taskOf({ canary: [], stable: [] }, { analysis }), canary: [target] };
    const gateway = gatewaySource(
      { scrape: getText, resolve: async () => ["127.0.0.1"] },
      { flavour: "Envoy", failures: "5..", service: { namespace: "infra", name: "metrics" }, port, path: "/" },
      false,
    );
    const of = rolloutAnalysis.parse({ source: { prometheus: { url: `http://localhost:${port}` } } });
    const prometheus = prometheusSource(getText, of.source.prometheus as PrometheusSource);
    const refusal = "it is not asked, for its address is of loopback, link-local or a cloud's metadata";
    expect([...(await gateway(task, never)).canary.silent.values()]).toEqual([`gateway 127.0.0.1:${port}: ${refusal}`]);
    expect([...(await prometheus(task, never)).canary.silent.values()]).toEqual([
      `prometheus localhost:${port}: ${refusal}`,
    ]);
  });
});

const FAILURES = rolloutAnalysis.parse({
  source: { gateway: { flavour: "Traefik", service: { namespace: "a", name: "b" }, port: 1, path: "/" } },
}).source.gateway?.failures as string;

const TRAEFIK = `# TYPE traefik_service_requests_total counter
traefik_service_requests_total{code="200",method="GET",protocol="http",service="httproute-shop-web-gw-infra-public-ep-web-0-svc-shop-web-blue-0@kubernetesgateway"} 10
traefik_service_requests_total{code="500",method="GET",protocol="http",service="httproute-shop-web-gw-infra-public-ep-web-0-svc-shop-web-blue-0@kubernetesgateway"} 2
traefik_service_requests_total{code="200",method="PUT",protocol="http",service="httproute-shop-web-gw-infra-public-ep-websecure-1-svc-shop-web-blue-0@kubernetesgateway"} 5
traefik_service_requests_total{code="200",method="GET",protocol="http",service="httproute-shop-web-gw-infra-public-ep-web-0-svc-shop-web-green-1@kubernetesgateway"} 900
traefik_service_requests_total{code="200",method="GET",protocol="http",service="httproute-shop-other-gw-infra-public-ep-web-0-svc-shop-web-blue-0@kubernetesgateway"} 7000
traefik_service_requests_total{code="200",method="GET",protocol="http",service="httproute-shop-web-gw-infra-public-ep-web-0-svc-shop-my-web-blue-0@kubernetesgateway"} 8000
# TYPE traefik_service_request_duration_seconds histogram
traefik_service_request_duration_seconds_bucket{code="200",service="httproute-shop-web-gw-infra-public-ep-web-0-svc-shop-web-blue-0@kubernetesgateway",le="0.1"} 9
traefik_service_request_duration_seconds_bucket{code="200",service="httproute-shop-web-gw-infra-public-ep-web-0-svc-shop-web-blue-0@kubernetesgateway",le="+Inf"} 10
`;

const ENVOY = `# TYPE envoy_cluster_upstream_rq counter
envoy_cluster_upstream_rq{envoy_response_code="200",envoy_cluster_name="shop_web-blue_80"} 10
envoy_cluster_upstream_rq{envoy_response_code="503",envoy_cluster_name="shop_web-blue_80"} 2
envoy_cluster_upstream_rq{envoy_response_code="200",envoy_cluster_name="shop_web-green_80"} 900
envoy_cluster_upstream_rq{envoy_response_code="200",envoy_cluster_name="other_web-blue_80"} 7000
# TYPE envoy_cluster_upstream_rq_time histogram
envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="shop_web-blue_80",le="0.5"} 1
envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="shop_web-blue_80",le="5"} 11
envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="shop_web-blue_80",le="+Inf"} 12
`;

describe("a gateway", () => {
  const task = taskOf({ canary: [], stable: [] });
  const of = (flavour: "Traefik" | "Envoy", path: string) => ({
    flavour,
    failures: FAILURES,
    service: { namespace: "infra", name: "metrics" },
    port: 9100,
    path,
  });
  const unreachable = (host: string) => new OperatorError("METRICS_UNREACHABLE", `${host}:9100: ECONNREFUSED`);
  const pages = (of: Readonly<Record<string, string>>): Scrape => {
    return async ({ host }) => {
      const page = of[host];
      if (page === undefined) throw unreachable(host);
      return page;
    };
  };

  it.each([
    ["Traefik", TRAEFIK, { requests: 17, errors: 2 }, { boundsMs: [100], upTo: [9] }],
    ["Envoy", ENVOY, { requests: 12, errors: 2 }, { boundsMs: [0.5, 5], upTo: [1, 11] }],
  ] as const)(
    "of %s counts both versions of the route, each of its pods for itself",
    async (flavour, page, counters, histogram) => {
      const scrape = pages({ "10.1.0.1": page, "10.1.0.2": page });
      const names: string[] = [];
      const resolve = async (name: string) => {
        names.push(name);
        return ["10.1.0.1", "10.1.0.2", "10.1.0.3"];
      };
      const answer = await gatewaySource({ scrape, resolve }, of(flavour, "/m"), true)(task, never);
      expect(names).toEqual(["metrics.infra.svc"]);
      expect([...answer.canary.readings]).toEqual(
        ["10.1.0.1", "10.1.0.2"].map((host) => [host, { counters, histogram, missing: [] }]),
      );
      expect(answer.stable.readings.get("10.1.0.2")).toEqual({ counters: { requests: 900, errors: 0 }, missing: [] });
      const silent = [["10.1.0.3", "gateway 10.1.0.3:9100: ECONNREFUSED"]];
      expect([[...answer.canary.silent], [...answer.stable.silent]]).toEqual([silent, silent]);
    },
  );

  it("of Traefik counts gRPC by its status", async () => {
    const series = (code: number, count: number) =>
      `traefik_service_requests_total{code="${code}",method="POST",protocol="grpc",service="grpcroute-shop-web-gw-infra-public-ep-web-0-61b4c5f957587e0337e1-svc-shop-web-blue-1@kubernetesgateway"} ${count}\n`;
    const page = [...[0, 1, 3, 5, 7, 16], ...[2, 4, 12, 13, 14, 15]].map((code) => series(code, 10)).join("");
    const source = gatewaySource(
      { scrape: pages({ "10.1.0.1": page }), resolve: async () => ["10.1.0.1"] },
      of("Traefik", "/"),
      false,
    );
    const { canary } = await source(task, never);
    expect(canary.readings.get("10.1.0.1")?.counters).toEqual({ requests: 120, errors: 60 });
  });

  it("of very many pods is asked at 200 of them, with room for all Services of each", async () => {
    const asked = new Map<string, number>();
    const scrape: Scrape = async ({ host, bytesMax }) => {
      asked.set(host, bytesMax);
      return ENVOY;
    };
    const hosts = Array.from({ length: 300 }, (_, index) => `10.1.${Math.floor(index / 100)}.${index % 100}`);
    const source = gatewaySource({ scrape, resolve: async () => hosts }, of("Envoy", "/"), false);
    const { canary } = await source(task, never);
    expect(canary.readings.size).toBe(200);
    expect([...asked.keys()]).toEqual(hosts.slice(0, 200));
    expect(new Set(asked.values())).toEqual(new Set([4 * 1024 * 1024]));
  });

  it("that nobody knows is silent", async () => {
    const resolve = async () => {
      throw new OperatorError("METRICS_UNREACHABLE", "metrics.infra.svc: ENOTFOUND");
    };
    const answer = await gatewaySource({ scrape: pages({}), resolve }, of("Traefik", "/"), false)(task, never);
    expect([...answer.stable.silent.values()]).toEqual(["gateway metrics.infra.svc: ENOTFOUND"]);
  });

  it("that counts no Services has not got the metric", async () => {
    const scrape = pages({ "10.1.0.1": "traefik_entrypoint_requests_total 5\n" });
    const source = gatewaySource({ scrape, resolve: async () => ["10.1.0.1"] }, of("Traefik", "/"), false);
    const { canary, stable } = await source(task, never);
    for (const { readings } of [canary, stable]) {
      expect([...readings.values()]).toEqual([{ missing: ["traefik_service_requests_total"] }]);
    }
  });
});
