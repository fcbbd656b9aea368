import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Clock, systemClock } from "../../lib/core/clock.ts";
import { createKubeClient, type KubeClient } from "../../lib/kube/client.ts";
import { createTransport, type KubeEndpoint } from "../../lib/kube/transport.ts";
import type { KubeObject, ResourceType } from "../../lib/kube/types.ts";
import { labelMatcher } from "../kube/selectors.ts";
import { createFakeStore, type FakeStore, StatusError, type StoreEvent, type StoreKey } from "./fake-store.ts";

/** What to do to a request instead of, before or after answering it. */
export type FaultAction =
  | {
      readonly type: "answer";
      readonly status: number;
      readonly retryAfterSeconds?: number;
      readonly body?: string;
      /** The answer leaves only then. */
      readonly until?: Promise<unknown>;
    }
  /** The connection breaks before the server does anything. */
  | { readonly type: "reset" }
  /** The server does it, and the connection breaks before the answer. */
  | { readonly type: "lose-answer" }
  /** No answer ever. */
  | { readonly type: "hang" }
  /** Carried out only then. */
  | { readonly type: "wait"; readonly until: Promise<unknown> };

/** A fault for the next requests that match. */
export interface Fault {
  readonly method?: string;
  /** Tested against path and query. */
  readonly path?: RegExp;
  /** Only watches, or only other requests; both when left out. */
  readonly watch?: boolean;
  /** 1 unless told; Infinity for always. */
  readonly times?: number;
  readonly action: FaultAction;
}

/** A request as the server saw it. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly userAgent: string;
  readonly body: string;
}

/** An API server in this process, over a real socket, that can misbehave in every way that was ever seen. */
export interface FakeKube {
  /** `http://127.0.0.1:port` */
  readonly server: string;
  /** The objects, for test set-up and for asserting the state of the world; changes reach watches. */
  readonly store: FakeStore;
  client(options?: { readonly clock?: Clock; readonly userAgent?: string }): KubeClient;
  endpoint(): KubeEndpoint;
  /** Adds a fault; the first one that matches is used. @returns a function that takes it away */
  inject(fault: Fault): () => void;
  /** All requests since the start or the last `forgetRequests`. */
  requests(): readonly SeenRequest[];
  /** Those that can change something: POST, PUT, PATCH, DELETE. */
  writes(): readonly SeenRequest[];
  forgetRequests(): void;
  /** Number of open watches. */
  watches(): number;
  /** Sends a bookmark to each watch. */
  bookmark(): void;
  /** Breaks each watch's connection; `half` sends the beginning of a line before that. */
  cutWatches(how?: { readonly half?: boolean }): void;
  /** Ends each watch in order, as a server does after `timeoutSeconds`. */
  endWatches(): void;
  /** From now on open watches receive nothing and stay open. */
  stallWatches(): void;
  /** Sends a line to each watch. */
  sendLine(line: string): void;
  /** Compaction: older versions answer 410, as HTTP status or as a frame. */
  compact(as: "status" | "frame"): void;
  close(): Promise<void>;
}

interface OpenWatch {
  readonly response: ServerResponse;
  readonly collection: string;
  readonly namespace: string | undefined;
  readonly matches: (object: KubeObject) => boolean;
  stalled: boolean;
}

/** `/api/v1/namespaces/ns/pods/name/status` and its shorter forms. */
const PATH =
  /^\/(?:api\/(?<core>[^/]+)|apis\/(?<group>[^/]+)\/(?<version>[^/]+))(?:\/namespaces\/(?<namespace>[^/]+))?\/(?<plural>[^/]+)(?:\/(?<name>[^/]+))?(?:\/(?<subresource>[^/]+))?$/;

