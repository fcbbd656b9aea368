import { describe, expect, it } from "@jest/globals";
import { rolloutAnalysis } from "../../../crds/rollout-analysis.ts";
import { createCountingPods, taskOf } from "../testing/counting-pods.ts";
import { quickAtFirst } from "./pace.ts";
import type { SampleTask } from "./task.ts";

// Goal: quick looks where they show harm sooner, and nowhere else.

const pods = createCountingPods();
const [canary, stable] = [pods.pod("canary"), pods.pod("stable")];
const task = (changes: Partial<SampleTask> = {}): SampleTask =>
  taskOf({ canary: [canary], stable: [stable] }, { analysis: rolloutAnalysis.parse({}), ...changes });
const many = Array.from({ length: 20 }, (_, index) => ({ ...canary.target, uid: `uid-${index}` }));

describe("the time to the next look", () => {
  it.each<[string, SampleTask, number, number, number]>([
    ["soon after a change of weight", task(), 0, 10, 500],
    ["later", task(), 15_000, 10, 5_000],
    ["of a look that took long", task(), 0, 300, 1_500],
    ["of one that took very long", task(), 0, 3_000, 5_000],
    ["before the first weight", task({ weightBps: 0 }), 0, 10, 5_000],
    ["of many pods", task({ canary: many }), 0, 10, 5_000],
    [
      "of a Prometheus, which knows no more than its last scrape",
      task({ analysis: rolloutAnalysis.parse({ source: { prometheus: { url: "http://p:9090" } } }) }),
      0,
      10,
      5_000,
    ],
    [
      "of a gateway",
      task({
        analysis: rolloutAnalysis.parse({
          source: {
            gateway: { flavour: "Traefik", service: { namespace: "t", name: "m" }, port: 9_100, path: "/metrics" },
          },
        }),
      }),
      0,
      10,
      500,
    ],
  ])("%s", (_, of, hereMs, askedMs, ms) => {
    expect(quickAtFirst(of, hereMs, askedMs)).toBe(ms);
  });
});
