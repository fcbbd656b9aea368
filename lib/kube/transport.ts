import { type Dispatcher, Pool, ProxyAgent, WebSocket } from "undici";

/** What a TLS connection to the API server needs, all PEM text. */
export interface TlsMaterial {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly serverName?: string;
  /** Only when a kubeconfig says `insecure-skip-tls-verify`. */
  readonly insecureSkipVerify?: boolean;
}

/** How to prove who we are, at this moment. */
export interface Credentials {
  /** Usually `authorization`; lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** The same object as long as nothing changed: a new one makes the transport open new connections. */
  readonly tls: TlsMaterial;
}

/** An API server and our credentials there. */
export interface KubeEndpoint {
  /** URL, with a path prefix when the server sits behind one. */
  readonly server: string;
  /** URL of an HTTP proxy in front of it, when there is one. */
  readonly proxy?: string | undefined;
  /** Namespace of our own, or of the current context. */
  readonly namespace: string;
  /** Credentials that are valid now; asked before each request, so it must be cheap. @throws OperatorError */
  credentials(): Promise<Credentials>;
  /** Forgets cached credentials, after the server answered 401. */
  forget(): void;
}

/** One HTTP exchange. `path` includes the query. */
export interface TransportRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
  /**
   * It waits for nobody: it gets a connection that no ordinary request uses, and one more for each that is under way.
   */
  readonly urgent?: boolean;
  /** A long read: it gets a connection of its own, so that watches never starve requests. */
  readonly stream?: boolean;
  /**
   * Called when a connection is free and the first byte is about to be written. When it throws, nothing is sent and the
   * request fails with that error: what had to wait must not be sent on behalf of a right that ended meanwhile.
   */
  readonly fence?: (() => void) | undefined;
}

