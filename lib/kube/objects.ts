import { isOperatorError } from "../core/errors.ts";
import type { ObjectClient, ReadOptions, Selection, WriteOptions } from "./object-client.ts";
import { collectionPath, type ObjectRef, objectPath, type Query, refOf } from "./paths.ts";
import type { Requests } from "./requests.ts";
import type { KubeObject, ResourceType } from "./types.ts";

/** kube-rs' page size: a page of Secrets stays in the low megabytes. */
const PAGE_SIZE = 500;

const PATCH_TYPES = { merge: "application/merge-patch+json", json: "application/json-patch+json" } as const;
/** JSON is YAML; this media type is accepted by every version that knows server-side apply. */
const APPLY_TYPE = "application/apply-patch+yaml";

/** A list as it comes. */
interface RawList<T> {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly T[] | null;
}

/** Reads and writes of objects. */
export function createObjectClient({ request }: Pick<Requests, "request">): ObjectClient {
  const get = async <T extends KubeObject>(type: ResourceType<T>, ref: ObjectRef, how?: ReadOptions): Promise<T> =>
    (await request({ method: "GET", path: objectPath(type, ref, how?.subresource), idempotent: true }, how)) as T;

  async function* pages<T extends KubeObject>(type: ResourceType<T>, how: Parameters<ObjectClient["pages"]>[1] = {}) {
    let next: string | undefined;
    let isWhole = false;
    const read = (limit: number | undefined) => {
      const query: Query = { ...selectionQuery(how), limit, continue: next };
      const call = { method: "GET", path: collectionPath(type, how.namespace), query, idempotent: true } as const;
      return request(call, how) as Promise<RawList<T>>;
    };
    do {
      let page: RawList<T>;
      let isRestart = false;
      try {
        page = await read(isWhole ? undefined : (how.pageSize ?? PAGE_SIZE));
      } catch (error) {
        // Once: whoever pages without being asked to, and loses that too, is not helped by a third beginning.
        if (next === undefined || isWhole || !isLost(error)) throw error;
        next = undefined;
        isWhole = true;
        isRestart = true;
        page = await read(undefined);
      }
      // Items of built-in kinds come without apiVersion and kind.
      const named = { apiVersion: type.apiVersion, kind: type.kind };
      yield {
        resourceVersion: page.metadata?.resourceVersion ?? "",
        items: (page.items ?? []).map((item) => ({ ...item, ...named })),
        ...(isRestart ? { isRestart } : {}),
      };
      next = page.metadata?.continue === "" ? undefined : page.metadata?.continue;
    } while (next !== undefined);
  }

  return {
    get,
    find: async (type, ref, how) => {
      try {
        return await get(type, ref, how);
      } catch (error) {
        if (isOperatorError(error, "KUBE_NOT_FOUND")) return undefined;
        throw error;
      }
    },
    pages,
    list: async <T extends KubeObject>(type: ResourceType<T>, how?: Parameters<ObjectClient["list"]>[1]) => {
      const items: T[] = [];
      let resourceVersion = "";
      for await (const page of pages(type, how)) {
        if (page.isRestart === true) items.length = 0;
        for (const item of page.items) items.push(item);
        resourceVersion = page.resourceVersion;
      }
      return { resourceVersion, items };
    },
    create: async <T extends KubeObject>(type: ResourceType<T>, object: T, how?: WriteOptions) => {
      const path =
        how?.subresource === undefined
          ? collectionPath(type, object.metadata.namespace)
          : objectPath(type, refOf(object), how.subresource);
      return (await request(
        { method: "POST", path, query: writeQuery(how), body: object, idempotent: false },
        how,
      )) as T;
    },
    replace: async <T extends KubeObject>(type: ResourceType<T>, object: T, how?: WriteOptions) => {
      const path = objectPath(type, refOf(object), how?.subresource);
      return (await request(
        { method: "PUT", path, query: writeQuery(how), body: object, idempotent: false },
        how,
      )) as T;
    },
    apply: async <T extends KubeObject>(...[type, object, how]: Parameters<ObjectClient["apply"]>) =>
      (await request(
        {
          method: "PATCH",
          path: objectPath(type, refOf(object), how.subresource),
          query: { ...writeQuery(how), force: how.force === true ? true : undefined },
          body: object,
          contentType: APPLY_TYPE,
          idempotent: true,
        },
        how,
      )) as T,
    patch: async <T extends KubeObject>(...[type, ref, how]: Parameters<ObjectClient["patch"]>) =>
      (await request(
        {
          method: "PATCH",
          path: objectPath(type, ref, how.subresource),
          query: writeQuery(how),
          body: how.patch,
          contentType: PATCH_TYPES[how.format],
          idempotent: how.format === "merge",
        },
        how,
      )) as T,
    delete: async <T extends KubeObject>(...[type, ref, how = {}]: Parameters<ObjectClient["delete"]>) => {
      const { uid, resourceVersion } = how;
      const body = {
        apiVersion: "v1",
        kind: "DeleteOptions",
        propagationPolicy: how.propagation ?? "Background",
        gracePeriodSeconds: how.gracePeriodSeconds,
        ...(uid === undefined && resourceVersion === undefined ? {} : { preconditions: { uid, resourceVersion } }),
        ...(how.dryRun === true ? { dryRun: ["All"] } : {}),
      };
      const answer = (await request(
        { method: "DELETE", path: objectPath(type, ref), body, idempotent: true },
        how,
      )) as T;
      return answer.kind === type.kind ? answer : undefined;
    },
  };
}

/**
 * A further page that the server cannot give: its version was compacted away (410, also with a token for an inconsistent
 * rest, which nobody here wants), or the token reached it garbled, or not at all because a proxy takes no such query (400,
 * 414). As client-go's pager does, the list is then read without a limit.
 */
function isLost(error: unknown): boolean {
  return isOperatorError(error, "KUBE_GONE") || isOperatorError(error, "KUBE_INVALID");
}

function selectionQuery({ labelSelector, fieldSelector }: Selection): Query {
  return { labelSelector, fieldSelector };
}

function writeQuery(how: WriteOptions = {}): Query {
  return {
    fieldManager: how.fieldManager,
    fieldValidation: how.fieldValidation,
    dryRun: how.dryRun === true ? "All" : undefined,
  };
}
