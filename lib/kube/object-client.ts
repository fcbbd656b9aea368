import type { ObjectRef } from "./paths.ts";
import type { RequestOptions } from "./request-options.ts";
import type { KubeObject, ResourceType } from "./types.ts";

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
