/**
 * The HTTPS server of all webhooks of a process; it runs in every replica.
 *
 * Rotation. A new certificate is for new connections; requests that run are not touched. A connection that shows an
 * older one is told to end with its next answer (`Connection: close`), which no HTTP client takes for a failure. One
 * that is idle is left to the API server, which ends it after 90 s: a server that ends idle connections itself meets, now
 * and then, a request that is on its way, and an admission request is not sent twice. For the same reason our own
 * keep-alive limit is longer than that of the API server.
 *
 * Stop. A pod that ends is still addressed for a moment, so the server first goes on answering (and ends each connection
 * with its answer), then takes no more connections, then waits for what runs.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Clock } from "../../lib/core/clock.ts";
import { OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import type { Logger } from "../../lib/node/logger.ts";
import type { Metrics } from "../../lib/node/metrics.ts";
import type { Readiness, Runnable } from "../runtime/runnable.ts";
import { startAnswerLimit } from "./answer-limit.ts";
import { bodyBytes, readJson } from "./body.ts";
import { type CertificateSource, invalidAt, type ServingCertificate } from "./certificate-source.ts";
import { answerDeadlineMs } from "./deadline.ts";
import { createWebhookMetrics } from "./metrics.ts";
import { statusOfError } from "./reviews.ts";
import { createSlots } from "./slots.ts";
import type { Webhook } from "./webhook.ts";

export interface WebhookServerOptions {
  readonly webhooks: readonly Webhook[];
  /** Made with the server's own report of reads; see `createOwnCertificates`. */
  readonly certificates: (onRead: (ok: boolean) => void) => CertificateSource;
  /** 0 for any free port. */
  readonly port: number;
  /** All addresses unless told. */
  readonly host?: string;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** How long a server that stops goes on answering; 3 s unless told. */
  readonly drainMs?: number;
  /** Requests that are read and answered at once; 64 unless told. */
  readonly concurrency?: number;
}

/** A server as a part of a manager. It listens from the start, and can be called from its first certificate on. */
export interface WebhookServer extends Runnable {
  /** @throws OperatorError CONFIG_INVALID when the port cannot be opened */
  run(signal: AbortSignal): Promise<void>;
  ready(): Readiness;
  /** Where it listens, once it does. */
  port(): number | undefined;
  /** Fingerprint of the certificate that new connections are shown. */
  fingerprint(): string | undefined;
}

/** The time that endpoints need to forget a pod, in a cluster that is not overloaded. */
const DRAIN_MS = 3_000;
/** What runs when the drain ends has its own deadline (10 s at most); this is for what ignores it. */
const GRACE_MS = 12_000;
/** More at once would not be faster: handlers share one thread. */
const CONCURRENCY = 64;
/** The longest body that any webhook reads; parsed, it takes some ten times as much. Usual bodies have some kilobytes. */
const BYTES_IN_FLIGHT = 64 * 1024 * 1024;
/** Longer than the 90 s after which the API server's HTTP client ends an idle connection. */
const KEEP_ALIVE_MS = 120_000;
/** A caller that cannot say what it wants in this time is none of ours. */
const HEADERS_MS = 10_000;
const REQUEST_MS = 30_000;
/** Far above what a few API servers open; a bound for whoever else finds the port. */
const CONNECTIONS_MAX = 2_000;

