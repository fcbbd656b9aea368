import { OperatorError } from "../../../lib/core/errors.ts";
import type { KubeClient } from "../../../lib/kube/client.ts";
import type { KubeObject, ResourceType } from "../../../lib/kube/types.ts";
import type { WatchOptions } from "../../../lib/kube/watch-stream.ts";

/** What certificates of our own ask of the API server. */
export type CertificateKube = Pick<KubeClient, "find" | "create" | "replace" | "apply" | "delete" | "pages" | "watch">;

/** An API server of a few lines that counts writes and can be told to fail: optimistic locking and no more. */
export interface MemoryKube extends CertificateKube {
  /** Kind and name of each object that was written, in order. */
  readonly writes: string[];
  /** Fails all calls of this kind. @returns how to end it */
  fail(method: "find" | "create" | "replace" | "apply", error: OperatorError): () => void;
}

export function createMemoryKube(): MemoryKube {
  const objects = new Map<string, KubeObject>();
  const writes: string[] = [];
  const faults = new Map<string, OperatorError>();
  const listeners = new Set<() => void>();
  let version = 0;

  const changed = (): void => {
    for (const listener of listeners) listener();
  };
  const meet = async (method: string): Promise<void> => {
    // A real answer comes in another turn of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
    const fault = faults.get(method);
    if (fault !== undefined) throw fault;
  };
  const put = <T extends KubeObject>(key: string, object: KubeObject): T => {
    version += 1;
    const uid = objects.get(key)?.metadata.uid ?? `uid-${version}`;
    const stored = structuredClone({
      ...object,
      metadata: { ...object.metadata, uid, resourceVersion: String(version) },
    });
    objects.set(key, stored);
    writes.push(key);
    changed();
    return structuredClone(stored) as KubeObject as T;
  };
  const unchanged = (key: string, resourceVersion: string | undefined): void => {
    const live = objects.get(key);
    if (live === undefined) throw new OperatorError("KUBE_NOT_FOUND", `${key} does not exist`);
    if (resourceVersion !== undefined && resourceVersion !== live.metadata.resourceVersion) {
      throw new OperatorError("KUBE_CONFLICT", `${key} changed meanwhile`);
    }
  };

  return {
    writes,
    fail: (method, error) => {
      faults.set(method, error);
      return () => void faults.delete(method);
    },
    find: async <T extends KubeObject>(type: ResourceType<T>, { name }: { readonly name: string }) => {
      await meet("find");
      return structuredClone(objects.get(keyOf(type, name))) as KubeObject as T | undefined;
    },
    create: async <T extends KubeObject>(type: ResourceType<T>, object: T) => {
      await meet("create");
      const key = keyOf(type, object.metadata.name);
      if (objects.has(key)) throw new OperatorError("KUBE_ALREADY_EXISTS", `${key} exists`);
      return put<T>(key, object);
    },
    replace: async <T extends KubeObject>(type: ResourceType<T>, object: T) => {
      await meet("replace");
      const key = keyOf(type, object.metadata.name);
      unchanged(key, object.metadata.resourceVersion);
      return put<T>(key, object);
    },
    apply: async <T extends KubeObject>(type: ResourceType<T>, object: KubeObject) => {
      await meet("apply");
      const key = keyOf(type, object.metadata.name);
      if (object.metadata.resourceVersion !== undefined) unchanged(key, object.metadata.resourceVersion);
      return put<T>(key, merge(objects.get(key) ?? {}, object) as KubeObject);
    },
    delete: async (type, { name }) => {
      await meet("delete");
      objects.delete(keyOf(type, name));
      changed();
      return undefined;
    },
    // Lists show nothing, and watches say that something changed, not what: nobody here asks for more.
    pages: async function* () {
      await meet("find");
      yield { resourceVersion: String(version), items: [] };
    },
    watch: async function* <T extends KubeObject>(type: ResourceType<T>, how: WatchOptions) {
      if (how.resourceVersion === undefined) throw new OperatorError("KUBE_INVALID", "no streaming lists here");
      while (how.signal?.aborted !== true) {
        await new Promise<void>((resolve) => {
          const done = (): void => {
            listeners.delete(done);
            how.signal?.removeEventListener("abort", done);
            resolve();
          };
          listeners.add(done);
          how.signal?.addEventListener("abort", done, { once: true });
        });
        const { kind } = type;
        const metadata = { name: "something", resourceVersion: String(version) };
        yield { type: "MODIFIED" as const, object: { apiVersion: "v1", kind, metadata } as KubeObject as T };
      }
    },
  };
}

function keyOf(type: ResourceType, name: string): string {
  return `${type.kind}/${name}`;
}

/** Maps by member, lists of webhooks by name, everything else as a whole. */
function merge(live: unknown, wanted: unknown): unknown {
  if (Array.isArray(wanted) && Array.isArray(live) && wanted.every(isNamed)) {
    const items = live as { readonly name: string }[];
    const changed = items.map((item) => merge(item, wanted.find(({ name }) => name === item.name) ?? {}));
    return [...changed, ...wanted.filter(({ name }) => !items.some((item) => item.name === name))];
  }
  if (!isMap(live) || !isMap(wanted)) return wanted;
  return {
    ...live,
    ...Object.fromEntries(Object.entries(wanted).map(([name, value]) => [name, merge(live[name], value)])),
  };
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isNamed(value: unknown): value is { readonly name: string } {
  return isMap(value) && typeof value["name"] === "string";
}
