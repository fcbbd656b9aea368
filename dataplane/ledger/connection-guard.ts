/**
 * Keeps the connections of the API within bounds of number and time, whoever is at the other end:
 *
 *   opened ──► TLS handshake ──► stranger ──a key was shown──► client
 *                 │ 10 s            │ may have to go             │ a part for each key
 *                 ▼                 ▼                            ▼
 *   each request: 30 s for all its bytes, answer, 30 s until it was taken; then 75 s of silence end the connection
 *
 * Requests are known here from their headers to the moment when their answer has left or their connection is gone.
 */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import { createServer, type Server } from "node:https";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Clock } from "../../lib/core/clock.ts";
import { OperatorError, toProblem } from "../../lib/core/errors.ts";
import type { Holding, RequestLimits } from "./request-limits.ts";
import { createStrangerTable } from "./stranger-table.ts";
import { discard } from "./unread-body.ts";

/** How long a client may take. */
export interface Deadlines {
  /** For the TLS handshake. */
  readonly handshakeMs: number;
  /** For all of a request: headers and body. */
  readonly requestMs: number;
  /** Until it has taken its answer. */
  readonly answerMs: number;
  /** Of silence between two requests. */
  readonly idleMs: number;
}

export const DEADLINES: Deadlines = { handshakeMs: 10_000, requestMs: 30_000, answerMs: 30_000, idleMs: 75_000 };

/** Of path, query and headers together: Node's limit. */
export const HEADERS_BYTES_MAX = 16 * 1024;
/** Connections on which no key was shown; those of clients are limited by key (request-limits.ts). */
const STRANGERS_MAX = 1_024;
const STRANGER_GRACE_MS = 1_000;
/** Requests that one connection may send ahead of their answers. */
const PIPELINED_MAX = 32;
/** Node looks each 30 s unless told, and a limit of 30 s would be one of a minute. */
const CHECK_MS = 1_000;
/** The other pods of the ledger: they are one client, and need no key to be one. */
const PODS = "pods of the ledger";

/** A request that is still coming when the server stops. */
const STOP_GRACE_MS = 2_000;
/** After the stop of the server, for what is left: an answer that nobody takes. */
const STOP_END_MS = 3_000;

/**
 * Why a connection was cut: no handshake, no whole request or an answer not taken in time, bytes that are no request, too many
 * requests ahead of their answers, too many connections without a key, the end of the server.
 */
export type CutReason = "tls" | "request" | "answer" | "unreadable" | "pipelined" | "strangers" | "stopping";

export interface GuardOptions {
  readonly tls: { readonly certPem: string; readonly keyPem: string };
  readonly limits: RequestLimits;
  readonly isPeer: (socket: TLSSocket) => boolean;
  readonly clock: Pick<Clock, "monotonic">;
  readonly deadlines: Deadlines;
  readonly onCut: (reason: CutReason) => void;
}

export interface ConnectionGuard {
  /** The server, with whatever answers its requests. */
  serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Server;
  /** A key was shown. What the request holds is given back with the end of its answer. @throws OperatorError OVERLOADED, ABORTED */
  admit(request: IncomingMessage, key: string): Holding;
  /** Tells a client that asked before it sends (`Expect: 100-continue`) to go on. */
  invite(request: IncomingMessage): void;
  /** From now on the client has to take the answer. */
  answering(request: IncomingMessage): void;
  /** Answers bytes that never became a request, and ends their connection. */
  refuseUnreadable(error: Error & { readonly code?: string }, socket: Socket): void;
  /** For metrics. */
  counts(): { readonly strangers: number; readonly clients: number };
  /** Those who sent nothing are cut at once, half a request has two seconds, a whole one gets its answer within three. */
  stop(): void;
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  holding?: Holding;
  answeredAt?: number;
}

interface Connection {
  readonly raw: Socket;
  /** In the order of their answers. */
  readonly open: Set<Exchange>;
  /** Ends its part of the key's connections. */
  leave?: () => void;
  isCut: boolean;
}

