import type { Metrics } from "../../lib/node/metrics.ts";
import type { Webhook } from "./webhook.ts";

/** What the server and its certificate source report; every label set begins at 0. */
export interface WebhookMetrics {
  /** A request arrived. @returns what to call with the HTTP status once the answer is sent */
  began(path: string): (code: number, seconds: number) => void;
  panicked(webhook: Webhook): void;
  /** The source looked for a certificate. */
  readCertificate(ok: boolean): void;
  /** The server shows a certificate that ends then; milliseconds since the epoch. */
  showsUntil(notAfter: number): void;
}

/** Upper bounds in seconds: an answer takes about a millisecond, and no caller waits longer than 30 s. */
const LATENCY_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Codes that are shown before they happen, as controller-runtime does. */
const LIKELY_CODES = ["200", "500"];

/** The metrics of one server, under controller-runtime's names. */
export function createWebhookMetrics(metrics: Metrics, webhooks: readonly Webhook[]): WebhookMetrics {
  const requests = metrics.counter("controller_runtime_webhook_requests_total");
  const latency = metrics.histogram("controller_runtime_webhook_latency_seconds", LATENCY_BUCKETS);
  const inFlight = metrics.gauge("controller_runtime_webhook_requests_in_flight");
  const admissionPanics = metrics.counter("controller_runtime_webhook_panics_total");
  const conversionPanics = metrics.counter("controller_runtime_conversion_webhook_panics_total");
  const reads = metrics.counter("certwatcher_read_certificate_total");
  const readErrors = metrics.counter("certwatcher_read_certificate_errors_total");
  const expiry = metrics.gauge("shieldx_webhook_certificate_expiry_timestamp_seconds");
  for (const { path: webhook } of webhooks) {
    for (const code of LIKELY_CODES) requests.inc({ webhook, code }, 0);
    latency.zero({ webhook });
    inFlight.set({ webhook }, 0);
  }
  return {
    began: (webhook) => {
      inFlight.inc({ webhook });
      return (code, seconds) => {
        inFlight.dec({ webhook });
        latency.observe({ webhook }, seconds);
        requests.inc({ webhook, code: String(code) });
      };
    },
    panicked: ({ role }) => (role === "conversion" ? conversionPanics : admissionPanics).inc(),
    readCertificate: (ok) => {
      reads.inc();
      if (!ok) readErrors.inc();
    },
    showsUntil: (notAfter) => expiry.set(notAfter / 1000),
  };
}
