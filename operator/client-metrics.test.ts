import { expect, it } from "@jest/globals";
import type { RequestRecord } from "../lib/kube/request-options.ts";
import { createMetrics } from "../lib/node/metrics.ts";
import { createClientMetrics } from "./client-metrics.ts";

// Goal: the time of what must not wait can be told from that of everything else.

it("counts all requests, and times the urgent ones apart, failures included", async () => {
  const metrics = createMetrics();
  const onRequest = createClientMetrics(metrics);
  const record: RequestRecord = {
    code: "200",
    method: "PUT",
    host: "h",
    seconds: 0.5,
    queuedSeconds: 2,
    priority: "normal",
    requestId: "1",
  };
  onRequest(record);
  onRequest({ ...record, priority: "urgent", code: "<error>", seconds: 5, queuedSeconds: 0 });
  const text = await metrics.text();
  expect(text).toContain('rest_client_requests_total{code="<error>",method="PUT",host="h"} 1');
  expect(text).toContain('rest_client_request_duration_seconds_count{verb="PUT",host="h"} 2');
  expect(text).toContain('rest_client_rate_limiter_duration_seconds_sum{verb="PUT",host="h"} 2');
  expect(text).toContain('shieldx_urgent_request_duration_seconds_count{verb="PUT"} 1');
  expect(text).toContain('shieldx_urgent_request_duration_seconds_sum{verb="PUT"} 5');
});
