import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it } from "@jest/globals";
import { METRICS } from "../core/metric-names.ts";
import { createMetrics } from "./metrics.ts";

// Goal: a process shows the catalogue's names and texts, each metric once, however many places count it.

describe("metrics", () => {
  it("are one by name, with the catalogue's help and labels", async () => {
    const metrics = createMetrics();
    metrics.counter("workqueue_adds_total").inc({ name: "a", controller: "a" });
    metrics.counter("workqueue_adds_total").inc({ name: "a", controller: "a" });
    const text = await metrics.text();
    expect(text).toContain(`# HELP workqueue_adds_total ${METRICS.workqueue_adds_total.help}`);
    expect(text).toContain('workqueue_adds_total{name="a",controller="a"} 2');
    expect(() => metrics.counter("workqueue_adds_total").inc({ unknown: "a" })).toThrow();
  });

  it("are refreshed before each scrape", async () => {
    const metrics = createMetrics();
    let silence = 1;
    metrics.beforeScrape(() => metrics.gauge("shieldx_informer_silence_seconds").set({ informer: "pods" }, silence));
    expect(await metrics.text()).toContain('shieldx_informer_silence_seconds{informer="pods"} 1');
    silence = 2;
    expect(await metrics.text()).toContain('shieldx_informer_silence_seconds{informer="pods"} 2');
  });

  it("keep two registries apart", async () => {
    createMetrics().histogram("controller_runtime_reconcile_time_seconds").observe({ controller: "a" }, 1);
    expect(await createMetrics().text()).toBe("\n");
  });

  it("of the process are told without waking it: a resting process stays at rest", async () => {
    const text = await createMetrics({ processMetrics: true }).text();
    for (const name of ["process_cpu_seconds_total", "nodejs_heap_size_used_bytes", "nodejs_eventloop_lag_seconds"])
      expect(text).toMatch(new RegExp(`^${name} `, "m"));
    expect(text).not.toContain("nodejs_eventloop_lag_p99");
    const program = `
      import { createMetrics } from ${JSON.stringify(new URL("./metrics.ts", import.meta.url).href)};
      createMetrics({ processMetrics: true });
      const { uvMetricsInfo } = performance.nodeTiming;
      setTimeout(() => console.log(performance.nodeTiming.uvMetricsInfo.loopCount - uvMetricsInfo.loopCount), 500);`;
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", program]);
    // Turns of its event loop in half a second; a timer of 10 ms makes 50.
    expect(Number(stdout)).toBeLessThan(10);
  });
});
