import { backoffMs, jitter } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import { isOperatorError, OperatorError } from "../core/errors.ts";
import { createDeadline } from "./deadline.ts";
import { errorFromAnswer, errorFromNetwork, isRetryable } from "./kube-errors.ts";
import { apiVersionOf, collectionPath, type ObjectRef, objectPath, queryText, refOf } from "./paths.ts";
import type { Transport, TransportRequest, TransportResponse } from "./transport.ts";
import type { KubeObject, ResourceType } from "./types.ts";
import { readWatch, type WatchEvent, type WatchOptions } from "./watch-stream.ts";

/** What every request takes. */
export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  /** For the whole call, retries included; 30 s unless told. */
  readonly timeoutMs?: number | undefined;
  /** Attempts after the first; 3 unless told. 0 for callers with a schedule of their own. */
  readonly retries?: number | undefined;
  /**
   * Called at each attempt, at the moment when the request is written to its connection; when it throws, nothing is sent
   * and the call rejects with that error. A write under a right that may end (a Lease) carries one. Such a call takes
   * at most 5 s here, and once the server has read it, at most 5 s there (see ADR 0013).
   */
  readonly fence?: (() => void) | undefined;
}

/** Which objects of a kind. */
export interface Selection {
  /** All namespaces when left out. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

export interface WriteOptions extends RequestOptions {
  readonly fieldManager?: string | undefined;
  /** For example `status`. */
  readonly subresource?: string | undefined;
}

export interface ApplyOptions extends WriteOptions {
  readonly fieldManager: string;
  /** Takes fields from other managers. Off: such a field is an error, KUBE_FIELD_CONFLICT. */
  readonly force?: boolean | undefined;
}

export interface PatchOptions extends WriteOptions {
  /** `merge`: RFC 7386; `json`: RFC 6902. */
  readonly format: "merge" | "json";
  readonly patch: unknown;
}

export interface DeleteOptions extends RequestOptions {
  /** Delete only this very object. */
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  /** What becomes of dependents; `Background` unless told. */
  readonly propagation?: "Background" | "Foreground" | "Orphan" | undefined;
  readonly gracePeriodSeconds?: number | undefined;
}

/** A list, or one page of it, at one resource version. */
export interface ObjectList<T extends KubeObject> {
  readonly resourceVersion: string;
  readonly items: T[];
}

/** One finished HTTP exchange, for metrics. */
export interface RequestRecord {
  /** HTTP status, or `<error>` when there was no answer (as client-go counts). */
  readonly code: string;
  readonly method: string;
  readonly host: string;
  readonly seconds: number;
}

/**
 * Kubernetes over raw JSON: fields that this program does not know survive. All methods reject with an OperatorError
 * whose code starts with KUBE_, or ABORTED when the caller's signal fires.
 */
