// What the controllers count is on the page that their process shows.
import { expect, test } from "@jest/globals";
import { createMetrics } from "../lib/node/metrics.ts";
import { parseControllerConfig } from "./config.ts";
import { createControllers } from "./wiring.ts";

test("the page of the controller has the metrics of releases before the first one", async () => {
  const metrics = createMetrics();
  createControllers(parseControllerConfig(["--shieldx-image=a", "--postgres-image=b"], {}), metrics);
  const page = await metrics.text();
  for (const line of [
    'deployment_duration_seconds_count{outcome="RolledBack"} 0',
    'rollback_count_total{reason="Harm"} 0',
    "rollback_duration_seconds_count 0",
  ]) {
    expect(page.split("\n")).toContain(line);
  }
});