export function createConnectionGuard(options: GuardOptions): ConnectionGuard {
  const { clock, deadlines, limits } = options;
  const connections = new Map<string, Connection>();
  const exchanges = new WeakMap<IncomingMessage, Exchange>();
  const strangers = createStrangerTable<Connection>({ max: STRANGERS_MAX, graceMs: STRANGER_GRACE_MS });

  const cut = (connection: Connection, reason: CutReason): void => {
    if (connection.isCut) return;
    connection.isCut = true;
    options.onCut(reason);
    connection.raw.destroy();
  };

  const onConnection = (raw: Socket): void => {
    const name = nameOf(raw);
    const connection: Connection = { raw, open: new Set(), isCut: false };
    connections.set(name, connection);
    raw.once("close", () => {
      connections.delete(name);
      strangers.remove(connection);
      connection.leave?.();
      for (const exchange of connection.open) exchange.holding?.release();
      connection.open.clear();
    });
    const leaving = strangers.admit(connection, raw.remoteAddress ?? "", clock.monotonic());
    if (leaving !== undefined) cut(leaving, "strangers");
  };

  const becomeClient = (connection: Connection, key: string): void => {
    if (connection.leave !== undefined) return;
    connection.leave = limits.connect(key);
    strangers.remove(connection);
  };

  const onSecure = (socket: TLSSocket): void => {
    const connection = connections.get(nameOf(socket));
    if (connection === undefined || !options.isPeer(socket)) return;
    try {
      becomeClient(connection, PODS);
    } catch {
      // It stays a stranger: a ledger has not so many pods.
    }
  };

  /** @returns false when the request is not to be answered */
  const enter = (request: IncomingMessage, response: ServerResponse): boolean => {
    const connection = connections.get(nameOf(request.socket));
    if (connection === undefined || connection.isCut) return false;
    if (connection.open.size >= PIPELINED_MAX) {
      cut(connection, "pipelined");
      return false;
    }
    const exchange: Exchange = { request, response };
    connection.open.add(exchange);
    exchanges.set(request, exchange);
    response.once("close", () => {
      if (connection.open.delete(exchange)) exchange.holding?.release();
    });
    return true;
  };

  let stoppedAt = Number.POSITIVE_INFINITY;
  const sweep = (): void => {
    const now = clock.monotonic();
    for (const connection of connections.values()) {
      const { open, leave } = connection;
      for (const { answeredAt } of open) {
        if (answeredAt !== undefined && now - answeredAt > deadlines.answerMs) cut(connection, "answer");
      }
      const isStranger = leave === undefined && open.size === 0;
      const isHalf = open.size > 0 && [...open].every(({ request }) => !request.complete);
      const waited = now - stoppedAt;
      const isOver = (isStranger && waited >= 0) || (isHalf && waited >= STOP_GRACE_MS) || waited >= STOP_END_MS;
      if (isOver) cut(connection, "stopping");
    }
  };
  const sweeping = setInterval(sweep, CHECK_MS);
  sweeping.unref();

  return {
    serve: (answer) => {
      const server = createServer({
        cert: options.tls.certPem,
        key: options.tls.keyPem,
        minVersion: "TLSv1.3",
        // Clients need no certificate; pods show theirs, and whose it is is looked at where it matters.
        requestCert: true,
        rejectUnauthorized: false,
        handshakeTimeout: deadlines.handshakeMs,
        maxHeaderSize: HEADERS_BYTES_MAX,
        headersTimeout: deadlines.requestMs,
        requestTimeout: deadlines.requestMs,
        keepAliveTimeout: deadlines.idleMs,
        connectionsCheckingInterval: Math.min(CHECK_MS, deadlines.requestMs),
      });
      const listener = (request: IncomingMessage, response: ServerResponse): void => {
        if (enter(request, response)) answer(request, response);
      };
      // A client that asks before it sends is told to go on when its body is wanted, not before.
      server.on("request", listener).on("checkContinue", listener);
      server.on("connection", onConnection).on("secureConnection", onSecure);
      server.once("close", () => clearInterval(sweeping));
      return server;
    },
    admit: (request, key) => {
      const exchange = exchanges.get(request);
      const connection = connections.get(nameOf(request.socket));
      if (exchange === undefined || connection?.open.has(exchange) !== true) {
        throw new OperatorError("ABORTED", "the client went away");
      }
      becomeClient(connection, key);
      exchange.holding = limits.begin(key);
      return exchange.holding;
    },
    invite: (request) => {
      if (request.headers.expect !== undefined) exchanges.get(request)?.response.writeContinue();
    },
    answering: (request) => {
      const exchange = exchanges.get(request);
      if (exchange !== undefined) exchange.answeredAt ??= clock.monotonic();
    },
    refuseUnreadable: (error, socket) => {
      const connection = connections.get(nameOf(socket));
      const found = explain(error.code, deadlines);
      if (connection === undefined || connection.isCut || found === undefined) return void socket.destroy();
      const { reason, problem } = found;
      // Where an earlier request waits for its answer, or this one's has begun, other bytes would be taken for it.
      const isAnswerable = [...connection.open].every(
        ({ request, response }) => !request.complete && !response.headersSent,
      );
      if (problem === undefined || !isAnswerable || !socket.writable) return cut(connection, reason);
      connection.isCut = true;
      options.onCut(reason);
      // The parser is done with it.
      socket.removeAllListeners("data");
      socket.end(printProblem(problem));
      void discard(socket).then(() => socket.destroy());
    },
    counts: () => ({ strangers: strangers.size(), clients: connections.size - strangers.size() }),
    stop: () => {
      stoppedAt = clock.monotonic();
      sweep();
    },
  };
}

/** One name for the socket under TLS and the one above it. */
function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** What an error of a connection means; `undefined` for one that ended by itself. */
function explain(
  code: string | undefined,
  { requestMs }: Deadlines,
): { readonly reason: CutReason; readonly problem?: OperatorError } | undefined {
  switch (code) {
    case "ERR_HTTP_REQUEST_TIMEOUT": {
      const problem = new OperatorError("REQUEST_TIMEOUT", `the request was not complete after ${requestMs / 1000} s`);
      return { reason: "request", problem };
    }
    case "HPE_HEADER_OVERFLOW": {
      const detail = `path, query and headers have more than ${HEADERS_BYTES_MAX} bytes`;
      return { reason: "unreadable", problem: new OperatorError("HEADERS_TOO_LARGE", detail) };
    }
    default:
      if (code?.startsWith("ERR_TLS_") || code?.startsWith("ERR_SSL_")) return { reason: "tls" };
      if (!code?.startsWith("HPE_")) return undefined;
      return {
        reason: "unreadable",
        problem: new OperatorError("REQUEST_INVALID", "the bytes that came are not an HTTP request"),
      };
  }
}

function printProblem(problem: OperatorError): string {
  const body = JSON.stringify(toProblem(problem));
  return (
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\nconnection: close\r\n` +
    `content-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  );
}