export interface KubeClient {
  /** Namespace of the endpoint. */
  readonly namespace: string;
  get<T extends KubeObject>(type: ResourceType<T>, ref: ObjectRef, options?: RequestOptions): Promise<T>;
  /** As `get`, but `undefined` when the object does not exist. */
  find<T extends KubeObject>(type: ResourceType<T>, ref: ObjectRef, options?: RequestOptions): Promise<T | undefined>;
  /** The whole list, read in pages of 500. */
  list<T extends KubeObject>(type: ResourceType<T>, options?: Selection & RequestOptions): Promise<ObjectList<T>>;
  /** One page after the other; all pages show the same resource version. */
  pages<T extends KubeObject>(
    type: ResourceType<T>,
    options?: Selection & RequestOptions,
  ): AsyncGenerator<ObjectList<T>>;
  /** Events after a resource version; ends when the server ends the read (within 5 min), rejects when it breaks. */
  watch<T extends KubeObject>(type: ResourceType<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>>;
  create<T extends KubeObject>(type: ResourceType<T>, object: T, options?: WriteOptions): Promise<T>;
  /** Replaces the whole object; with `metadata.resourceVersion` only if it is still that one. */
  replace<T extends KubeObject>(type: ResourceType<T>, object: T, options?: WriteOptions): Promise<T>;
  /** Server-side apply. */
  apply<T extends KubeObject>(type: ResourceType<T>, object: KubeObject, options: ApplyOptions): Promise<T>;
  patch<T extends KubeObject>(type: ResourceType<T>, ref: ObjectRef, options: PatchOptions): Promise<T>;
  /** @returns the object when it stays for a while (finalizers, grace period), `undefined` when it is gone */
  delete<T extends KubeObject>(type: ResourceType<T>, ref: ObjectRef, options?: DeleteOptions): Promise<T | undefined>;
  /** Any other path below the server, answered in JSON; for example `/version`. */
  getPath(path: string, options?: RequestOptions): Promise<unknown>;
  /** Ends all connections. */
  close(): Promise<void>;
}

export interface KubeClientOptions {
  readonly transport: Transport;
  readonly namespace: string;
  /** `shieldx/<version> (<process>)`, so that audit logs tell the processes apart. */
  readonly userAgent: string;
  readonly clock: Clock;
  /** In [0, 1): spreads retries and watch ends. */
  readonly random: () => number;
  readonly onRequest?: (record: RequestRecord) => void;
}

/** No request of ours takes long on a healthy server; client-go's tools use the same. */
const TIMEOUT_MS = 30_000;
/**
 * A write under a Lease must be over before the next holder begins. It leaves at most 10 s after the last renewal, others
 * wait for 15 s; and when it lay unread in a frozen server, they wait for at least this long after the thaw
 * (`lib/kube/lease.ts`).
 */
const FENCED_TIMEOUT_MS = 5_000;
const RETRIES = 3;
const RETRY_BACKOFF = { baseMs: 250, capMs: 5_000 };
const RETRY_JITTER = 0.5;
/** kube-rs' page size: a page of Secrets stays in the low megabytes. */
const PAGE_SIZE = 500;

const JSON_TYPE = "application/json";
const PATCH_TYPES = { merge: "application/merge-patch+json", json: "application/json-patch+json" } as const;
/** JSON is YAML; this media type is accepted by every version that knows server-side apply. */
const APPLY_TYPE = "application/apply-patch+yaml";

interface Call {
  readonly method: TransportRequest["method"];
  /** Without the query. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  /** Doing it twice gives the same result: it may be sent again after a failure that leaves its outcome open. */
  readonly idempotent: boolean;
}

/** A client of one API server. Close it to end its connections; it does not own the process. */
export function createKubeClient(options: KubeClientOptions): KubeClient {
  const { transport, clock, random } = options;

  /** One attempt, from request to decoded body. */
  const attempt = async (
    call: Call,
    how: { signal: AbortSignal; fence?: RequestOptions["fence"] },
  ): Promise<unknown> => {
    const { signal } = how;
    const response = await send(call, how);
    const text = await response.body.text().catch((error: unknown) => {
      throw signal.aborted ? signal.reason : errorFromNetwork(call, error);
    });
    if (response.statusCode >= 300) {
      if (response.statusCode === 401) transport.forgetCredentials();
      const retryAfter = headerText(response, "retry-after");
      throw errorFromAnswer(call, { status: response.statusCode, body: text, retryAfter });
    }
    return parseAnswer(call, text);
  };

  const send = async (
    call: Call,
    how: { readonly signal: AbortSignal; readonly stream?: boolean; readonly fence?: RequestOptions["fence"] },
  ): Promise<TransportResponse> => {
    const startedAt = clock.monotonic();
    const record = (code: string): void =>
      options.onRequest?.({
        code,
        method: call.method,
        host: transport.host,
        seconds: (clock.monotonic() - startedAt) / 1000,
      });
    try {
      const response = await transport.send({
        method: call.method,
        path: `${call.path}${queryText(call.query ?? {})}`,
        headers: {
          accept: JSON_TYPE,
          "user-agent": options.userAgent,
          ...(call.body === undefined ? {} : { "content-type": call.contentType ?? JSON_TYPE }),
        },
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        ...how,
      });
      record(String(response.statusCode));
      return response;
    } catch (error) {
      record("<error>");
      throw how.signal.aborted ? how.signal.reason : errorFromNetwork(call, error);
    }
  };

  /** Attempts under one deadline, with waits in between. */
  const request = async (asked: Call, how: RequestOptions = {}): Promise<unknown> => {
    const { fence } = how;
    const timeoutMs =
      fence === undefined ? (how.timeoutMs ?? TIMEOUT_MS) : Math.min(how.timeoutMs ?? TIMEOUT_MS, FENCED_TIMEOUT_MS);
    // The server ends the request by itself after this time, counted from when it has read it.
    const call = fence === undefined ? asked : { ...asked, query: { ...asked.query, timeout: `${timeoutMs}ms` } };
    const endsAt = clock.monotonic() + timeoutMs;
    const deadline = createDeadline(timeoutMs, how.signal);
    try {
      for (let failures = 0; ; failures += 1) {
        try {
          return await attempt(call, { signal: deadline.signal, fence });
        } catch (thrown) {
          const error = inContext(call, thrown);
          // A 401 is worth one more try: the token on disk or the plugin's may have been renewed meanwhile.
          const again = isRetryable(error, call.idempotent) || (error.code === "KUBE_UNAUTHORIZED" && failures === 0);
          const waitMs = retryDelayMs(error, failures, random());
          if (!again || deadline.signal.aborted || failures >= (how.retries ?? RETRIES)) throw error;
          if (clock.monotonic() + waitMs >= endsAt) throw error;
          await clock.sleep(waitMs, deadline.signal);
          if (deadline.signal.aborted) throw inContext(call, deadline.signal.reason);
        }
      }
    } finally {
      deadline.clear();
    }
  };

  async function* pages<T extends KubeObject>(
    type: ResourceType<T>,
    how: Selection & RequestOptions = {},
  ): AsyncGenerator<ObjectList<T>> {
    let next: string | undefined;
    do {
      const page = (await request(
        {
          method: "GET",
          path: collectionPath(type, how.namespace),
          query: {
            labelSelector: how.labelSelector,
            fieldSelector: how.fieldSelector,
            limit: PAGE_SIZE,
            continue: next,
          },
          idempotent: true,
        },
        how,
      )) as { metadata?: { resourceVersion?: string; continue?: string }; items?: T[] | null };
      // Items of built-in kinds come without apiVersion and kind.
      const items = (page.items ?? []).map((item) => ({ ...item, apiVersion: apiVersionOf(type), kind: type.kind }));
      yield { resourceVersion: page.metadata?.resourceVersion ?? "", items };
      next = page.metadata?.continue === "" ? undefined : page.metadata?.continue;
    } while (next !== undefined);
  }

  const get = async <T extends KubeObject>(type: ResourceType<T>, ref: ObjectRef, how?: RequestOptions): Promise<T> =>
    (await request({ method: "GET", path: objectPath(type, ref), idempotent: true }, how)) as T;

  return {
    namespace: options.namespace,
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
    list: async <T extends KubeObject>(type: ResourceType<T>, how?: Selection & RequestOptions) => {
      const items: T[] = [];
      let resourceVersion = "";
      for await (const page of pages(type, how)) {
        for (const item of page.items) items.push(item);
        resourceVersion = page.resourceVersion;
      }
      return { resourceVersion, items };
    },
    watch: (type, how) =>
      readWatch(type, how, {
        random,
        open: (query, signal) => {
          const call: Call = { method: "GET", path: collectionPath(type, how.namespace), query, idempotent: true };
          return send(call, { signal, stream: true });
        },
        onUnauthorized: () => transport.forgetCredentials(),
      }),
    create: async <T extends KubeObject>(type: ResourceType<T>, object: T, how?: WriteOptions) =>
      (await request(
        {
          method: "POST",
          path: collectionPath(type, object.metadata.namespace),
          query: { fieldManager: how?.fieldManager },
          body: object,
          idempotent: false,
        },
        how,
      )) as T,
    replace: async <T extends KubeObject>(type: ResourceType<T>, object: T, how?: WriteOptions) =>
      (await request(
        {
          method: "PUT",
          path: objectPath(type, refOf(object), how?.subresource),
          query: { fieldManager: how?.fieldManager },
          body: object,
          idempotent: false,
        },
        how,
      )) as T,
    apply: async <T extends KubeObject>(type: ResourceType<T>, object: KubeObject, how: ApplyOptions) =>
      (await request(
        {
          method: "PATCH",
          path: objectPath(type, refOf(object), how.subresource),
          query: { fieldManager: how.fieldManager, force: how.force === true ? true : undefined },
          body: object,
          contentType: APPLY_TYPE,
          idempotent: true,
        },
        how,
      )) as T,
    patch: async <T extends KubeObject>(type: ResourceType<T>, ref: ObjectRef, how: PatchOptions) =>
      (await request(
        {
          method: "PATCH",
          path: objectPath(type, ref, how.subresource),
          query: { fieldManager: how.fieldManager },
          body: how.patch,
          contentType: PATCH_TYPES[how.format],
          idempotent: how.format === "merge",
        },
        how,
      )) as T,
    delete: async <T extends KubeObject>(type: ResourceType<T>, ref: ObjectRef, how?: DeleteOptions) => {
      const preconditions = { uid: how?.uid, resourceVersion: how?.resourceVersion };
      const answer = (await request(
        {
          method: "DELETE",
          path: objectPath(type, ref),
          body: {
            apiVersion: "v1",
            kind: "DeleteOptions",
            propagationPolicy: how?.propagation ?? "Background",
            gracePeriodSeconds: how?.gracePeriodSeconds,
            ...(preconditions.uid === undefined && preconditions.resourceVersion === undefined
              ? {}
              : { preconditions }),
          },
          idempotent: true,
        },
        how,
      )) as T;
      return answer.kind === type.kind ? answer : undefined;
    },
    getPath: async (path, how) => request({ method: "GET", path, idempotent: true }, how),
    close: () => transport.close(),
  };
}

function headerText(response: TransportResponse, name: string): string | undefined {
  const value = response.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function parseAnswer(call: Call, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new OperatorError("KUBE_FAILED", `${call.method} ${call.path}: the answer is not JSON`, { cause });
  }
}

/** Deadlines and aborts do not know which request they ended; this adds it. */
function inContext(call: Call, thrown: unknown): OperatorError {
  const error = errorFromNetwork(call, thrown);
  const context = `${call.method} ${call.path}`;
  if (error.message.startsWith(context)) return error;
  return new OperatorError(error.code, `${context}: ${error.message}`, { cause: error, details: error.details });
}

function retryDelayMs(error: OperatorError, failures: number, random: number): number {
  if (error.retryAfterSeconds !== undefined) return error.retryAfterSeconds * 1000;
  return jitter(backoffMs(failures, RETRY_BACKOFF), RETRY_JITTER, random);
}
