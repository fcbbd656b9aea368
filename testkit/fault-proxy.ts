import { Pool } from "undici";
import type { KubeEndpoint } from "../lib/kube/transport.ts";
import {
  type FaultServer,
  type FaultServerAnswer,
  type FaultServerRequest,
  isWatchRequest,
  startFaultServer,
  urlOf,
} from "./fault-server.ts";
import { statusBody, statusOf } from "./status-error.ts";
import type { WatchPipe } from "./watch-pipe.ts";

/** What the proxy needs to know of the server behind it; a `TestControlPlane` is one. */
export interface ProxiedServer {
  endpoint(namespace?: string): KubeEndpoint;
}

/** Headers that the two connections do not share. Nothing comes compressed: faults cut and count plain lines. */
const OWN_HEADERS = new Set([
  "accept-encoding",
  "connection",
  "content-length",
  "host",
  "keep-alive",
  "transfer-encoding",
]);

/**
 * A proxy in front of a real API server that misbehaves in every way that the fake can. Clients speak plain HTTP to it;
 * it speaks to the server with the endpoint's credentials, whatever theirs are. Answers other than watches pass as a
 * whole; upgrades (exec, port-forward) do not pass.
 * @param random in [0, 1), for faults with a chance
 */
export async function startFaultProxy(behind: ProxiedServer, random: () => number = () => 0.5): Promise<FaultServer> {
  const endpoint = behind.endpoint();
  const { headers: credentials, tls } = await endpoint.credentials();
  const pool = new Pool(endpoint.server, {
    connections: null,
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { ...(tls.ca === undefined ? {} : { ca: tls.ca }) },
  });
  /** Everything before the first list of a selection after the compaction is gone; here are the versions of those lists. */
  let compaction: { readonly as: "status" | "frame"; readonly oldest: Map<string, number> } | undefined;

  const goneAnswer = (as: "status" | "frame", message: string): FaultServerAnswer => {
    const status = { status: 410, message };
    if (as === "status") return { status: 410, body: statusBody(status) };
    return {
      feed: (pipe) => {
        pipe.line(JSON.stringify({ type: "ERROR", object: statusOf(status) }));
        pipe.end();
      },
    };
  };

  /** A 410 where the compaction asks for one. */
  const refuseOld = (request: FaultServerRequest): FaultServerAnswer | undefined => {
    if (compaction === undefined || request.method !== "GET") return undefined;
    const { as, oldest } = compaction;
    const from = oldest.get(selectionOf(request));
    if (request.query.has("continue")) {
      return from === undefined ? goneAnswer("status", "The provided continue parameter is too old") : undefined;
    }
    if (!isWatchRequest(request)) return undefined;
    const version = Number(request.query.get("resourceVersion") ?? "");
    // A streaming list shows the present by itself, and the watch goes on from there.
    if (version === 0) oldest.set(selectionOf(request), from ?? 0);
    else if (from === undefined || version < from) return goneAnswer(as, "too old resource version");
    return undefined;
  };

  /** Notes the version of a list. A look at one object of it counts as well: it makes nothing older available. */
  const noteList = (request: FaultServerRequest, body: string): void => {
    if (compaction === undefined || request.method !== "GET" || compaction.oldest.has(selectionOf(request))) return;
    const { items, metadata } = JSON.parse(body) as { items?: unknown; metadata?: { resourceVersion?: string } };
    if (items !== undefined) compaction.oldest.set(selectionOf(request), Number(metadata?.resourceVersion));
  };

  const forward = async (request: FaultServerRequest): Promise<FaultServerAnswer> => {
    const refused = refuseOld(request);
    if (refused !== undefined) return refused;
    const stop = new AbortController();
    const kept = Object.entries(request.headers).filter(([name]) => !OWN_HEADERS.has(name));
    const response = await pool.request({
      method: request.method,
      path: urlOf(request),
      headers: { ...Object.fromEntries(kept), ...credentials },
      body: request.body === "" ? null : request.body,
      signal: stop.signal,
    });
    if (isWatchRequest(request) && response.statusCode === 200) {
      return { feed: (pipe) => void pour(response.body, pipe, stop) };
    }
    const retryAfter = response.headers["retry-after"];
    const body = await response.body.text();
    if (response.statusCode === 200) noteList(request, body);
    return {
      status: response.statusCode,
      body,
      headers: {
        ...(typeof retryAfter === "string" ? { "retry-after": retryAfter } : {}),
        "content-type": String(response.headers["content-type"]),
      },
    };
  };

  const server = await startFaultServer({
    carryOut: forward,
    random,
    compact: (as) => {
      compaction = { as, oldest: new Map() };
    },
  });
  return {
    ...server,
    heal: () => {
      server.heal();
      compaction = undefined;
    },
    close: async () => {
      await server.close();
      await pool.destroy();
    },
  };
}

function selectionOf({ path, query }: FaultServerRequest): string {
  return `${path} ${query.get("labelSelector")} ${query.get("fieldSelector")}`;
}

/** Lines of the server's watch into the client's, until either ends. */
async function pour(body: AsyncIterable<Uint8Array>, pipe: WatchPipe, stop: AbortController): Promise<void> {
  pipe.onClose(() => stop.abort());
  let rest = "";
  const decoder = new TextDecoder();
  try {
    for await (const chunk of body) {
      const lines = `${rest}${decoder.decode(chunk, { stream: true })}`.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) pipe.line(line);
    }
    pipe.end();
  } catch {
    // The server's side broke, or the client left: either way the client's side ends as abruptly.
    pipe.cut(false);
  }
}
