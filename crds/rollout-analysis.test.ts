import { describe, expect, it } from "@jest/globals";
import { z } from "zod";
import { policyOf, rolloutAnalysis } from "./rollout-analysis.ts";
import { rolloutPolicy } from "./rollout-policy.ts";
import { structural } from "./structural.ts";

// Goal: an analysis that says nothing is the judge's own default policy; what cannot be measured is refused; a CRD can say it all.

const NOTHING_SAID = rolloutAnalysis.parse({});
const LADDER = rolloutPolicy.parse({}).stages;
const stages = LADDER.map(({ maxErrorRate, ...stage }) => ({ ...stage, maxErrorRateBps: maxErrorRate * 10_000 }));
const gateway = {
  flavour: "Traefik",
  service: { namespace: "traefik", name: "metrics" },
  port: 9100,
  path: "/metrics",
};

describe("rolloutAnalysis", () => {
  it("asks the pods for Prometheus' usual counter unless told", () => {
    expect(NOTHING_SAID).toMatchObject({
      intervalSeconds: 5,
      source: {
        pods: {
          port: 8080,
          path: "/metrics",
          metrics: { requests: "http_requests_total", errors: { label: "code", pattern: "5.." } },
        },
      },
    });
  });

  it.each([
    ["a gateway", { source: { gateway } }],
    ["a gateway, with latency", { source: { gateway }, latency: {} }],
    ["a Prometheus", { source: { prometheus: { url: "http://prometheus.monitoring.svc:9090/below" } } }],
    ["the last port", { source: { prometheus: { url: "http://a:65535" } } }],
    ["the first port", { source: { prometheus: { url: "http://a:1/" } } }],
    ["pods, with latency", { source: { pods: { metrics: { latency: "x_seconds" } } }, latency: {} }],
    [
      "failures in words",
      { source: { pods: { metrics: { errors: { label: "grpc", pattern: "Internal|Un.nown" } } } } },
    ],
  ])("takes %s", (_, given) => {
    expect(rolloutAnalysis.safeParse(given).success).toBe(true);
  });

  it.each([
    ["no source", { source: {} }, "exactly one of"],
    ["two sources", { source: { gateway, pods: {} } }, "exactly one of"],
    ["latency that nothing measures", { latency: {} }, "go together"],
    ["a histogram that nobody judges", { source: { pods: { metrics: { latency: "x" } } } }, "go together"],
    [
      "latency that a Prometheus is not asked for",
      { source: { prometheus: { url: "http://a" } }, latency: {} },
      "go together",
    ],
    [
      "a dry run of latency that nobody counts",
      { dryRun: { latency: { required: false } } },
      "dryRun.latency needs latency",
    ],
    ["a port that there is not", { source: { prometheus: { url: "http://a:99999" } } }, "pattern"],
    ["a port beyond the last one", { source: { prometheus: { url: "http://a:65536/b" } } }, "pattern"],
    ["port 0", { source: { prometheus: { url: "http://a:0" } } }, "pattern"],
    ["a Prometheus by TLS", { source: { prometheus: { url: "https://a" } } }, "pattern"],
    ["a Prometheus by name and password", { source: { prometheus: { url: "http://a:b@c" } } }, "pattern"],
    ["a pattern with a repetition", { source: { pods: { metrics: { errors: { pattern: "(5+)+" } } } } }, "pattern"],
    ["an empty alternative", { source: { pods: { metrics: { errors: { pattern: "5..|" } } } } }, "pattern"],
    ["a path without a slash", { source: { pods: { path: "metrics" } } }, "pattern"],
    ["an interval of nothing", { intervalSeconds: 0 }, ">=1"],
    ["a fraction", { falseRollbackRateBps: 0.5 }, "int"],
  ])("refuses %s", (_, given, message) => {
    expect(rolloutAnalysis.safeParse(given).error?.message).toContain(message);
  });

  it("can be said in a CRD, its default too", () => {
    const field = rolloutAnalysis.meta({ ...rolloutAnalysis.meta(), description: "Analysis." }).default(NOTHING_SAID);
    const printed = structural(z.strictObject({ analysis: field }));
    expect(printed.properties?.["analysis"]?.default).toEqual(NOTHING_SAID);
  });
});

describe("policyOf", () => {
  it("of an analysis that says nothing is the default policy", () => {
    expect(policyOf(NOTHING_SAID, stages)).toEqual(rolloutPolicy.parse({ intervalSeconds: 5 }));
  });

  it("of a latency that says nothing is the default, too", () => {
    const said = rolloutAnalysis.parse({ source: { gateway }, latency: {} });
    expect(policyOf(said, stages)).toEqual(rolloutPolicy.parse({ intervalSeconds: 5, latency: {} }));
  });

  it("turns hundredths and percents into numbers that a policy may have", () => {
    const said = rolloutAnalysis.parse({
      source: { gateway },
      falseRollbackRateBps: 1,
      falsePromotionRateBps: 2_000,
      errors: { ratioPercent: 100, promoteRatioPercent: 101 },
      latency: { quantileBps: 9_999, ratioPercent: 10_000, required: false },
    });
    const policy = policyOf(said, stages.slice(0, 1));
    expect(policy).toEqual({
      falseRollbackRate: 0.0001,
      falsePromotionRate: 0.2,
      intervalSeconds: 5,
      stages: LADDER.slice(0, 1),
      errors: { ratio: 1, promoteRatio: 1.01 },
      latency: { quantile: 0.9999, ratio: 100, promoteRatio: 2, required: false },
    });
    expect(rolloutPolicy.parse(policy)).toEqual(policy);
  });
});
