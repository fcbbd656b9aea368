import { isOperatorError } from "../core/errors.ts";
import type { ObjectClient, ReadOptions, Selection, WriteOptions } from "./client.ts";
import { apiVersionOf, collectionPath, type ObjectRef, objectPath, type Query, refOf } from "./paths.ts";
import type { Requests } from "./requests.ts";
import type { KubeObject, ResourceType } from "./types.ts";

/** kube-rs' page size: a page of Secrets stays in the low megabytes. */
const PAGE_SIZE = 500;

const PATCH_TYPES = { merge: "application/merge-patch+json", json: "application/json-patch+json" } as const;
/** JSON is YAML; this media type is accepted by every version that knows server-side apply. */
const APPLY_TYPE = "application/apply-patch+yaml";

/** Reads and writes of objects. */
export function createObjectClient({ request }: Pick<Requests, "request">): ObjectClient {
  const get = async <T extends KubeObject>(type: ResourceType<T>, ref: ObjectRef, how?: ReadOptions): Promise<T> =>
    (await request({ method: "GET", path: objectPath(type, ref, how?.subresource), idempotent: true }, how)) as T;

  async function* pages<T extends KubeObject>(type: ResourceType<T>, how: Parameters<ObjectClient["pages"]>[1] = {}) {
    let next: string | undefined;
    do {
      const query: Query = { ...selectionQuery(how), limit: how.pageSize ?? PAGE_SIZE, continue: next };
      const call = { method: "GET", path: collectionPath(type, how.namespace), query, idempotent: true } as const;
      const page = (await request(call, how)) as {
        metadata?: { resourceVersion?: string; continue?: string };
        items?: T[] | null;
      };
      // Items of built-in kinds come without apiVersion and kind.
      const named = { apiVersion: apiVersionOf(type), kind: type.kind };
      yield {
        resourceVersion: page.metadata?.resourceVersion ?? "",
        items: (page.items ?? []).map((item) => ({ ...item, ...named })),
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
