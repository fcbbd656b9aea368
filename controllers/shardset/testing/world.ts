import type { AgentStatus } from "../../../crds/agent-status.ts";
import { DATABASES_KEY, parseDatabases, requestHash } from "../../../crds/database-request.ts";
import { ANNOTATIONS, LABELS } from "../../../crds/group.ts";
import { SHARD_SET, type ShardSet, type ShardSetSpec } from "../../../crds/shardset.ts";
import { canonicalJson, contentHash } from "../../../lib/core/canonical.ts";
import { OperatorError } from "../../../lib/core/errors.ts";
import { createManualClock, type ManualClock } from "../../../lib/core/manual-clock.ts";
import { deepFreeze } from "../../../lib/core/objects.ts";
import type { KubeObject, ResourceType, SecretObject } from "../../../lib/kube/types.ts";
import { silentLogger } from "../../../lib/node/logger.ts";
import type { Action, CacheReader, Outcome, Plan, ReconcileContext } from "../../../operator/runtime/types.ts";
import type { GetJson } from "../shardset.agents.ts";
import { createShardSetController } from "../shardset.controller.ts";
import type { Certificates } from "../shardset.material.ts";

export const NAMESPACE = "demo";
export const NAME = "bank";
export const IMAGE = "shieldx-postgres:1";

/** A spec as the server sends it, defaults filled in. */
export function spec(changes: Partial<ShardSetSpec> = {}): ShardSetSpec {
  return {
    shards: 3,
    instancesPerShard: 1,
    storage: { size: "1Gi" },
    postgres: { parameters: {} },
    resources: { requests: { cpu: "100m", memory: "256Mi" } },
    scheduling: {},
    deletionPolicy: "Retain",
    ...changes,
  };
}

/**
 * Certificates that only say what they are: "ca:<n>" signs "leaf:<n>:<names>:<made at>". They end after 90 days, and
 * count as due after 60.
 */
export const fakeCertificates: Certificates = {
  createCertificateAuthority: (_name, now) => Promise.resolve({ certPem: `ca:${now}\n`, keyPem: `key:${now}` }),
  issueCertificate: (ca, request, now) => {
    const names = [...(request.dnsNames ?? []), request.commonName].join(",");
    return Promise.resolve({ certPem: `leaf|${ca.certPem.trim()}|${names}|${now}\n`, keyPem: "key:leaf" });
  },
  needsRenewal: (certPem, now) => now - Number(certPem.trim().split("|")[3]) > 60 * 86_400_000,
  isIssuedBy: (pair, caPem) => pair.certPem.split("|")[1] === caPem.trim(),
  isCertificateAuthority: (pair) =>
    pair.certPem.startsWith("ca:") && pair.certPem.trim().slice(3) === pair.keyPem.slice(4),
  readCertificate: (certPem) => ({ dnsNames: certPem.split("|")[2]?.split(",") ?? [] }),
};

/** A tiny Kubernetes in memory with kubelet and shard agents. It has no lag, no field ownership and no garbage collector. */
export interface World {
  readonly clock: ManualClock;
  readonly cache: CacheReader;
  /** Puts an object as some other client would. */
  put(object: KubeObject): void;
  /** Changes an object as some other client would; `undefined` from the change deletes it. */
  edit(kind: string, name: string, change: (object: KubeObject) => KubeObject | undefined): void;
  find(kind: string, name: string): KubeObject | undefined;
  all(kind: string): readonly KubeObject[];
  /** Changes the ShardSet's spec. */
  setSpec(changes: Partial<ShardSetSpec>): void;
  shardSet(): ShardSet;
  /** Marks the ShardSet as deleted, as `kubectl delete` does. */
  deleteShardSet(): void;
  /** One reconcile of the controller. @returns its transcript, one line a write */
  reconcile(): Promise<string[]>;
  /** Kubelet and agents do their part: pods run and end, volumes grow. */
  lower(): void;
  /** Reconciles and lets the lower parts move until nothing changes. @returns the transcript */
  settle(): Promise<string[]>;
  /** The agent of a shard answers this in place of "Ready"; `undefined` heals it, `"silent"` does not answer. */
  disturb(shard: number, answer: { readonly reason: string; readonly message: string } | "silent" | undefined): void;
  /** The next writes of this kind and name fail with the error, until `undefined` is given. */
  fail(kind: string, name: string, error: Error | undefined): void;
}

/** More rounds than any story needs: one that does not come to rest is a bug. */
const ROUNDS_MAX = 60;

