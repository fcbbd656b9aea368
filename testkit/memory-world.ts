import { ANNOTATIONS, LABELS } from "../crds/group.ts";
import { canonicalJson, contentHash } from "../lib/core/canonical.ts";
import { rfc3339Seconds } from "../lib/core/clock.ts";
import { OperatorError } from "../lib/core/errors.ts";
import { createManualClock, type ManualClock } from "../lib/core/manual-clock.ts";
import { deepFreeze } from "../lib/core/objects.ts";
import type { KubeObject, ResourceType } from "../lib/kube/types.ts";
import { silentLogger } from "../lib/node/logger.ts";
import type { IndexFunction } from "../operator/kube/object-index.ts";
import { mergePatch } from "../operator/kube/projection.ts";
import type { Action, CacheReader, ReconcileContext } from "../operator/runtime/types.ts";

/**
 * A tiny Kubernetes in memory, for stories of one resource: objects of one namespace with uid, generation and version, what
 * the actions of plans do to them, and a transcript of what they changed. It has no lag, no field ownership and no
 * garbage collector: tests that need those run on the fake or the real API server.
 */
export interface MemoryWorld {
  readonly clock: ManualClock;
  readonly cache: CacheReader;
  /** What a reconcile gets. */
  readonly context: ReconcileContext;
  /** Rises with every change. */
  revision(): number;
  /** Puts an object as some other client would. */
  put(object: KubeObject): void;
  /** Changes an object as some other client would; `undefined` from the change deletes it. */
  edit(kind: string, name: string, change: (object: KubeObject) => KubeObject | undefined): void;
  /** Marks an object as deleted, as `kubectl delete` does: it is gone once no finalizer holds it. */
  markDeleted(kind: string, name: string): void;
  find(kind: string, name: string): KubeObject | undefined;
  /** All objects of a kind in name order. */
  all(kind: string): readonly KubeObject[];
  /** What plans and statuses changed since the last call, one line a write. */
  takeTranscript(): string[];
  /** Writes of this kind and name fail with the error: the next one, or all until `undefined` is given. */
  fail(kind: string, name: string, error: Error | undefined, how?: "once" | "always"): void;
}

export interface MemoryWorldOptions {
  readonly namespace: string;
  /** Indexes of the controller, by name. */
  readonly indexes?: Readonly<Record<string, IndexFunction<never>>> | undefined;
  /** Kinds whose deletion somebody else has to carry out: they stay, marked, until `edit` takes them away. */
  readonly lingering?: readonly string[];
  /** Width to which the transcript pads the verbs; 0 unless told. */
  readonly verbWidth?: number;
}

type Write = Exclude<Action, { readonly type: "event" }>;

/** Holds a lingering object. */
const LINGERS = "kubelet";

