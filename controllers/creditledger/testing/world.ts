import type { CreditLedger } from "../../../crds/creditledger.ts";
import { ANNOTATIONS } from "../../../crds/group.ts";
import { canonicalJson, contentHash } from "../../../lib/core/canonical.ts";
import { OperatorError } from "../../../lib/core/errors.ts";
import { createManualClock, type ManualClock } from "../../../lib/core/manual-clock.ts";
import { deepFreeze } from "../../../lib/core/objects.ts";
import type { KubeObject, ResourceType } from "../../../lib/kube/types.ts";
import { silentLogger } from "../../../lib/node/logger.ts";
import type {
  Action,
  CacheReader,
  Controller,
  Outcome,
  Plan,
  ReconcileContext,
} from "../../../operator/runtime/types.ts";

/**
 * A tiny Kubernetes in memory: objects with uid, generation and resource version, the actions of plans, and a
 * transcript of what they changed. It has no lag, no field ownership and no garbage collector: tests that need
 * those run on the real API server.
 */
export interface World {
  readonly clock: ManualClock;
  readonly cache: CacheReader;
  readonly context: ReconcileContext;
  /** Puts an object as it is, as some other client would. */
  put(object: KubeObject): void;
  /** Changes an object in place, as some other client would; `undefined` from the change deletes it. */
  edit(kind: string, name: string, change: (object: KubeObject) => KubeObject | undefined): void;
  find(kind: string, name: string): KubeObject | undefined;
  /** All objects of a kind in name order. */
  all(kind: string): readonly KubeObject[];
  /** What changed since the last call, one line a write. */
  takeTranscript(): string[];
  /** The next write of this kind and name fails with the error. */
  failNext(kind: string, name: string, error: Error): void;
}

const NAMESPACE = "bank-ns";

/** @param indexes of the controller, over ledgers */
export function createWorld(indexes: Controller<CreditLedger>["indexes"] = {}): World {
  const objects = new Map<string, KubeObject>();
  const failures = new Map<string, Error>();
  const clock = createManualClock();
  let transcript: string[] = [];
  let revision = 0;

  const id = (kind: string, name: string): string => `${kind}/${name}`;
  const store = (object: KubeObject, before: KubeObject | undefined): void => {
    revision += 1;
    const specChanged = before === undefined || canonicalJson(before["spec"]) !== canonicalJson(object["spec"]);
    const metadata = {
      ...object.metadata,
      namespace: NAMESPACE,
      uid: before?.metadata.uid ?? `uid-${String(revision)}`,
      generation: (before?.metadata.generation ?? 0) + (specChanged ? 1 : 0),
      resourceVersion: String(revision),
    };
    const stored = deepFreeze(structuredClone({ ...object, metadata }));
    const leaving = metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0;
    if (leaving) objects.delete(id(object.kind, metadata.name));
    else objects.set(id(object.kind, metadata.name), stored);
  };
  const list = (kind: string): KubeObject[] =>
    [...objects.values()]
      .filter((object) => object.kind === kind)
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));

  const cache: CacheReader = {
    get: <T extends KubeObject>(type: ResourceType<T>, namespace: string, name: string) =>
      namespace === NAMESPACE ? (objects.get(id(type.kind, name)) as T | undefined) : undefined,
    list: <T extends KubeObject>(type: ResourceType<T>, namespace: string, labels = {}) =>
      namespace === NAMESPACE ? (list(type.kind).filter((object) => matches(object, labels)) as T[]) : [],
    byIndex: <T extends KubeObject>(type: ResourceType<T>, index: string, key: string) =>
      list(type.kind).filter((object) => indexes[index]?.(object as never).includes(key)) as T[],
  };

  const write = (action: Exclude<Action, { type: "event" }>): boolean => {
    const [kind, name] =
      "object" in action ? [action.object.kind, action.object.metadata.name] : [action.resource.kind, action.name];
    const failure = failures.get(id(kind, name));
    if (failure !== undefined) {
      failures.delete(id(kind, name));
      throw failure;
    }
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
        objects.delete(id(kind, name));
        return true;
      case "patch": {
        if (before === undefined) throw new OperatorError("KUBE_NOT_FOUND", `${kind} ${name} does not exist`);
        const patch = action.patch["metadata"] as KubeObject["metadata"];
        if (patch.resourceVersion !== before.metadata.resourceVersion) {
          throw new OperatorError("KUBE_CONFLICT", `${kind} ${name} changed`);
        }
        store({ ...before, metadata: { ...before.metadata, ...patch } }, before);
        return true;
      }
    }
  };

  const execute = (_owner: KubeObject, plan: Plan): Promise<Outcome> => {
    let written = 0;
    for (const action of plan.actions) {
      try {
        if (action.type === "event") {
          transcript.push(`event  ${action.eventType} ${action.reason}: ${action.note}`);
        } else if (write(action)) {
          written += 1;
          transcript.push(describe(action));
        }
      } catch (error) {
        return Promise.resolve({ written, error: error as Error });
      }
    }
    return Promise.resolve({ written });
  };

  const patchStatus = (owner: KubeObject, status: Readonly<Record<string, unknown>>): Promise<void> => {
    const before = objects.get(id(owner.kind, owner.metadata.name));
    if (before === undefined) return Promise.resolve();
    if (canonicalJson(before["status"]) === canonicalJson(status)) return Promise.resolve();
    store({ ...before, status }, before);
    transcript.push("status");
    return Promise.resolve();
  };

  return {
    clock,
    cache,
    context: {
      cache,
      clock,
      log: silentLogger,
      signal: new AbortController().signal,
      epoch: 1,
      fence: () => undefined,
      execute,
      patchStatus,
    },
    put: (object) => store(object, objects.get(id(object.kind, object.metadata.name))),
    edit: (kind, name, change) => {
      const before = objects.get(id(kind, name));
      if (before === undefined) throw new Error(`${kind} ${name} does not exist`);
      const after = change(structuredClone(before));
      if (after === undefined) objects.delete(id(kind, name));
      else store(after, before);
    },
    find: (kind, name) => objects.get(id(kind, name)),
    all: list,
    takeTranscript: () => {
      const lines = transcript;
      transcript = [];
      return lines;
    },
    failNext: (kind, name, error) => void failures.set(id(kind, name), error),
  };
}

function matches({ metadata }: KubeObject, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(labels).every(([label, value]) => metadata.labels?.[label] === value);
}

/** The executor's rule: an object of our name without our labels is somebody else's. */
function assertOurs(before: KubeObject | undefined, wanted: KubeObject): void {
  const labels = Object.entries(wanted.metadata.labels ?? {}).filter(([label]) => label.startsWith("shieldx.dev/"));
  if (before !== undefined && !matches(before, Object.fromEntries(labels))) {
    throw new OperatorError("NAME_CONFLICT", `${wanted.kind} ${wanted.metadata.name} belongs to somebody else`);
  }
}

function describe(action: Exclude<Action, { type: "event" }>): string {
  const what =
    "object" in action
      ? `${action.object.kind} ${action.object.metadata.name}`
      : `${action.resource.kind} ${action.name}`;
  return `${action.type.padEnd(6)} ${what}: ${action.note}`;
}
