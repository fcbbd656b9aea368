import type { Fault } from "./faults.ts";
import { statusBody } from "./status-error.ts";

// Faults by their names in the field.

/** Which requests; see `Fault`. */
type Which = Omit<Fault, "action">;

/** The server's flow control sends a request away. */
export function throttled(which: Which = {}, retryAfterSeconds = 1): Fault {
  return { ...which, action: { type: "answer", status: 429, retryAfterSeconds } };
}

/** A server that cannot: 500, 503 (starting or stopping) or 504 (its own limit). */
export function serverError(which: Which = {}, status: 500 | 503 | 504 = 503): Fault {
  return { ...which, action: { type: "answer", status } };
}

/** An admission webhook that does not answer: the write waits for its time limit, and is refused. */
export function webhookTimeout(which: Which = {}, { name = "validate.example.org", afterMs = 100 } = {}): Fault {
  const message = `Internal error occurred: failed calling webhook "${name}": failed to call webhook: Post "https://${name}/validate?timeout=10s": context deadline exceeded`;
  const body = statusBody({ status: 500, message });
  return { ...which, action: { type: "answer", status: 500, body, afterMs } };
}

/** Slow requests: all of them, until taken away. */
export function latency(ms: number, which: Which = {}): Fault {
  return { times: Number.POSITIVE_INFINITY, ...which, action: { type: "delay", ms } };
}