export function createMemoryWorld(options: MemoryWorldOptions): MemoryWorld {
  const { namespace, indexes = {}, lingering = [] } = options;
  const objects = new Map<string, KubeObject>();
  const failures = new Map<string, { readonly error: Error; readonly how: "once" | "always" }>();
  const clock = createManualClock();
  let transcript: string[] = [];
  let revision = 0;

  const id = (kind: string, name: string): string => `${kind}/${name}`;
  const remove = (kind: string, name: string): void => {
    revision += 1;
    objects.delete(id(kind, name));
  };
  const store = (object: KubeObject, before: KubeObject | undefined): void => {
    const isNewSpec = before === undefined || canonicalJson(before["spec"]) !== canonicalJson(object["spec"]);
    const metadata = {
      ...object.metadata,
      namespace,
      uid: before?.metadata.uid ?? object.metadata.uid ?? `uid-${revision + 1}`,
      generation: (before?.metadata.generation ?? 0) + (isNewSpec ? 1 : 0),
      resourceVersion: String(revision + 1),
    };
    const isGone = metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0;
    if (isGone) return remove(object.kind, metadata.name);
    revision += 1;
    objects.set(id(object.kind, metadata.name), deepFreeze(structuredClone({ ...object, metadata })));
  };
  const list = (kind: string): KubeObject[] =>
    [...objects.values()]
      .filter((object) => object.kind === kind)
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));

  const cache: CacheReader = {
    get: <T extends KubeObject>(type: ResourceType<T>, where: string, name: string) =>
      where === namespace ? (objects.get(id(type.kind, name)) as T | undefined) : undefined,
    list: <T extends KubeObject>(type: ResourceType<T>, where: string, labels = {}) =>
      where === namespace ? (list(type.kind).filter((object) => hasLabels(object, labels)) as T[]) : [],
    byIndex: <T extends KubeObject>(type: ResourceType<T>, index: string, key: string) =>
      list(type.kind).filter((object) => indexes[index]?.(object as never).includes(key)) as T[],
  };

  /** @returns whether anything changed */
  const write = (action: Write): boolean => {
    const { kind, name } = subjectOf(action);
    const failure = failures.get(id(kind, name));
    if (failure?.how === "once") failures.delete(id(kind, name));
    if (failure !== undefined) throw failure.error;
    const before = objects.get(id(kind, name));
    switch (action.type) {
      case "create":
        assertOurs(before, action.object);
        if (before !== undefined) return false;
        store(action.object, undefined);
        return true;
      case "apply": {
        assertOurs(before, action.object);
        const appliedHash = contentHash(action.object);
        if (before?.metadata.annotations?.[ANNOTATIONS.appliedHash] === appliedHash) return false;
        const { metadata } = action.object;
        const annotations = { ...metadata.annotations, [ANNOTATIONS.appliedHash]: appliedHash };
        store({ ...before, ...action.object, metadata: { ...before?.metadata, ...metadata, annotations } }, before);
        return true;
      }
      case "delete":
        if (before === undefined || before.metadata.uid !== action.uid) return false;
        if (lingering.includes(kind)) {
          const deletionTimestamp = rfc3339Seconds(clock.now());
          store({ ...before, metadata: { ...before.metadata, deletionTimestamp, finalizers: [LINGERS] } }, before);
        } else {
          remove(kind, name);
        }
        return true;
      case "patch": {
        if (before === undefined) throw new OperatorError("KUBE_NOT_FOUND", `${kind} ${name} does not exist`);
        const { resourceVersion } = (action.patch["metadata"] ?? {}) as Partial<KubeObject["metadata"]>;
        if (resourceVersion !== undefined && resourceVersion !== before.metadata.resourceVersion) {
          throw new OperatorError("KUBE_CONFLICT", `${kind} ${name} changed`);
        }
        store(mergePatch(before, action.patch) as KubeObject, before);
        return true;
      }
    }
  };

  const textOf = (action: Action): string => {
    const verb = action.type.padEnd(options.verbWidth ?? 0);
    if (action.type === "event") return `${verb} ${action.eventType} ${action.reason}: ${action.note}`;
    const { kind, name } = subjectOf(action);
    return `${verb} ${kind} ${name}: ${action.note}`;
  };

  const context: ReconcileContext = {
    cache,
    clock,
    log: silentLogger,
    signal: new AbortController().signal,
    epoch: 1,
    fence: () => undefined,
    execute: async (_owner, plan) => {
      let written = 0;
      for (const action of plan.actions) {
        try {
          if (action.type !== "event" && !write(action)) continue;
          if (action.type !== "event") written += 1;
          transcript.push(textOf(action));
        } catch (error) {
          return { written, error: error as Error };
        }
      }
      return { written };
    },
    patchStatus: async (owner, status) => {
      const before = objects.get(id(owner.kind, owner.metadata.name));
      if (before === undefined || canonicalJson(before["status"]) === canonicalJson(status)) return;
      store({ ...before, status }, before);
      transcript.push("status");
    },
  };

  const edit: MemoryWorld["edit"] = (kind, name, change) => {
    const before = objects.get(id(kind, name));
    if (before === undefined) throw new Error(`${kind} ${name} does not exist`);
    const after = change(structuredClone(before));
    if (after === undefined) remove(kind, name);
    else store(after, before);
  };

  return {
    clock,
    cache,
    context,
    edit,
    revision: () => revision,
    put: (object) => store(object, objects.get(id(object.kind, object.metadata.name))),
    markDeleted: (kind, name) =>
      edit(kind, name, (object) => ({
        ...object,
        metadata: { ...object.metadata, deletionTimestamp: rfc3339Seconds(clock.now()) },
      })),
    find: (kind, name) => objects.get(id(kind, name)),
    all: list,
    takeTranscript: () => {
      const lines = transcript;
      transcript = [];
      return lines;
    },
    fail: (kind, name, error, how = "always") => {
      if (error === undefined) failures.delete(id(kind, name));
      else failures.set(id(kind, name), { error, how });
    },
  };
}

function subjectOf(action: Write): { readonly kind: string; readonly name: string } {
  if ("object" in action) return { kind: action.object.kind, name: action.object.metadata.name };
  return { kind: action.resource.kind, name: action.name };
}

function hasLabels({ metadata }: KubeObject, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(labels).every(([label, value]) => metadata.labels?.[label] === value);
}

/** The executor's rule: an object of our name without our labels is somebody else's. */
function assertOurs(before: KubeObject | undefined, wanted: KubeObject): void {
  const labels = Object.entries(wanted.metadata.labels ?? {}).filter(
    ([label]) => label === LABELS.kind || label === LABELS.name,
  );
  if (before !== undefined && !hasLabels(before, Object.fromEntries(labels))) {
    throw new OperatorError("NAME_CONFLICT", `${wanted.kind} ${wanted.metadata.name} belongs to somebody else`);
  }
}
