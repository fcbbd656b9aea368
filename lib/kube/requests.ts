import { backoffMs, jitter } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import { isOperatorError, OperatorError } from "../core/errors.ts";
import { createDeadline } from "./deadline.ts";
import type { FlowControl, Priority } from "./flow-control.ts";
import { errorFromAnswer, errorFromNetwork, isRetryable, type RequestContext } from "./kube-errors.ts";
import { type Query, queryText } from "./paths.ts";
import type { RequestOptions, RequestRecord } from "./request-options.ts";
import type { Transport, TransportRequest, TransportResponse } from "./transport.ts";

/*
 * One call:   deadline ─► place in the queue ─► fence ─► attempt ─► answer
 *                              ▲                            │ 429, 5xx, reset: when it is safe and time is left
 *                              └──────── wait ◄─────────────┘
 *
 * The fence is asked once more by the transport, at the moment when a connection takes the request: between the
 * decision to write and the write lie the queue, the credentials, a handshake, or a process that was frozen.
 */

/** One request, before anything is known about how it goes. */
export interface Call {
  readonly method: TransportRequest["method"];
  /** Without the query. */
  readonly path: string;
  readonly query?: Query;
  readonly body?: unknown;
  readonly contentType?: string;
  /** `application/json` unless told. */
  readonly accept?: string;
  /** Doing it twice gives the same result: it may be sent again after a failure that leaves its outcome open. */
  readonly idempotent: boolean;
}

/** Sends calls. */
export interface Requests {
  /** A whole call, retries included; resolves with the decoded body. @throws OperatorError KUBE_…, ABORTED; what the fence throws */
  request(call: Call, how?: RequestOptions): Promise<unknown>;
  /** One attempt at a long read, whose body is the caller's; not counted among the requests in flight. */
  openStream(call: Call, how: StreamOptions): Promise<OpenStream>;
}

interface StreamOptions {
  readonly signal: AbortSignal;
  readonly fence?: (() => void) | undefined;
}

/** An accepted long read. */
export interface OpenStream {
  readonly body: TransportResponse["body"];
  /** See `RequestContext.requestId`. */
  readonly requestId: string;
}

export interface RequestsOptions {
  readonly transport: Transport;
  readonly flow: FlowControl;
  readonly userAgent: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onRequest?: ((record: RequestRecord) => void) | undefined;
}

/** No request of ours takes long on a healthy server; client-go's tools use the same. */
const TIMEOUT_MS = 30_000;
/**
 * A write under a Lease must be over before the next holder begins. It leaves at most 10 s after the last renewal, others
 * wait for 15 s; and when it lay unread in a frozen server, they wait for at least this long after the thaw
 * (`lib/kube/lease.ts`, docs/adr/0013-late-writes.md).
 */
const FENCED_TIMEOUT_MS = 5_000;
const RETRIES = 3;
const RETRY_BACKOFF = { baseMs: 250, capMs: 5_000 };
const RETRY_JITTER = 0.5;
const JSON_TYPE = "application/json";
/** Enough to tell processes apart in an audit log. */
const ID_RANGE = 0x1_0000_0000;

/** What a fence threw, so that nothing takes it for a failure of the network. */
class Refusal extends Error {}

