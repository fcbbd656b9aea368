import type { KubeObject, ResourceType } from "../../lib/kube/types.ts";
import { type FaultServerAnswer, type FaultServerRequest, isWatchRequest } from "../fault-server.ts";
import { StatusError, statusBody } from "../status-error.ts";
import { hasStatus } from "./admission.ts";
import { createFakeLists } from "./lists.ts";
import { badRequest, detailsOf, invalid, methodNotAllowed, noSuchPath, notFound, optionsOf } from "./refusals.ts";
import { builtInKind, type Collection, collectionOf, type ParsedPath, parsePath } from "./requests.ts";
import type { FakeStore, RemoveHow, StoreKey } from "./store-types.ts";
import { createFakeWatches } from "./watches.ts";

/** The HTTP face of a store. */
export interface FakeApi {
  /** Never throws for what a client did wrong: that is an answer. */
  carryOut(request: FaultServerRequest): FaultServerAnswer;
  /** See `FaultTarget.compact`. */
  compact(as: "status" | "frame"): void;
  bookmark(): void;
  /** Serves the kind, as all kinds are at the start. */
  define(type: ResourceType): void;
  /**
   * Takes the kind away: its objects are deleted, its watches end, and there is no such path.
   * @throws Error for a finalizer; on a real server it holds the definition of the kind too
   */
  undefine(type: ResourceType): void;
}

/** What the server says of itself. */
const VERSION = { major: "1", minor: "37", gitVersion: "v1.37.2" };

export function createFakeApi(store: FakeStore): FakeApi {
  const lists = createFakeLists(store);
  const watches = createFakeWatches(store);
  const undefinedKinds = new Set<string>();

  const answer = (request: FaultServerRequest): FaultServerAnswer => {
    if (request.path === "/version") return ok(VERSION);
    const { collection, name, subresource } = parsePath(request.path);
    const { query } = request;
    if (undefinedKinds.has(collection.id)) return PAGE_NOT_FOUND;
    if (name === undefined) {
      if (request.method === "POST") return ok(create(store, collection, request), 201);
      if (request.method !== "GET") throw methodNotAllowed();
      if (isWatchRequest(request)) return { feed: watches.open(collection, query) };
      return ok(lists.answer(collection, query));
    }
    const key: StoreKey = { collection: collection.id, namespace: collection.namespace ?? "", name };
    if (subresource === "eviction" && request.method === "POST") return ok(evict(store, key, request), 201);
    if (subresource !== undefined && (subresource !== "status" || !hasStatus(collection.id))) throw noSuchPath();
    switch (request.method) {
      case "GET": {
        const found = store.get(key);
        if (found === undefined) throw notFound(key);
        return ok(found);
      }
      case "PUT": {
        const object = parseObject(request.body, { collection, name, subresource });
        return ok(store.replace(key, object, { ...writerOf(request, "UpdateOptions"), subresource }));
      }
      case "PATCH":
        return patch(store, key, { request, path: { collection, name, subresource } });
      case "DELETE": {
        const uid = store.get(key)?.metadata.uid;
        const rest = store.remove(key, removeHow(request));
        const success = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success" };
        return ok(rest ?? { ...success, details: detailsOf(key, uid) });
      }
      default:
        throw methodNotAllowed();
    }
  };

  return {
    carryOut: (request) => {
      try {
        return answer(request);
      } catch (error) {
        if (!(error instanceof StatusError)) throw error;
        const { retryAfterSeconds } = error.details;
        const headers = typeof retryAfterSeconds === "number" ? { "retry-after": `${retryAfterSeconds}` } : {};
        return { status: error.status, body: statusBody(error), headers };
      }
    },
    compact: (as) => {
      watches.tellGone(as);
      lists.compact();
      store.compact();
    },
    bookmark: watches.bookmark,
    define: (type) => void undefinedKinds.delete(collectionOf(type)),
    undefine: (type) => {
      const id = collectionOf(type);
      for (const { key } of store.all().filter((entry) => entry.key.collection === id)) {
        if (store.remove(key, {}) !== undefined) throw new Error(`a finalizer holds ${key.name}, and with it its kind`);
      }
      undefinedKinds.add(id);
      watches.end(id);
    },
  };
}

/** Of a path that no server serves; in plain text, and not as a Status. */
const PAGE_NOT_FOUND: FaultServerAnswer = {
  status: 404,
  body: "404 page not found\n",
  headers: { "content-type": "text/plain; charset=utf-8" },
};

function ok(object: unknown, status = 200): FaultServerAnswer {
  return { status, body: JSON.stringify(object) };
}

function create(store: FakeStore, collection: Collection, request: FaultServerRequest): KubeObject {
  const object = parseObject(request.body, { collection, name: undefined, subresource: undefined });
  if (object.metadata.resourceVersion !== undefined) {
    const message = "resourceVersion should not be set on objects to be created";
    throw new StatusError({ status: 500, reason: "", message });
  }
  const key = { collection: collection.id, namespace: collection.namespace ?? "", name: object.metadata.name };
  return store.create(key, object, writerOf(request, "CreateOptions"));
}