/** A WebSocket to the server. `path` includes the query. */
export interface SocketRequest {
  readonly path: string;
  /** The sub-protocol. */
  readonly protocol: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** Status, headers, and a body that must be read or destroyed. */
export type TransportResponse = Pick<Dispatcher.ResponseData, "statusCode" | "headers" | "body">;

/** Pooled HTTP/1.1 connections to one API server. */
export interface Transport {
  /** Host and port, for metrics. */
  readonly host: string;
  /** Sends one request. @throws what undici throws; `OperatorError` from the credentials */
  send(request: TransportRequest): Promise<TransportResponse>;
  /** A WebSocket that is being opened, for binary messages. @throws `OperatorError` from the credentials */
  openSocket(request: SocketRequest): Promise<WebSocket>;
  /** See `KubeEndpoint.forget`. */
  forgetCredentials(): void;
  /**
   * The request of this signal got no answer in its time: later ones of its kind use new connections, since one that died
   * without a word speaks for those that are as old. What is under way goes on.
   */
  distrust(signal: AbortSignal): void;
  /** Ends all connections; running requests fail. */
  close(): Promise<void>;
}

/** Parallel ordinary requests: the rate rises up to this number and falls after it (measured on two cores). */
export const CONNECTIONS_MAX = 16;
/** A TCP and TLS handshake that takes longer will not end well. */
const CONNECT_TIMEOUT_MS = 10_000;
/** Below the idle limits of the usual load balancers (60 s and more), so that we close first. */
const KEEP_ALIVE_MS = 45_000;
/** First TCP probe of a silent connection. */
const TCP_KEEP_ALIVE_MS = 30_000;

/** Connections of one kind of request: as many as that, `null` for one each. */
const POOLS = { requests: CONNECTIONS_MAX, urgent: null, streams: null } as const;

type Pools = Readonly<Record<keyof typeof POOLS, Dispatcher>> & { readonly tls: TlsMaterial };

/** Opens nothing yet: connections are made with the first requests. */
export function createTransport(endpoint: KubeEndpoint): Transport {
  const url = new URL(endpoint.server);
  const prefix = url.pathname.replace(/\/+$/, "");
  let pools: Pools | undefined;
  /** Which pool carries a request. */
  const carriers = new WeakMap<AbortSignal, Dispatcher>();
  /** What still runs of pools that nothing new uses. */
  const retired = new Set<Dispatcher>();
  let closed = false;

  const open = (kind: keyof typeof POOLS, tls: TlsMaterial): Dispatcher => dispatcherOf(endpoint, tls, POOLS[kind]);

  /** Idle connections end now, busy ones with what they carry. */
  const retire = (pool: Dispatcher): void => {
    retired.add(pool);
    const forget = (): unknown => retired.delete(pool);
    pool.close().then(forget, forget);
  };

  const current = (tls: TlsMaterial): Pools => {
    if (pools !== undefined && pools.tls === tls) return pools;
    // Running requests and watches of the old pools end by themselves; new ones use the new certificates.
    if (pools !== undefined) for (const pool of dispatchersOf(pools)) retire(pool);
    pools = { tls, requests: open("requests", tls), urgent: open("urgent", tls), streams: open("streams", tls) };
    return pools;
  };

  const renew = (from: Pools, ...kinds: (keyof typeof POOLS)[]): void => {
    for (const kind of kinds) retire(from[kind]);
    pools = { ...from, ...Object.fromEntries(kinds.map((kind) => [kind, open(kind, from.tls)])) };
  };

  const connect = async (signal: AbortSignal) => {
    // A plugin that asks somebody who is not there ends when it likes; who waits for it has a deadline.
    const { headers, tls } = await untilAborted(endpoint.credentials(), signal);
    signal.throwIfAborted();
    if (closed) throw new Error("the transport is closed");
    return { headers, ...current(tls) };
  };

  return {
    host: url.host,
    send: async (request) => {
      const { headers, ...all } = await connect(request.signal);
      const pool = all[request.stream === true ? "streams" : request.urgent === true ? "urgent" : "requests"];
      carriers.set(request.signal, pool);
      const response = (request.fence === undefined ? pool : pool.compose(behind(request.fence))).request({
        origin: url.origin,
        method: request.method,
        path: `${prefix}${request.path}`,
        headers: { ...request.headers, ...headers },
        body: request.body ?? null,
        signal: request.signal,
      });
      return untilAborted(response, request.signal);
    },
    openSocket: async (request) => {
      const { headers, streams } = await connect(request.signal);
      const socket = new WebSocket(`${url.origin.replace(/^http/, "ws")}${prefix}${request.path}`, {
        protocols: request.protocol,
        headers: { ...request.headers, ...headers },
        dispatcher: streams,
      });
      socket.binaryType = "arraybuffer";
      return socket;
    },
    forgetCredentials: () => endpoint.forget(),
    distrust: (signal) => {
      const carrier = carriers.get(signal);
      if (pools === undefined || closed) return;
      if (carrier === pools.urgent) renew(pools, "urgent");
      // A watch that ended in order leaves a connection of that age behind.
      if (carrier === pools.requests) renew(pools, "requests", "streams");
    },
    close: async () => {
      closed = true;
      const all = [...retired, ...(pools === undefined ? [] : dispatchersOf(pools))];
      await Promise.all(all.map((pool) => pool.destroy()));
    },
  };
}

function dispatchersOf({ requests, urgent, streams }: Pools): Dispatcher[] {
  return [requests, urgent, streams];
}

/** Runs the fence at the last moment before a request is written; undici drops a request whose start throws. */
function behind(fence: () => void): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) =>
    dispatch(options, {
      onRequestStart: (controller, context) => {
        fence();
        handler.onRequestStart?.(controller, context);
      },
      onResponseStart: (...args) => handler.onResponseStart?.(...args),
      onResponseData: (...args) => handler.onResponseData?.(...args),
      onResponseEnd: (...args) => handler.onResponseEnd?.(...args),
      onResponseError: (...args) => handler.onResponseError?.(...args),
    });
}

/**
 * Rejects at the moment of the abort. undici alone does so only once the request has a connection: while a frozen server
 * accepts TCP but not TLS, that takes as long as the connection's own time limit.
 */
function untilAborted<T>(response: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    void response.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

function dispatcherOf(endpoint: KubeEndpoint, tls: TlsMaterial, connections: number | null): Dispatcher {
  const options = poolOptions(tls, connections);
  const { origin } = new URL(endpoint.server);
  if (endpoint.proxy === undefined) return new Pool(origin, options);
  // The proxy's own certificate is checked against the system's CAs; the server's CA is for the server.
  const { connect: requestTls, ...others } = options;
  return new ProxyAgent({ ...others, uri: endpoint.proxy, requestTls: requestTls as object });
}

function poolOptions(tls: TlsMaterial, connections: number | null): Pool.Options {
  return {
    connections,
    pipelining: 1,
    // Over HTTP/2 all requests would share one connection and its fate.
    allowH2: false,
    // Limits on headers and body are the client's: it knows which request is a watch.
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    connect: {
      timeout: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
      minVersion: "TLSv1.3",
      ...(tls.ca === undefined ? {} : { ca: tls.ca }),
      ...(tls.cert === undefined ? {} : { cert: tls.cert }),
      ...(tls.key === undefined ? {} : { key: tls.key }),
      ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
      ...(tls.insecureSkipVerify === true ? { rejectUnauthorized: false } : {}),
    },
  };
}