/** Sends calls over a transport. */
export function createRequests(options: RequestsOptions): Requests {
  const { transport, flow, clock, random } = options;
  const process = Math.floor(random() * ID_RANGE).toString(16);
  let count = 0;

  const send = async (
    call: Call & { readonly requestId: string },
    how: StreamOptions & { readonly queuedMs?: number; readonly stream?: boolean; readonly priority?: Priority },
  ): Promise<TransportResponse> => {
    const { requestId } = call;
    const startedAt = clock.monotonic();
    const record = (code: string): void =>
      options.onRequest?.({
        code,
        method: call.method,
        host: transport.host,
        seconds: (clock.monotonic() - startedAt) / 1000,
        queuedSeconds: (how.queuedMs ?? 0) / 1000,
        priority: how.priority ?? "normal",
        requestId,
      });
    const fence = fenceOf(how.fence);
    try {
      fence?.();
      const response = await transport.send({
        method: call.method,
        path: `${call.path}${queryText(call.query ?? {})}`,
        headers: {
          accept: call.accept ?? JSON_TYPE,
          "user-agent": options.userAgent,
          // The server uses it for its audit log and sends it back.
          "audit-id": requestId,
          ...(call.body === undefined ? {} : { "content-type": call.contentType ?? JSON_TYPE }),
        },
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        signal: how.signal,
        ...(fence === undefined ? {} : { fence }),
        ...(how.stream === true ? { stream: true } : {}),
        ...(how.priority === "urgent" ? { urgent: true } : {}),
      });
      record(String(response.statusCode));
      return response;
    } catch (error) {
      if (error instanceof Refusal) throw error;
      record("<error>");
      throw how.signal.aborted ? how.signal.reason : errorFromNetwork(call, error);
    }
  };

  const identified = (call: Call): Call & { readonly requestId: string } => {
    count += 1;
    return { ...call, requestId: `${process}-${count}` };
  };

  /** Throws for an answer outside 2xx; its body is read. */
  const accept = async (context: RequestContext, response: TransportResponse): Promise<TransportResponse> => {
    if (response.statusCode < 300) return response;
    if (response.statusCode === 401) transport.forgetCredentials();
    const retryAfter = headerText(response, "retry-after");
    throw errorFromAnswer(context, { status: response.statusCode, body: await response.body.text(), retryAfter });
  };

  /** One attempt, from a place in the queue to the decoded body. */
  const attempt = async (
    call: Call & { readonly requestId: string },
    how: RequestOptions & { readonly signal: AbortSignal },
  ): Promise<unknown> => {
    const queuedAt = clock.monotonic();
    const priority = how.priority ?? "normal";
    const leave = await flow.enter(priority, how.signal);
    try {
      how.signal.throwIfAborted();
      const queuedMs = clock.monotonic() - queuedAt;
      const response = await send(call, { signal: how.signal, fence: how.fence, queuedMs, priority });
      const text = await accept(call, response).then(({ body }) => body.text());
      return parseAnswer(call, text);
    } catch (error) {
      if (error instanceof Refusal) throw error;
      if (!how.signal.aborted) throw errorFromNetwork(call, error);
      // Only the deadline tells of a silent connection; a caller that leaves tells nothing.
      if (isOperatorError(how.signal.reason, "KUBE_UNREACHABLE")) transport.distrust(how.signal);
      throw how.signal.reason;
    } finally {
      leave();
    }
  };

  const request = async (asked: Call, how: RequestOptions = {}): Promise<unknown> => {
    const isFenced = how.fence !== undefined;
    const timeoutMs = Math.min(how.timeoutMs ?? TIMEOUT_MS, isFenced ? FENCED_TIMEOUT_MS : Number.POSITIVE_INFINITY);
    // The server ends the request by itself after this time, counted from when it has read it.
    const call = isFenced ? { ...asked, query: { ...asked.query, timeout: `${timeoutMs}ms` } } : asked;
    const endsAt = clock.monotonic() + timeoutMs;
    const deadline = createDeadline(timeoutMs, how.signal);
    const { signal } = deadline;
    try {
      for (let failures = 0; ; failures += 1) {
        const one = identified(call);
        try {
          return await attempt(one, { ...how, signal });
        } catch (thrown) {
          if (thrown instanceof Refusal) throw thrown.cause;
          const error = inContext(one, thrown);
          const { retryAfterSeconds } = error;
          if (error.code === "KUBE_THROTTLED" && retryAfterSeconds !== undefined) flow.pause(retryAfterSeconds * 1000);
          // A 401 is worth one more try: the token on disk or the plugin's may have been renewed meanwhile.
          const again = isRetryable(error, call.idempotent) || (error.code === "KUBE_UNAUTHORIZED" && failures === 0);
          const waitMs = retryDelayMs(error, failures, random());
          if (!again || signal.aborted || failures >= (how.retries ?? RETRIES)) throw error;
          if (clock.monotonic() + waitMs >= endsAt) throw error;
          await clock.sleep(waitMs, signal);
          if (signal.aborted) throw inContext(one, signal.reason);
        }
      }
    } finally {
      deadline.clear();
    }
  };

  return {
    request,
    openStream: async (call, how) => {
      const one = identified(call);
      try {
        const response = await accept(one, await send(one, { ...how, stream: true }));
        return { body: response.body, requestId: one.requestId };
      } catch (error) {
        if (error instanceof Refusal) throw error.cause;
        throw how.signal.aborted ? how.signal.reason : errorFromNetwork(one, error);
      }
    },
  };
}

function fenceOf(fence: (() => void) | undefined): (() => void) | undefined {
  if (fence === undefined) return undefined;
  return () => {
    try {
      fence();
    } catch (cause) {
      throw new Refusal("the caller's fence refused", { cause });
    }
  };
}

function headerText(response: TransportResponse, name: string): string | undefined {
  const value = response.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function parseAnswer(call: RequestContext, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const details = call.requestId === undefined ? {} : { requestId: call.requestId };
    throw new OperatorError("KUBE_FAILED", `${call.method} ${call.path}: the answer is not JSON`, { cause, details });
  }
}

/** Deadlines and aborts do not know which request they ended; this adds it. */
function inContext(call: RequestContext, thrown: unknown): OperatorError {
  const error = errorFromNetwork(call, thrown);
  const context = `${call.method} ${call.path}`;
  if (error.message.startsWith(context)) return error;
  const details = { ...(call.requestId === undefined ? {} : { requestId: call.requestId }), ...error.details };
  return new OperatorError(error.code, `${context}: ${error.message}`, { cause: error, details });
}

function retryDelayMs(error: OperatorError, failures: number, random: number): number {
  if (error.retryAfterSeconds !== undefined) return error.retryAfterSeconds * 1000;
  return jitter(backoffMs(failures, RETRY_BACKOFF), RETRY_JITTER, random);
}
