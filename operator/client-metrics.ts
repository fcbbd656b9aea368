import type { RequestRecord } from "../lib/kube/request-options.ts";
import type { Metrics } from "../lib/node/metrics.ts";

/** Metrics of a client's requests; the result is its `onRequest`. */
export function createClientMetrics(metrics: Metrics): (record: RequestRecord) => void {
  const requests = metrics.counter("rest_client_requests_total");
  const latencies = metrics.histogram("rest_client_request_duration_seconds");
  const waits = metrics.histogram("rest_client_rate_limiter_duration_seconds");
  const urgent = metrics.histogram("shieldx_urgent_request_duration_seconds");
  return ({ code, method, host, seconds, queuedSeconds, priority }) => {
    requests.inc({ code, method, host });
    latencies.observe({ verb: method, host }, seconds);
    waits.observe({ verb: method, host }, queuedSeconds);
    if (priority === "urgent") urgent.observe({ verb: method }, queuedSeconds + seconds);
  };
}
