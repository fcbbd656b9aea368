import type { KubeObject } from "../../../lib/kube/types.ts";
import type { FakeStore, StoreKey } from "../fake-store.ts";
import { type FaultServerAnswer, type FaultServerRequest, isWatchRequest } from "../fault-server.ts";
import { StatusError, statusBody } from "../status-error.ts";
import { createFakeLists } from "./lists.ts";
import { parsePath } from "./requests.ts";
import { createFakeWatches } from "./watches.ts";

/** The HTTP face of a store. */
export interface FakeApi {
  /** Never throws for what a client did wrong: that is an answer. */
  carryOut(request: FaultServerRequest): FaultServerAnswer;
  /** See `FaultTarget.compact`. */
  compact(as: "status" | "frame"): void;
  bookmark(): void;
}

export function createFakeApi(store: FakeStore): FakeApi {
  const lists = createFakeLists(store);
  const watches = createFakeWatches(store);

  const write = (request: FaultServerRequest, key: StoreKey, subresource: string | undefined): unknown => {
    const object = parseBody(request.body);
    const manager = request.query.get("fieldManager") ?? request.userAgent.split("/")[0] ?? "unknown";
    switch (request.method) {
      case "PUT":
        return store.replace(key, object, { manager, subresource });
      case "DELETE": {
        const options = object as { preconditions?: { uid?: string; resourceVersion?: string } } | undefined;
        const rest = store.remove(key, options?.preconditions ?? {});
        return rest ?? { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success" };
      }
      case "PATCH": {
        const media = request.headers["content-type"] ?? "";
        if (media.startsWith("application/apply-patch")) {
          const force = request.query.get("force") === "true";
          return store.apply(key, object, { manager, force, subresource });
        }
        if (media.startsWith("application/merge-patch")) return store.merge(key, object, { manager, subresource });
        throw new StatusError({ status: 415, message: "415: Unsupported Media Type", details: {} });
      }
      default:
        throw new StatusError({
          status: 405,
          message: "the server does not allow this method on the requested resource",
        });
    }
  };

  const answer = (request: FaultServerRequest): FaultServerAnswer => {
    const { collection, name, subresource } = parsePath(request.path);
    const key = (of: string): StoreKey => ({
      collection: collection.id,
      namespace: collection.namespace ?? "",
      name: of,
    });
    const ok = (object: unknown, status = 200) => ({ status, body: JSON.stringify(object) });
    if (name !== undefined) {
      if (request.method !== "GET") return ok(write(request, key(name), subresource));
      const found = store.get(key(name));
      if (found === undefined) throw notFound(key(name));
      return ok(found);
    }
    if (request.method === "GET") {
      if (isWatchRequest(request)) return { feed: watches.open(collection, request.query) };
      return ok(lists.answer(collection, request.query));
    }
    const object = parseBody(request.body);
    const manager = request.query.get("fieldManager") ?? request.userAgent.split("/")[0] ?? "unknown";
    return ok(store.create(key(object.metadata.name), object, manager), 201);
  };

  return {
    carryOut: (request) => {
      try {
        return answer(request);
      } catch (error) {
        if (!(error instanceof StatusError)) throw error;
        return { status: error.status, body: statusBody(error) };
      }
    },
    compact: (as) => {
      watches.tellGone(as);
      lists.compact();
      store.compact();
    },
    bookmark: watches.bookmark,
  };
}

function parseBody(text: string): KubeObject {
  return (text === "" ? undefined : JSON.parse(text)) as KubeObject;
}

function notFound(key: StoreKey): StatusError {
  return new StatusError({ status: 404, message: `${key.collection} "${key.name}" not found` });
}
