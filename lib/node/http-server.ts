import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { OperatorError, toOperatorError } from "../core/errors.ts";
import type { Logger } from "./logger.ts";
import type { Metrics } from "./metrics.ts";

/** Answer of a probe. The reasons are printed for people; they hold no secrets. */
export interface ProbeResult {
  readonly ok: boolean;
  /** Why not, or what is known; one short line each. */
  readonly reasons?: readonly string[];
}

export interface ProbeServerOptions {
  /** 0 for any free port. */
  readonly port: number;
  /** All addresses unless told. */
  readonly host?: string;
  /** Restart the process when not ok. */
  readonly live: () => ProbeResult | Promise<ProbeResult>;
  /** Send no traffic when not ok. */
  readonly ready: () => ProbeResult | Promise<ProbeResult>;
  /** Served at `/metrics` when given. */
  readonly metrics?: Pick<Metrics, "text" | "contentType">;
  readonly log: Logger;
}

export interface ProbeServer {
  readonly port: number;
  /** Ends at once; open connections are cut. */
  close(): Promise<void>;
}

/** A probe that does not answer within the kubelet's patience is answered here, with the reason. */
const PROBE_TIMEOUT_MS = 5_000;
/** A connection is for one request, which is answered in milliseconds; whoever is slower to send or to read is cut. */
const CONNECTION_MS = 10_000;

/** Of the text format, where no library says it. */
export const METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Only the kubelet and a few Prometheus servers ask. One more connection ends the oldest one: nobody can keep them out. */
const CONNECTIONS_MAX = 64;

/**
 * Plain HTTP server of `/healthz`, `/readyz` and `/metrics`, for the kubelet and Prometheus.
 * @throws OperatorError CONFIG_INVALID when the port cannot be opened
 */
export function startProbeServer(options: ProbeServerOptions): Promise<ProbeServer> {
  const { live, ready, metrics } = options;
  return listen(options, async (path, response) => {
    if (path === "/healthz" || path === "/livez") return probe(response, live);
    if (path === "/readyz") return probe(response, ready);
    if (path === "/metrics" && metrics !== undefined) return sendMetrics(response, metrics);
    return send(response, 404, { text: "not found\n" });
  });
}

/**
 * Plain HTTP server of `/metrics` alone: whoever may reach it learns nothing else and can do nothing.
 * @throws OperatorError CONFIG_INVALID when the port cannot be opened
 */
export function startMetricsServer(
  options: Pick<ProbeServerOptions, "port" | "host" | "log"> & Required<Pick<ProbeServerOptions, "metrics">>,
): Promise<ProbeServer> {
  return listen(options, async (path, response) => {
    if (path === "/metrics") return sendMetrics(response, options.metrics);
    return send(response, 404, { text: "only /metrics is here\n" });
  });
}

async function sendMetrics(response: ServerResponse, metrics: Pick<Metrics, "text" | "contentType">): Promise<void> {
  send(response, 200, { text: await metrics.text(), type: metrics.contentType });
}

async function probe(response: ServerResponse, check: ProbeServerOptions["live"]): Promise<void> {
  const result = await withTimeout(check);
  const lines = [result.ok ? "ok" : "not ok", ...(result.reasons ?? [])];
  send(response, result.ok ? 200 : 503, { text: `${lines.join("\n")}\n` });
}

async function listen(
  options: Pick<ProbeServerOptions, "port" | "host" | "log">,
  answer: (path: string, response: ServerResponse) => Promise<void>,
): Promise<ProbeServer> {
  const { port, host, log } = options;
  const answerSafely = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    response.shouldKeepAlive = false;
    try {
      if (request.method !== "GET" && request.method !== "HEAD") {
        return send(response, 405, { text: "method not allowed\n" });
      }
      await answer(request.url?.split("?", 1)[0] ?? "/", response);
    } catch (error) {
      log.error({ path: request.url, error: toOperatorError(error).message }, "probe failed");
      if (!response.headersSent) response.writeHead(500, { "content-type": "text/plain" });
      response.end("internal error\n");
    }
  };
  const server = createServer((request, response) => void answerSafely(request, response));
  const open = new Set<Socket>();
  server.on("connection", (socket) => {
    open.add(socket);
    const late = setTimeout(() => socket.destroy(), CONNECTION_MS);
    late.unref();
    socket.once("close", () => {
      clearTimeout(late);
      open.delete(socket);
    });
    const [oldest] = open;
    if (oldest === undefined || open.size <= CONNECTIONS_MAX) return;
    open.delete(oldest);
    oldest.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => {
      reject(new OperatorError("CONFIG_INVALID", `port ${port} cannot be opened: ${cause.message}`, { cause }));
    });
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Body {
  readonly text: string;
  /** Plain text unless told. */
  readonly type?: string;
}

function send(response: ServerResponse, status: number, { text, type = "text/plain; charset=utf-8" }: Body): void {
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(text) });
  response.end(text);
}

async function withTimeout(check: () => ProbeResult | Promise<ProbeResult>): Promise<ProbeResult> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<ProbeResult>((resolve) => {
    timer = setTimeout(() => resolve({ ok: false, reasons: ["the check did not answer"] }), PROBE_TIMEOUT_MS);
  });
  try {
    return await Promise.race([Promise.resolve(check()), late]);
  } finally {
    clearTimeout(timer);
  }
}
