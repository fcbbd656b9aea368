import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { KubeEndpoint } from "../lib/kube/transport.ts";
import type { Fault, FaultAction, FaultTarget, SeenRequest } from "./faults.ts";
import { statusBody } from "./status-error.ts";
import { type ActiveTrouble, createWatchPipe, type WatchPipe } from "./watch-pipe.ts";

/** A request that is to be carried out. */
export interface FaultServerRequest extends SeenRequest {
  readonly headers: IncomingHttpHeaders;
}

/** What carrying it out gave: an answer, or an accepted watch. */
export type FaultServerAnswer =
  | {
      readonly status: number;
      readonly body: string;
      readonly headers?: Readonly<Record<string, string>> | undefined;
    }
  /** `feed` is called at once, in the same turn as the answer's head is written. */
  | { readonly feed: (pipe: WatchPipe) => void };

export interface FaultServerOptions {
  /** Carries a request out. What it throws is answered as 500. */
  readonly carryOut: (request: FaultServerRequest) => FaultServerAnswer | Promise<FaultServerAnswer>;
  /** See `FaultTarget.compact`. */
  readonly compact: (as: "status" | "frame") => void;
  /** In [0, 1); decides about faults with a chance. */
  readonly random: () => number;
  /** The credentials that clients use; none unless told. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** The front of the fake and of the proxy: it sees each request, and misbehaves as it is told. */
export interface FaultServer extends FaultTarget {
  readonly pipes: ReadonlySet<WatchPipe>;
  /** For the transport of a client that talks to this server. */
  endpoint(namespace?: string): KubeEndpoint;
  close(): Promise<void>;
}

/** Listens on a free port of loopback, plain HTTP. */
export async function startFaultServer(options: FaultServerOptions): Promise<FaultServer> {
  const faults: { fault: Fault; left: number }[] = [];
  const troubles: ActiveTrouble[] = [];
  const seen: SeenRequest[] = [];
  const pipes = new Set<WatchPipe>();
  const sockets = new Set<Socket>();
  const silenced = new WeakSet<Socket>();

  const takeFault = (request: SeenRequest): FaultAction | undefined => {
    const isWatch = isWatchRequest(request);
    const entry = faults.find(
      ({ fault }) =>
        (fault.method === undefined || fault.method === request.method) &&
        (fault.watch === undefined || fault.watch === isWatch) &&
        (fault.path === undefined || fault.path.test(urlOf(request))) &&
        (fault.chance === undefined || options.random() < fault.chance),
    );
    if (entry === undefined) return undefined;
    entry.left -= 1;
    if (entry.left <= 0) faults.splice(faults.indexOf(entry), 1);
    return entry.fault.action;
  };

  const reply = (
    answer: FaultServerAnswer,
    to: { readonly request: SeenRequest; readonly response: ServerResponse; readonly action: FaultAction | undefined },
  ): void => {
    const { request, response, action } = to;
    if (response.socket !== null && silenced.has(response.socket)) return;
    if (action?.type === "lose-answer") return void response.destroy();
    const isCut = action?.type === "cut-answer";
    if (!("feed" in answer)) {
      const body = Buffer.from(answer.body);
      response.writeHead(answer.status, {
        "content-type": "application/json",
        ...answer.headers,
        "content-length": body.length,
      });
      if (!isCut) return void response.end(body);
      response.write(body.subarray(0, Math.floor(body.length / 2)), () => response.destroy());
      return;
    }
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    const pipe = createWatchPipe({
      url: urlOf(request),
      response,
      troubles: () => troubles,
      random: options.random,
      cutFirstLine: isCut,
    });
    pipes.add(pipe);
    pipe.onClose(() => pipes.delete(pipe));
    answer.feed(pipe);
  };

  const serve = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await readBody(incoming);
    if (silenced.has(incoming.socket)) return;
    const url = new URL(incoming.url ?? "/", "http://localhost");
    const request: SeenRequest = {
      method: incoming.method ?? "GET",
      path: url.pathname,
      query: url.searchParams,
      userAgent: incoming.headers["user-agent"] ?? "",
      body,
    };
    seen.push(request);
    const action = takeFault(request);
    switch (action?.type) {
      case "hang":
        return;
      case "reset":
        return void incoming.socket.destroy();
      case "answer": {
        await action.until;
        if (action.afterMs !== undefined) await sleep(action.afterMs);
        const headers = action.retryAfterSeconds === undefined ? {} : { "retry-after": `${action.retryAfterSeconds}` };
        const text = action.body ?? statusBody({ status: action.status, message: "injected fault" });
        return reply({ status: action.status, body: text, headers }, { request, response, action: undefined });
      }
      case "wait":
        await action.until;
        break;
      case "delay":
        await sleep(action.ms);
        break;
      default:
    }
    // Gone while it waited: as on a real server, what was not begun is not done.
    if (response.destroyed) return;
    reply(await options.carryOut({ ...request, headers: incoming.headers }), { request, response, action });
  };

  const http = createServer((incoming, response) => {
    serve(incoming, response).catch((error: unknown) => {
      if (response.headersSent || response.destroyed) return void response.destroy();
      response.writeHead(500, { "content-type": "application/json" });
      response.end(statusBody({ status: 500, message: String(error) }));
    });
  });
  http.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((done) => http.listen(0, "127.0.0.1", done));
  const server = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const credentials = { headers: options.headers ?? {}, tls: {} };

  return {
    server,
    pipes,
    endpoint: (namespace = "default") => ({
      server,
      namespace,
      credentials: async () => credentials,
      forget: () => undefined,
    }),
    inject: (fault) => added(faults, { fault, left: fault.times ?? 1 }),
    troubleWatches: (trouble, scope = {}) => added(troubles, { trouble, scope }),
    watches: () => pipes.size,
    cutWatches: (how = {}) => {
      for (const pipe of take(pipes)) pipe.cut(how.half === true);
    },
    endWatches: () => {
      for (const pipe of take(pipes)) pipe.end();
    },
    stallWatches: () => {
      for (const pipe of pipes) pipe.stall();
    },
    silenceConnections: () => {
      for (const socket of sockets) silenced.add(socket);
      for (const pipe of pipes) pipe.stall();
    },
    sendLine: (line) => {
      for (const pipe of pipes) pipe.line(line);
    },
    compact: options.compact,
    heal: () => {
      faults.length = 0;
      troubles.length = 0;
    },
    requests: () => seen,
    writes: () => seen.filter(({ method }) => method !== "GET"),
    forgetRequests: () => {
      seen.length = 0;
    },
    close: async () => {
      http.closeAllConnections();
      await new Promise((done) => http.close(done));
    },
  };
}

/** True for a request that stays open. */
export function isWatchRequest({ query }: Pick<SeenRequest, "query">): boolean {
  return query.get("watch") === "true" || query.get("watch") === "1";
}

/** Path and query of a request. */
export function urlOf({ path, query }: SeenRequest): string {
  const text = query.toString();
  return text === "" ? path : `${path}?${text}`;
}

/** Puts an entry into a list. @returns a function that takes it out */
function added<T>(list: T[], entry: T): () => void {
  list.push(entry);
  return () => {
    const index = list.indexOf(entry);
    if (index >= 0) list.splice(index, 1);
  };
}

/** Empties a set: a watch that ends counts as closed at once, not when its socket says so. */
function take<T>(set: Set<T>): T[] {
  const all = [...set];
  set.clear();
  return all;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}
