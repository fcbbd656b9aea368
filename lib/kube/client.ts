import type { Clock } from "../core/clock.ts";
import { createDiscovery, type Discovery } from "./discovery.ts";
import type { Priority } from "./flow-control.ts";
import { createFlowControl } from "./flow-control.ts";
import { createObjectClient } from "./objects.ts";
import { collectionPath, type ObjectRef } from "./paths.ts";
import { createPodClient, type PodClient } from "./pods.ts";
import { createRequests } from "./requests.ts";
import type { Transport } from "./transport.ts";
import type { KubeObject, ResourceType } from "./types.ts";
import { readWatch, type WatchEvent, type WatchOptions } from "./watch-stream.ts";

/** What every request takes. */
export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  /** For the whole call, waits and retries included; 30 s unless told. */
  readonly timeoutMs?: number | undefined;
  /** Attempts after the first; 3 unless told. 0 for callers with a schedule of their own. */
  readonly retries?: number | undefined;
  /** Who goes first while there are more requests than connections; `normal` unless told. */
  readonly priority?: Priority | undefined;
  /**
   * Called at each attempt, at the moment when the request is written to its connection; when it throws, nothing is sent
   * and the call rejects with that error. A write under a right that may end (a Lease) carries one. Such a call takes
   * at most 5 s here, and once the server has read it, at most 5 s there (see ADR 0013).
   */
  readonly fence?: (() => void) | undefined;
}

export interface ReadOptions extends RequestOptions {
  /** For example `scale`; the answer then has the subresource's shape. */
  readonly subresource?: string | undefined;
}

/** Which objects of a kind. */
export interface Selection {
  /** All namespaces when left out. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

export interface ListOptions extends Selection, RequestOptions {
  /** Objects a page; 500 unless told. */
  readonly pageSize?: number | undefined;
}

export interface WriteOptions extends RequestOptions {
  readonly fieldManager?: string | undefined;
  /** For example `status` or `scale`. */
  readonly subresource?: string | undefined;
  /** The server does everything but keep the result. */
  readonly dryRun?: boolean | undefined;
  /** What becomes of fields that the server does not know. The server's own rule (warn) unless told; `Strict`: KUBE_INVALID. */
  readonly fieldValidation?: "Strict" | "Warn" | "Ignore" | undefined;
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
  readonly dryRun?: boolean | undefined;
}

/** A list, or one page of it, at one resource version. */
export interface ObjectList<T extends KubeObject> {
  readonly resourceVersion: string;
  readonly items: T[];
}

/** A part of a list. */
export interface ListPage<T extends KubeObject> extends ObjectList<T> {
  /** The server lost the list half-way, and this is the beginning of another one: no page before it counts. */
  readonly isRestart?: boolean;
}

/** One finished HTTP exchange, for metrics. */
export interface RequestRecord {
  /** HTTP status, or `<error>` when there was no answer (as client-go counts). */
  readonly code: string;
  readonly method: string;
  readonly host: string;
  readonly seconds: number;
  /** Time that it waited for a connection before. */
  readonly queuedSeconds: number;
  /** The `Audit-ID` under which the server's audit log shows it. */
  readonly requestId: string;
}

/** Reads and writes of objects as raw JSON. All methods reject with an OperatorError, see `KubeClient`. */
export interface ObjectClient {
  get<T extends KubeObject>(type: ResourceType<T>, ref: ObjectRef, options?: ReadOptions): Promise<T>;
  /** As `get`, but `undefined` when the object does not exist. */
  find<T extends KubeObject>(type: ResourceType<T>, ref: ObjectRef, options?: ReadOptions): Promise<T | undefined>;
  /** The whole list, read in pages. */
  list<T extends KubeObject>(type: ResourceType<T>, options?: ListOptions): Promise<ObjectList<T>>;
  /**
   * One page after the other; all pages show the same resource version. When the server cannot go on (its version was
   * compacted away, the token got lost), the list is read anew and whole, once, at its present version.
   */
  pages<T extends KubeObject>(type: ResourceType<T>, options?: ListOptions): AsyncGenerator<ListPage<T>>;
  /** With `metadata.generateName` and an empty name the server chooses the name; never sent twice, so never made twice. */
  create<T extends KubeObject>(type: ResourceType<T>, object: T, options?: WriteOptions): Promise<T>;
  /** Replaces the whole object; with `metadata.resourceVersion` only if it is still that one. */
  replace<T extends KubeObject>(type: ResourceType<T>, object: T, options?: WriteOptions): Promise<T>;
  /** Server-side apply. */
  apply<T extends KubeObject>(type: ResourceType<T>, object: KubeObject, options: ApplyOptions): Promise<T>;
  patch<T extends KubeObject>(type: ResourceType<T>, ref: ObjectRef, options: PatchOptions): Promise<T>;
  /** @returns the object when it stays for a while (finalizers, grace period), `undefined` when it is gone */
  delete<T extends KubeObject>(type: ResourceType<T>, ref: ObjectRef, options?: DeleteOptions): Promise<T | undefined>;
}

/**
 * Kubernetes over raw JSON: fields that this program does not know survive. All methods reject with an OperatorError
 * whose code starts with KUBE_, or ABORTED when the caller's signal fires, or with what the caller's fence throws.
 */
export interface KubeClient extends ObjectClient, PodClient, Discovery {
  /** Namespace of the endpoint. */
  readonly namespace: string;
  /** Events after a resource version; ends when the server ends the read (within 5 min), rejects when it breaks. */
  watch<T extends KubeObject>(type: ResourceType<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>>;
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
  readonly onRequest?: ((record: RequestRecord) => void) | undefined;
  /** Client-side limit of ordinary requests; none unless told: the server's priority and fairness is relied on. */
  readonly rateLimit?: { readonly qps: number; readonly burst?: number } | undefined;
}

/** A client of one API server. Close it to end its connections; it does not own the process. */
export function createKubeClient(options: KubeClientOptions): KubeClient {
  const { transport, clock, random, userAgent, onRequest } = options;
  const flow = createFlowControl({ clock, ...options.rateLimit });
  const requests = createRequests({ transport, flow, userAgent, clock, random, onRequest });
  return {
    namespace: options.namespace,
    ...createObjectClient(requests),
    ...createPodClient({ requests, transport, userAgent }),
    ...createDiscovery(requests),
    watch: (type, how) =>
      readWatch(type, how, {
        random,
        open: (query, signal) =>
          requests.openStream(
            { method: "GET", path: collectionPath(type, how.namespace), query, idempotent: true },
            { signal },
          ),
      }),
    getPath: async (path, how) => requests.request({ method: "GET", path, idempotent: true }, how),
    close: () => transport.close(),
  };
}