/** @param shardSet changes of the ShardSet that the world starts with */
export function createWorld(shardSet: { readonly spec?: Partial<ShardSetSpec>; readonly uid?: string } = {}): World {
  const objects = new Map<string, KubeObject>();
  const failures = new Map<string, Error>();
  const disturbed = new Map<number, { readonly reason: string; readonly message: string } | "silent">();
  const clock = createManualClock();
  let transcript: string[] = [];
  let revision = 0;

  const id = (kind: string, name: string): string => `${kind}/${name}`;
  const store = (object: KubeObject, before: KubeObject | undefined): void => {
    revision += 1;
    const changed = before === undefined || canonicalJson(before["spec"]) !== canonicalJson(object["spec"]);
    const metadata = {
      ...object.metadata,
      namespace: NAMESPACE,
      uid: before?.metadata.uid ?? object.metadata.uid ?? `uid-${revision}`,
      generation: (before?.metadata.generation ?? 0) + (changed ? 1 : 0),
      resourceVersion: String(revision),
    };
    const isGone = metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0;
    if (isGone) objects.delete(id(object.kind, metadata.name));
    else objects.set(id(object.kind, metadata.name), deepFreeze(structuredClone({ ...object, metadata })));
  };
  const list = (kind: string): KubeObject[] =>
    [...objects.values()]
      .filter((object) => object.kind === kind)
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const matches = (object: KubeObject, labels: Readonly<Record<string, string>>): boolean =>
    Object.entries(labels).every(([label, value]) => object.metadata.labels?.[label] === value);

  const cache: CacheReader = {
    get: <T extends KubeObject>(type: ResourceType<T>, _namespace: string, name: string) =>
      objects.get(id(type.kind, name)) as T | undefined,
    list: <T extends KubeObject>(type: ResourceType<T>, _namespace: string, labels = {}) =>
      list(type.kind).filter((object) => matches(object, labels)) as T[],
    byIndex: () => [],
  };

  const assertOurs = (before: KubeObject | undefined): void => {
    if (before === undefined || matches(before, { [LABELS.kind]: "ShardSet", [LABELS.name]: NAME })) return;
    throw new OperatorError("NAME_CONFLICT", `${before.kind} ${before.metadata.name} is not ours`);
  };

  const write = (action: Exclude<Action, { type: "event" }>): boolean => {
    const [kind, name] =
      "object" in action ? [action.object.kind, action.object.metadata.name] : [action.resource.kind, action.name];
    const failure = failures.get(id(kind, name));
    if (failure !== undefined) throw failure;
    const before = objects.get(id(kind, name));
    switch (action.type) {
      case "create":
        assertOurs(before);
        if (before === undefined) store(action.object, undefined);
        return before === undefined;
      case "apply": {
        assertOurs(before);
        const appliedHash = contentHash(action.object);
        if (before?.metadata.annotations?.[ANNOTATIONS.appliedHash] === appliedHash) return false;
        const { metadata } = action.object;
        const annotations = { ...metadata.annotations, [ANNOTATIONS.appliedHash]: appliedHash };
        store({ ...before, ...action.object, metadata: { ...before?.metadata, ...metadata, annotations } }, before);
        return true;
      }
      case "delete": {
        if (before === undefined || before.metadata.uid !== action.uid) return false;
        // A pod takes its time; everything else goes at once.
        if (kind !== "Pod") objects.delete(id(kind, name));
        else
          store(
            { ...before, metadata: { ...before.metadata, deletionTimestamp: "now", finalizers: ["kubelet"] } },
            before,
          );
        return true;
      }
      case "patch": {
        if (before === undefined) throw new OperatorError("KUBE_NOT_FOUND", `${kind} ${name} does not exist`);
        const { metadata, ...rest } = action.patch as { metadata?: Partial<KubeObject["metadata"]> };
        store({ ...before, ...rest, metadata: { ...before.metadata, ...metadata } }, before);
        return true;
      }
    }
  };

  const describe = (action: Action): string => {
    switch (action.type) {
      case "create":
      case "apply":
        return `${action.type} ${action.object.kind} ${action.object.metadata.name}: ${action.note}`;
      case "delete":
      case "patch":
        return `${action.type} ${action.resource.kind} ${action.name}: ${action.note}`;
      case "event":
        return `event ${action.eventType} ${action.reason}: ${action.note}`;
    }
  };

  const execute = (_owner: KubeObject, plan: Plan): Promise<Outcome> => {
    let written = 0;
    for (const action of plan.actions) {
      try {
        if (action.type !== "event" && !write(action)) continue;
        written += 1;
        transcript.push(describe(action));
      } catch (error) {
        return Promise.resolve({ written, error: error as Error });
      }
    }
    return Promise.resolve({ written });
  };

  const patchStatus = (owner: KubeObject, status: Readonly<Record<string, unknown>>): Promise<void> => {
    const before = objects.get(id(owner.kind, owner.metadata.name));
    if (before !== undefined && canonicalJson(before["status"]) !== canonicalJson(status)) {
      store({ ...before, status }, before);
      transcript.push("status");
    }
    return Promise.resolve();
  };

  /** What an agent in a running pod would say: it follows Secret and ConfigMap at once. */
  const answerOf = (shard: number): AgentStatus => {
    const trouble = disturbed.get(shard);
    const secret = objects.get(id("Secret", `${NAME}-databases`)) as SecretObject | undefined;
    const json = Buffer.from(secret?.data?.[DATABASES_KEY] ?? "", "base64").toString("utf8");
    const map = objects.get(id("ConfigMap", `${NAME}-map`)) as { data?: Record<string, string> } | undefined;
    const ready = trouble === undefined;
    return {
      shardSet: NAME,
      shard,
      instance: 0,
      role: "primary",
      ready,
      reason: typeof trouble === "object" ? trouble.reason : "Ready",
      message: typeof trouble === "object" ? trouble.message : "PostgreSQL accepts writes",
      epoch: 1,
      postgresVersion: "17.11",
      mapVersion: Number(map?.data?.["version"] ?? 0),
      restarts: 0,
      databases: (json === "" ? [] : parseDatabases(json)).map((request) => ({
        database: request.database,
        ready,
        requestHash: requestHash(request),
      })),
    };
  };
  const getJson: GetJson = ({ host }) => {
    const pod = list("Pod").find((object) => (object["status"] as { podIP?: string } | undefined)?.podIP === host);
    const shard = Number(pod?.metadata.labels?.[LABELS.shard]);
    if (pod === undefined || disturbed.get(shard) === "silent") {
      return Promise.reject(new OperatorError("AGENT_UNREACHABLE", `${host} does not answer`));
    }
    return Promise.resolve(answerOf(shard));
  };

  const controller = createShardSetController({
    certificates: fakeCertificates,
    getJson,
    images: { postgres: IMAGE },
    clusterDomain: "cluster.local",
  });
  const context: ReconcileContext = {
    cache,
    clock,
    log: silentLogger,
    signal: new AbortController().signal,
    epoch: 1,
    fence: () => undefined,
    execute,
    patchStatus,
  };

  const world: World = {
    clock,
    cache,
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
    shardSet: () => objects.get(id("ShardSet", NAME)) as ShardSet,
    setSpec: (changes) =>
      world.edit("ShardSet", NAME, (object) => ({
        ...object,
        spec: { ...(object["spec"] as ShardSetSpec), ...changes },
      })),
    deleteShardSet: () =>
      world.edit("ShardSet", NAME, (object) => ({
        ...object,
        metadata: { ...object.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" },
      })),
    reconcile: async () => {
      transcript = [];
      await controller.reconcile({ namespace: NAMESPACE, name: NAME }, context).catch((error: unknown) => {
        transcript.push(`error ${(error as OperatorError).code}`);
      });
      return transcript;
    },
    lower: () => {
      for (const pod of list("Pod")) {
        const shard = Number(pod.metadata.labels?.[LABELS.shard]);
        if (pod.metadata.deletionTimestamp !== undefined) {
          objects.delete(id("Pod", pod.metadata.name));
          revision += 1;
          continue;
        }
        const trouble = disturbed.get(shard);
        const status = {
          phase: "Running",
          podIP: `10.0.0.${shard}`,
          conditions: [{ type: "Ready", status: trouble === undefined ? "True" : "False" }],
        };
        const isFinal = ["Failed", "Succeeded"].includes(
          (pod["status"] as { phase?: string } | undefined)?.phase ?? "",
        );
        if (!isFinal && canonicalJson(pod["status"]) !== canonicalJson(status)) store({ ...pod, status }, pod);
      }
      for (const claim of list("PersistentVolumeClaim")) {
        const wanted = (claim["spec"] as { resources: { requests: { storage: string } } }).resources.requests.storage;
        const status = { phase: "Bound", capacity: { storage: wanted } };
        if (canonicalJson(claim["status"]) !== canonicalJson(status)) store({ ...claim, status }, claim);
      }
    },
    settle: async () => {
      const lines: string[] = [];
      for (let round = 0; round < ROUNDS_MAX; round += 1) {
        const before = revision;
        lines.push(...(await world.reconcile()));
        world.lower();
        if (revision === before) return lines;
      }
      throw new Error(`no rest after ${ROUNDS_MAX} rounds:\n${lines.slice(-20).join("\n")}`);
    },
    disturb: (shard, answer) => {
      if (answer === undefined) disturbed.delete(shard);
      else disturbed.set(shard, answer);
    },
    fail: (kind, name, error) => {
      if (error === undefined) failures.delete(id(kind, name));
      else failures.set(id(kind, name), error);
    },
  };
  world.put({
    apiVersion: `${SHARD_SET.group}/${SHARD_SET.version}`,
    kind: "ShardSet",
    metadata: { name: NAME, namespace: NAMESPACE, uid: shardSet.uid ?? "uid-bank" },
    spec: spec(shardSet.spec),
  });
  return world;
}

/** A condition of the world's ShardSet as "status reason: message". */
export function condition(world: World, type: string): string | undefined {
  const found = world.shardSet().status?.conditions?.find((known) => known.type === type);
  return found && `${found.status} ${found.reason}: ${found.message}`;
}