function patch(
  store: FakeStore,
  key: StoreKey,
  { request, path }: { readonly request: FaultServerRequest; readonly path: ParsedPath },
): FaultServerAnswer {
  const media = request.headers["content-type"] ?? "";
  const { subresource } = path;
  const isApply = media.startsWith("application/apply-patch");
  const how = { ...writerOf(request, "PatchOptions"), subresource };
  if (isApply) {
    if ((request.query.get("fieldManager") ?? "") === "") {
      const message = "Required value: is required for apply patch";
      throw invalid(optionsOf("PatchOptions"), "fieldManager", { reason: "Required", message });
    }
    const body = parseJson(request.body) as Partial<KubeObject>;
    if (body.kind === undefined || body.apiVersion === undefined) {
      throw badRequest(`invalid object type: /, Kind=${body.kind ?? ""}`);
    }
    const object = parseObject(request.body, path);
    if (object.metadata["managedFields"] !== undefined) throw badRequest("metadata.managedFields must be nil");
    const isNew = store.get(key) === undefined;
    const applied = store.apply(key, object, { ...how, force: request.query.get("force") === "true" });
    return ok(applied, isNew ? 201 : 200);
  }
  if (request.query.has("force")) {
    const message = "Forbidden: may not be specified for non-apply patch";
    throw invalid(optionsOf("PatchOptions"), "force", { reason: "Forbidden", message });
  }
  const body = parseJson(request.body);
  if (media.startsWith("application/merge-patch")) {
    if (body === null || typeof body !== "object" || Array.isArray(body)) {
      throw badRequest("error decoding patch: json: cannot unmarshal the patch into an object");
    }
    const { name } = (body as Partial<KubeObject>).metadata ?? {};
    if (name !== undefined && name !== key.name) throw wrongName(name, key.name);
    return ok(store.merge(key, body, how));
  }
  if (media.startsWith("application/json-patch")) return ok(store.patch(key, body, how));
  throw new StatusError({ status: 415, message: "415: Unsupported Media Type" });
}

/** A pod's eviction; disruption budgets are not looked at (a 429 can be injected). */
function evict(store: FakeStore, key: StoreKey, request: FaultServerRequest): object {
  if (key.collection !== "/pods") throw noSuchPath();
  const { deleteOptions } = parseJson(request.body) as { deleteOptions?: { preconditions?: RemoveHow } };
  store.remove(key, deleteOptions?.preconditions ?? {});
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 };
}

function removeHow({ body, query }: FaultServerRequest): RemoveHow {
  const options = (body === "" ? {} : parseJson(body)) as {
    preconditions?: { uid?: string; resourceVersion?: string };
    propagationPolicy?: string;
    dryRun?: string[];
  };
  const propagation = options.propagationPolicy ?? query.get("propagationPolicy") ?? "Background";
  if (propagation !== "Background" && propagation !== "Foreground" && propagation !== "Orphan") {
    const supported = 'supported values: "Foreground", "Background", "Orphan", "nil"';
    const message = `Unsupported value: "${propagation}": ${supported}`;
    throw invalid(optionsOf("DeleteOptions"), "propagationPolicy", { reason: "NotSupported", message });
  }
  const dryRun = options.dryRun?.includes("All") === true || isDryRun(query, "DeleteOptions");
  return { ...options.preconditions, propagation, dryRun };
}

function writerOf({ query, userAgent }: FaultServerRequest, options: string) {
  const manager = query.get("fieldManager") ?? userAgent.split("/")[0] ?? "unknown";
  return { manager, dryRun: isDryRun(query, options) };
}

/** @throws StatusError 422 for any value but `All` */
function isDryRun(query: URLSearchParams, options: string): boolean {
  const value = query.get("dryRun") ?? "";
  if (value === "" || value === "All") return value === "All";
  const message = `Unsupported value: ["${value}"]: supported values: "All"`;
  throw invalid(optionsOf(options), "dryRun", { reason: "NotSupported", message });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw badRequest("the body is not JSON");
  }
}

/** An object that fits its path, with its kind. @throws StatusError 400 */
function parseObject(text: string, { collection, name }: ParsedPath): KubeObject {
  const body = parseJson(text) as Partial<KubeObject> | null;
  if (body === null || typeof body !== "object" || Array.isArray(body)) throw badRequest("the body is not an object");
  const metadata = { ...body.metadata } as KubeObject["metadata"];
  metadata.name ??= name ?? "";
  const known = builtInKind(collection.id);
  const kind = body.kind ?? known;
  if (kind === undefined) throw badRequest("Object 'Kind' is missing");
  if (known !== undefined && kind !== known) throw badRequest(`${kind} cannot be handled as a ${known}`);
  const apiVersion = body.apiVersion ?? collection.apiVersion;
  if (apiVersion !== collection.apiVersion) {
    throw badRequest(`the API version in the data (${apiVersion}) does not match the expected API version`);
  }
  if (name !== undefined && metadata.name !== name) throw wrongName(metadata.name, name);
  if ((metadata.namespace ?? "") !== "" && metadata.namespace !== collection.namespace) {
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  }
  return { ...body, apiVersion, kind, metadata };
}

function wrongName(name: string, wanted: string): StatusError {
  return badRequest(`the name of the object (${name}) does not match the name on the URL (${wanted})`);
}