/** Starts a server with no objects on a free port of loopback. */
export async function startFakeKube(): Promise<FakeKube> {
  const store = createFakeStore();
  const faults: { fault: Fault; left: number }[] = [];
  const seen: SeenRequest[] = [];
  const watches = new Set<OpenWatch>();
  const clients: KubeClient[] = [];
  const continuations = new Map<string, { readonly version: number; readonly items: readonly KubeObject[] }>();
  let goneAs: "status" | "frame" = "status";

  const http = createServer((request, response) => {
    void (async () => {
      const body = await readBody(request);
      const url = new URL(request.url ?? "/", "http://localhost");
      const one: SeenRequest = {
        method: request.method ?? "GET",
        path: url.pathname,
        query: url.searchParams,
        userAgent: request.headers["user-agent"] ?? "",
        body,
      };
      seen.push(one);
      const action = takeFault(one);
      if (action?.type === "hang") return;
      if (action?.type === "reset") return void request.socket.destroy();
      if (action?.type === "wait") await action.until;
      if (action?.type === "answer") {
        await action.until;
        const retryAfter =
          action.retryAfterSeconds === undefined ? {} : { "retry-after": String(action.retryAfterSeconds) };
        response.writeHead(action.status, { "content-type": "application/json", ...retryAfter });
        response.end(action.body ?? statusBody(new StatusError(action.status, "Injected", "injected fault")));
        return;
      }
      try {
        const answer = carryOut(one, request, response);
        if (answer === undefined) return;
        if (action?.type === "lose-answer") return void request.socket.destroy();
        send(response, answer.status, answer.body);
      } catch (error) {
        if (!(error instanceof StatusError)) throw error;
        send(response, error.status, statusBody(error));
      }
    })().catch((error: unknown) =>
      send(response, 500, statusBody(new StatusError(500, "InternalError", String(error)))),
    );
  });

  const takeFault = (request: SeenRequest): FaultAction | undefined => {
    const isWatch = request.query.get("watch") === "true";
    const index = faults.findIndex(
      ({ fault }) =>
        (fault.method === undefined || fault.method === request.method) &&
        (fault.watch === undefined || fault.watch === isWatch) &&
        (fault.path === undefined || fault.path.test(`${request.path}?${request.query.toString()}`)),
    );
    const entry = faults[index];
    if (entry === undefined) return undefined;
    entry.left -= 1;
    if (entry.left <= 0) faults.splice(index, 1);
    return entry.fault.action;
  };

  const carryOut = (
    request: SeenRequest,
    incoming: IncomingMessage,
    response: ServerResponse,
  ): { readonly status: number; readonly body: string } | undefined => {
    const parts = PATH.exec(request.path)?.groups;
    if (parts === undefined) throw new StatusError(404, "NotFound", "the server could not find the requested resource");
    const collection = `${parts["group"] ?? ""}/${parts["plural"]}`;
    const { namespace, name, subresource } = parts;
    const manager = request.query.get("fieldManager") ?? request.userAgent.split("/")[0] ?? "unknown";
    const ok = (object: unknown, status = 200) => ({ status, body: JSON.stringify(object) });

    if (name === undefined && request.method === "GET") {
      if (request.query.get("watch") === "true") return void openWatch({ collection, namespace, request, response });
      return ok(list({ collection, namespace, query: request.query, apiVersion: apiVersionOf(parts) }));
    }
    const object = request.body === "" ? undefined : (JSON.parse(request.body) as KubeObject);
    const key = (of: string): StoreKey => ({ collection, namespace: namespace ?? "", name: of });
    if (name === undefined)
      return ok(store.create(key(object?.metadata.name ?? ""), object as KubeObject, manager), 201);
    switch (request.method) {
      case "GET": {
        const found = store.get(key(name));
        if (found === undefined) throw new StatusError(404, "NotFound", `${collection} "${name}" not found`);
        return ok(found);
      }
      case "PUT":
        return ok(store.replace(key(name), object as KubeObject, { manager, subresource }));
      case "DELETE": {
        const options = object as { preconditions?: { uid?: string; resourceVersion?: string } } | undefined;
        const rest = store.remove(key(name), options?.preconditions ?? {});
        return ok(rest ?? { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success" });
      }
      case "PATCH": {
        const media = incoming.headers["content-type"] ?? "";
        if (media.startsWith("application/apply-patch")) {
          const force = request.query.get("force") === "true";
          return ok(store.apply(key(name), object as KubeObject, { manager, force, subresource }));
        }
        if (media.startsWith("application/merge-patch"))
          return ok(store.merge(key(name), object, { manager, subresource }));
        throw new StatusError(415, "UnsupportedMediaType", `${media} is not built here`);
      }
      default:
        throw new StatusError(405, "MethodNotAllowed", request.method);
    }
  };

  const list = (what: {
    readonly collection: string;
    readonly namespace: string | undefined;
    readonly query: URLSearchParams;
    readonly apiVersion: string;
  }) => {
    const limit = Number(what.query.get("limit") ?? "0");
    const token = what.query.get("continue");
    let page = {
      version: store.version(),
      items: store.list(what.collection, what.namespace).filter(matcherOf(what.query)) as readonly KubeObject[],
    };
    if (token !== null) {
      const rest = continuations.get(token);
      if (rest === undefined) throw new StatusError(410, "Expired", "The provided continue parameter is too old");
      continuations.delete(token);
      page = { ...rest };
    }
    const items = limit > 0 ? page.items.slice(0, limit) : page.items;
    const metadata: Record<string, string> = { resourceVersion: String(page.version) };
    if (items.length < page.items.length) {
      metadata["continue"] = `after-${items.at(-1)?.metadata.name}-${page.version}-${page.items.length}`;
      continuations.set(metadata["continue"], { version: page.version, items: page.items.slice(items.length) });
    }
    // As the real server: items of a list come without apiVersion and kind.
    return {
      apiVersion: what.apiVersion,
      kind: "List",
      metadata,
      items: items.map(({ apiVersion: _a, kind: _k, ...rest }) => rest),
    };
  };

  const openWatch = (what: {
    readonly collection: string;
    readonly namespace: string | undefined;
    readonly request: SeenRequest;
    readonly response: ServerResponse;
  }): void => {
    const { collection, namespace, response } = what;
    const replay = store.since(Number(what.request.query.get("resourceVersion") ?? "0"));
    const gone = new StatusError(410, "Expired", "too old resource version");
    if (replay === undefined && goneAs === "status") throw gone;
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    if (replay === undefined)
      return void response.end(`${JSON.stringify({ type: "ERROR", object: statusOf(gone) })}\n`);
    const watch: OpenWatch = {
      response,
      collection,
      namespace,
      matches: matcherOf(what.request.query),
      stalled: false,
    };
    for (const event of replay) deliver(watch, event);
    watches.add(watch);
    response.on("close", () => watches.delete(watch));
  };

  const deliver = (watch: OpenWatch, event: StoreEvent): void => {
    if (watch.stalled || event.key.collection !== watch.collection) return;
    if (watch.namespace !== undefined && watch.namespace !== event.key.namespace) return;
    const was = event.before !== undefined && watch.matches(event.before);
    const is = event.after !== undefined && watch.matches(event.after);
    if (!was && !is) return;
    const object = is
      ? event.after
      : { ...event.before, metadata: { ...event.before?.metadata, resourceVersion: String(event.version) } };
    watch.response.write(`${JSON.stringify({ type: is ? (was ? "MODIFIED" : "ADDED") : "DELETED", object })}\n`);
  };
  store.subscribe((event) => {
    for (const watch of watches) deliver(watch, event);
  });

  await new Promise<void>((done) => http.listen(0, "127.0.0.1", done));
  const server = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const endpoint = (): KubeEndpoint => {
    const tls = {};
    return { server, namespace: "default", credentials: async () => ({ headers: {}, tls }), forget: () => undefined };
  };

  return {
    server,
    store,
    endpoint,
    client: (options = {}) => {
      const client = createKubeClient({
        transport: createTransport(endpoint()),
        namespace: "default",
        userAgent: options.userAgent ?? "shieldx/test",
        clock: options.clock ?? systemClock,
        random: () => 0.5,
      });
      clients.push(client);
      return client;
    },
    inject: (fault) => {
      const entry = { fault, left: fault.times ?? 1 };
      faults.push(entry);
      return () => {
        const index = faults.indexOf(entry);
        if (index >= 0) faults.splice(index, 1);
      };
    },
    requests: () => seen,
    writes: () => seen.filter(({ method }) => method !== "GET"),
    forgetRequests: () => {
      seen.length = 0;
    },
    watches: () => watches.size,
    bookmark: () => {
      const metadata = { resourceVersion: String(store.version()) };
      for (const { response, stalled } of watches) {
        if (!stalled) response.write(`${JSON.stringify({ type: "BOOKMARK", object: { metadata } })}\n`);
      }
    },
    cutWatches: (how = {}) => {
      for (const watch of watches) {
        watches.delete(watch);
        if (how.half === true) watch.response.write('{"type":"MODIFIED","obj');
        // A turn later, so that the half line is on its way.
        setImmediate(() => watch.response.destroy());
      }
    },
    endWatches: () => {
      for (const watch of watches) {
        watches.delete(watch);
        watch.response.end();
      }
    },
    stallWatches: () => {
      for (const watch of watches) watch.stalled = true;
    },
    sendLine: (line) => {
      for (const { response } of watches) response.write(`${line}\n`);
    },
    compact: (as) => {
      goneAs = as;
      continuations.clear();
      store.compact();
    },
    close: async () => {
      await Promise.all(clients.map((client) => client.close()));
      http.closeAllConnections();
      await new Promise((done) => http.close(done));
    },
  };
}

/** Key of an object in the fake's store. */
export function storeKey(type: ResourceType, namespace: string, name: string): StoreKey {
  return { collection: `${type.group}/${type.plural}`, namespace: type.namespaced ? namespace : "", name };
}

function matcherOf(query: URLSearchParams): (object: KubeObject) => boolean {
  const matches = labelMatcher(query.get("labelSelector") ?? "");
  const name = /^metadata\.name=(.+)$/.exec(query.get("fieldSelector") ?? "")?.[1];
  return ({ metadata }) => matches(metadata.labels) && (name === undefined || metadata.name === name);
}

function apiVersionOf(parts: Readonly<Record<string, string | undefined>>): string {
  return parts["core"] ?? `${parts["group"]}/${parts["version"]}`;
}

function statusOf(error: StatusError): object {
  return {
    kind: "Status",
    apiVersion: "v1",
    status: "Failure",
    message: error.message,
    reason: error.reason,
    code: error.status,
    details: { causes: error.causes },
  };
}

function statusBody(error: StatusError): string {
  return JSON.stringify(statusOf(error));
}

function send(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(body);
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}