/** Nothing listens before `run`. */
export function createWebhookServer(options: WebhookServerOptions): WebhookServer {
  const { webhooks, clock, log } = options;
  const byPath = new Map(webhooks.map((webhook) => [webhook.path, webhook]));
  if (byPath.size !== webhooks.length) throw new Error("two webhooks have the same path");
  const metrics = createWebhookMetrics(options.metrics, webhooks);
  const source = options.certificates(metrics.readCertificate);
  const slots = createSlots({ count: options.concurrency ?? CONCURRENCY, bytes: BYTES_IN_FLIGHT });
  const running = new Set<Promise<void>>();
  const sockets = new Set<Socket>();
  const shown = new WeakMap<Socket, string>();
  const cutOff = new AbortController();
  let current: ServingCertificate | undefined;
  let isStopping = false;
  let port: number | undefined;
  metrics.showsUntil(0);

  const server = createServer({
    ALPNProtocols: ["http/1.1"],
    // 1.2 for API servers in builds that are restricted to certified cryptography.
    minVersion: "TLSv1.2",
    keepAliveTimeout: KEEP_ALIVE_MS,
    handshakeTimeout: HEADERS_MS,
    headersTimeout: HEADERS_MS,
    requestTimeout: REQUEST_MS,
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("tlsClientError", (error) => log.debug({ error: error.message }, "a TLS handshake failed"));
  server.on("secureConnection", (socket: TLSSocket) => {
    const { fingerprint256 } = (socket.getCertificate() ?? {}) as { readonly fingerprint256?: string };
    if (fingerprint256 !== undefined) shown.set(socket, fingerprint256);
  });
  server.on("request", (request, response) => {
    const work = answerRequest(request, response).finally(() => running.delete(work));
    running.add(work);
  });

  const answerRequest = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    // Whoever finds the port may send a path that is no part of any URL, such as "//".
    const url = URL.parse(request.url ?? "/", "https://localhost");
    const webhook = byPath.get(url?.pathname ?? "");
    if (url === null || webhook === undefined || request.method !== "POST") {
      const known = webhook === undefined ? "no webhook has this path" : "a webhook is called with POST";
      return send(response, 404, textOfError(new OperatorError("ROUTE_NOT_FOUND", known)));
    }
    const startedAt = clock.monotonic();
    const finished = metrics.began(webhook.path);
    const { code, text } = await answerReview(webhook, request, {
      response,
      deadlineMs: answerDeadlineMs(url.searchParams, webhook.deadlineMs),
    });
    finished(code, (clock.monotonic() - startedAt) / 1000);
    send(response, code, text);
  };

  const answerReview = async (
    webhook: Webhook,
    request: IncomingMessage,
    how: { readonly response: ServerResponse; readonly deadlineMs: number },
  ): Promise<{ code: number; text: string }> => {
    const limit = startAnswerLimit(how.deadlineMs, cutOff.signal, how.response);
    let giveBack: (() => void) | undefined;
    try {
      giveBack = await slots.take(bodyBytes(request, webhook.bodyBytesMax), limit.signal);
      if (giveBack === undefined) throw limit.error();
      const review = await readJson(request, webhook.bodyBytesMax, limit.signal);
      const context = { signal: limit.signal, log, onPanic: () => metrics.panicked(webhook) };
      const body = await Promise.race([webhook.answer(review, context), limit.passed]);
      // Here, so that an answer that JSON cannot say is a failure of this request and not of the process.
      return { code: 200, text: JSON.stringify(body) };
    } catch (thrown) {
      const error = limit.signal.aborted ? limit.error() : toOperatorError(thrown);
      log.warn({ webhook: webhook.path, code: error.code, error: error.message }, "no answer to a webhook request");
      return { code: error.status, text: textOfError(error) };
    } finally {
      giveBack?.();
      limit.clear();
    }
  };

  const send = (response: ServerResponse, code: number, text: string): void => {
    if (response.destroyed) return;
    const { req } = response;
    // An unread body would be taken for the next request, and an older certificate must not live on.
    const isLast = isStopping || !req.complete || shown.get(req.socket) !== current?.fingerprint;
    response.writeHead(code, {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(text),
      ...(isLast ? { connection: "close" } : {}),
    });
    response.end(text);
  };

  const use = (certificate: ServingCertificate): void => {
    server.setSecureContext({ cert: certificate.certPem, key: certificate.keyPem, minVersion: "TLSv1.2" });
    current = certificate;
    metrics.showsUntil(certificate.notAfter);
    const { fingerprint, notAfter } = certificate;
    log.info({ fingerprint, notAfter: new Date(notAfter).toISOString() }, "the webhook server shows a new certificate");
  };

  const ready = (): Readiness => {
    const trouble = source.trouble();
    const more = trouble === undefined ? [] : [trouble];
    if (isStopping) return { ok: false, reasons: ["stopping"] };
    if (current === undefined) return { ok: false, reasons: ["no certificate yet", ...more] };
    const invalid = invalidAt(current, clock.now());
    if (invalid !== undefined) return { ok: false, reasons: [`the certificate ${invalid}`, ...more] };
    return { ok: true, reasons: more };
  };

  return {
    name: "webhooks",
    needs: "every",
    ready,
    port: () => port,
    fingerprint: () => current?.fingerprint,
    run: async (signal) => {
      port = await listen(server, options);
      log.info({ port, webhooks: [...byPath.keys()] }, "the webhook server listens");
      const looking = new AbortController();
      const source_ = source.run(looking.signal, use);
      await aborted(signal);
      isStopping = true;
      await clock.sleep(options.drainMs ?? DRAIN_MS);
      await stop({ server, running, sockets, cutOff, clock });
      looking.abort();
      await source_;
    },
  };
}

/** Takes no more connections, lets what runs end, and cuts off what does not. @throws OperatorError WEBHOOK_TIMEOUT */
async function stop(parts: {
  readonly server: Server;
  readonly running: ReadonlySet<Promise<void>>;
  /** Of all connections. */
  readonly sockets: ReadonlySet<Socket>;
  readonly cutOff: AbortController;
  readonly clock: Clock;
}): Promise<void> {
  const { server, running, sockets, cutOff, clock } = parts;
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const grace = new AbortController();
  await Promise.race([Promise.all(running), clock.sleep(GRACE_MS, grace.signal)]);
  grace.abort();
  const left = running.size;
  cutOff.abort();
  await Promise.all(running);
  server.closeAllConnections();
  // The HTTP server knows nothing of those that never began to speak TLS.
  for (const socket of sockets) socket.destroy();
  await closed;
  if (left > 0) throw new OperatorError("WEBHOOK_TIMEOUT", `${left} requests did not end in time and were cut off`);
}

function listen(server: Server, { port, host }: Pick<WebhookServerOptions, "port" | "host">): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) =>
      reject(new OperatorError("CONFIG_INVALID", `port ${port} cannot be opened: ${cause.message}`, { cause })),
    );
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}

function textOfError(error: OperatorError): string {
  return JSON.stringify(statusOfError(error));
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
