import { type AgentStatus, SETTINGS_PATH, type SettingsAnswer, settingsRequest } from "../../../crds/agent-status.ts";
import { DATABASES_KEY, parseDatabases, requestHash } from "../../../crds/database-request.ts";
import { ANNOTATIONS } from "../../../crds/group.ts";
import { SHARD_SET, type ShardSet, type ShardSetSpec } from "../../../crds/shardset.ts";
import { canonicalJson } from "../../../lib/core/canonical.ts";
import { OperatorError } from "../../../lib/core/errors.ts";
import { omitUndefined } from "../../../lib/core/objects.ts";
import { parseIdentities } from "../../../lib/core/shard-identity.ts";
import { certificateDigest, certificatesIn } from "../../../lib/core/trust-bundle.ts";
import type { KubeObject, LeaseObject, SecretObject } from "../../../lib/kube/types.ts";
import { createMemoryWorld, type MemoryWorld } from "../../../testkit/memory-world.ts";
import type { Certificates } from "../../kit/pki/certificates.ts";
import { plainCertificates } from "../../kit/testing/certificates.ts";
import type { GetJson } from "../shardset.agents.ts";
import { createShardSetController } from "../shardset.controller.ts";
import { PARAMETERS_VARIABLE } from "../shardset.pod.ts";
import { IMAGE, NAME, NAMESPACE, spec } from "./builders.ts";

/** A small Kubernetes in memory with a ShardSet, its controller, kubelet and shard agents. */
export interface World extends Omit<MemoryWorld, "revision" | "takeTranscript"> {
  /** Changes the ShardSet's spec. */
  setSpec(changes: Partial<ShardSetSpec>): void;
  shardSet(): ShardSet;
  /** The operator is upgraded: its controller starts anew, and brings another image. */
  upgrade(image: string): void;
  /** Marks the ShardSet as deleted, as `kubectl delete` does. */
  deleteShardSet(): void;
  /** Asks an agent of a running pod, as the controller does. */
  readonly getJson: GetJson;
  /** One reconcile of the controller. @returns its transcript, one line a write */
  reconcile(): Promise<string[]>;
  /** Kubelet and agents do their part: pods run and end, volumes grow. */
  lower(): void;
  /** Reconciles and lets the lower parts move until nothing changes. @returns the transcript */
  settle(): Promise<string[]>;
  /** The data of a shard's volume is gone; the volume stays. */
  emptyVolume(shard: number): void;
  /** The pod of a shard reads its Secrets no more until `catchUp`. */
  lag(shard: number): void;
  catchUp(shard: number): void;
  /** What the pod of a shard has read of its Secrets: bundle, and the certificate that it shows. */
  filesOf(shard: number): PodFiles;
  /** The cluster has these StorageClasses, the first of them the default; it has whatever is asked for until then. */
  useClasses(names: readonly string[]): void;
  /** The agent of a shard answers this in place of "Ready"; `undefined` heals it, `"silent"` does not answer. */
  disturb(shard: number, answer: { readonly reason: string; readonly message: string } | "silent" | undefined): void;
  /**
   * What PostgreSQL says to a value of a setting, on a copy and when it starts; `undefined` takes it. Until it is called,
   * agents are of a version that cannot try settings.
   */
  takes(check: (name: string, value: string) => string | undefined): void;
  /** The pods of a shard do not start, for what their kubelet says; `undefined` lets them. */
  stick(shard: number, reason: string | undefined): void;
}

/** Files in the pod of a shard. */
export interface PodFiles {
  readonly bundle: string;
  readonly certPem: string;
}

/** More rounds than any story needs: one that does not come to rest is a bug. */
const ROUNDS_MAX = 60;

/** What a world starts with. */
export interface WorldOptions {
  readonly spec?: Partial<ShardSetSpec>;
  readonly uid?: string;
  /** Plain text that says what it is, unless told. */
  readonly certificates?: Certificates;
  /** Agents say what they trust and show; those of earlier versions did not. False unless told. */
  readonly agentsTell?: boolean;
}

/** The settings that a pod was made with. */
function parametersOf(pod: KubeObject): Record<string, string> {
  const { containers } = pod["spec"] as { containers: { env: { name: string; value?: string }[] }[] };
  const json = containers[0]?.env.find(({ name }) => name === PARAMETERS_VARIABLE)?.value ?? "{}";
  return JSON.parse(json) as Record<string, string>;
}

/** By its name: labels are what people change. */
function shardOf({ metadata }: KubeObject): number {
  return Number(metadata.name.split("-").at(-2));
}

/** A world with a ShardSet and nothing else. */
export function createWorld(options: WorldOptions = {}): World {
  const memory = createMemoryWorld({ namespace: NAMESPACE, lingering: ["Pod"] });
  const { context, find, all, put, edit } = memory;
  let classes: readonly string[] | undefined;
  const disturbed = new Map<number, { readonly reason: string; readonly message: string } | "silent">();
  /** System identifiers of the data on volumes, by name of the PersistentVolume. */
  const data = new Map<string, string>();
  let made = 0;

  const volumeOf = (shard: number): string => {
    const claim = find("PersistentVolumeClaim", `${NAME}-${shard}-0`);
    return (claim?.["spec"] as { volumeName?: string } | undefined)?.volumeName ?? "";
  };
  const mapData = (): Record<string, string> =>
    (find("ConfigMap", `${NAME}-map`) as { data?: Record<string, string> } | undefined)?.data ?? {};
  const leaseOf = (shard: number): LeaseObject | undefined => find("Lease", `${NAME}-${shard}`);

  /** What the agent finds on its volume, or makes there: its rules in dataplane/shardagent, in short. */
  const work = (shard: number): Pick<AgentStatus, "systemIdentifier" | "expectedIdentifier"> => {
    const recorded = parseIdentities(mapData()).get(shard);
    const onLease = leaseOf(shard)?.metadata.annotations?.[ANNOTATIONS.systemIdentifier];
    const isGivenUp =
      recorded?.state === "given-up" && (onLease === undefined || onLease === recorded.systemIdentifier);
    const expectedIdentifier =
      recorded?.state === "known" ? recorded.systemIdentifier : isGivenUp ? undefined : onLease;
    const found = data.get(volumeOf(shard));
    if (found !== undefined)
      return found === (expectedIdentifier ?? found)
        ? { systemIdentifier: found }
        : omitUndefined({ expectedIdentifier });
    if (expectedIdentifier !== undefined) return { expectedIdentifier };
    if (recorded?.state !== "new" && !isGivenUp) return {};
    made += 1;
    const systemIdentifier = `750000000000000000${made}`;
    data.set(volumeOf(shard), systemIdentifier);
    return { systemIdentifier };
  };

  const stuck = new Map<number, string>();
  let check: ((name: string, value: string) => string | undefined) | undefined;
  /** The first setting that PostgreSQL refuses. */
  const refusalOf = (parameters: Readonly<Record<string, string>>): SettingsAnswer | undefined => {
    for (const [setting, value] of Object.entries(parameters)) {
      const message = check?.(setting, value);
      if (message !== undefined) return { outcome: "refused", setting, message };
    }
    return undefined;
  };
  const lagging = new Map<number, PodFiles>();
  const filesOf = (shard: number): PodFiles => {
    const text = (name: string, key: string): string =>
      Buffer.from((find("Secret", name) as SecretObject | undefined)?.data?.[key] ?? "", "base64").toString("utf8");
    const now = { bundle: text(`${NAME}-ca`, "ca.crt"), certPem: text(`${NAME}-${shard}-tls`, "tls.crt") };
    return lagging.get(shard) ?? now;
  };

  /** What an agent in a running pod would say: it follows Secret and ConfigMap at once. */
  const answerOf = (shard: number): AgentStatus => {
    const pod = find("Pod", `${NAME}-${shard}-0`);
    const refusal = refusalOf(pod === undefined ? {} : parametersOf(pod));
    const trouble = disturbed.get(shard) ?? (refusal && { reason: "ConfigInvalid", message: refusal.message ?? "" });
    const secret = find("Secret", `${NAME}-databases`) as SecretObject | undefined;
    const json = Buffer.from(secret?.data?.[DATABASES_KEY] ?? "", "base64").toString("utf8");
    const { bundle, certPem } = filesOf(shard);
    const found = work(shard);
    const lost = found.systemIdentifier === undefined;
    const ready = trouble === undefined && !lost;
    const [reason, message] = lost
      ? [data.has(volumeOf(shard)) ? "DataRefused" : "DataLost", `volume of ${NAME}-${shard}-0 lacks its data`]
      : ["Ready", "PostgreSQL accepts writes"];
    return {
      ...(options.agentsTell === true && {
        tls: { certificate: certificateDigest(certPem), authorities: certificatesIn(bundle).map(certificateDigest) },
      }),
      shardSet: NAME,
      shard,
      instance: 0,
      role: "primary",
      ready,
      reason: typeof trouble === "object" ? trouble.reason : reason,
      message: typeof trouble === "object" ? trouble.message : message,
      ...found,
      epoch: 1,
      postgresVersion: "17.11",
      ...(refusal?.setting === undefined ? {} : { setting: refusal.setting }),
      ...(check === undefined ? {} : { canTrySettings: true }),
      mapVersion: Number(mapData()["version"] ?? 0),
      restarts: 0,
      databases: (json === "" ? [] : parseDatabases(json)).map((request) => ({
        database: request.database,
        ready,
        requestHash: requestHash(request),
      })),
    };
  };
  /** The agent's renewal of its Lease. */
  const takeLease = (shard: number): void => {
    const { systemIdentifier } = work(shard);
    const lease = leaseOf(shard);
    if (lease === undefined) return;
    const annotations = {
      ...lease.metadata.annotations,
      ...(systemIdentifier === undefined ? {} : { [ANNOTATIONS.systemIdentifier]: systemIdentifier }),
    };
    const taken = {
      ...lease,
      metadata: { ...lease.metadata, annotations },
      spec: { ...lease.spec, leaseTransitions: 1 },
    };
    if (canonicalJson(taken) !== canonicalJson(lease)) put(taken);
  };
  const getJson: GetJson = ({ host, path, body }) => {
    const pod = all("Pod").find((object) => (object["status"] as { podIP?: string } | undefined)?.podIP === host);
    const shard = pod === undefined ? -1 : shardOf(pod);
    if (pod === undefined || disturbed.get(shard) === "silent") {
      return Promise.reject(new OperatorError("AGENT_UNREACHABLE", `${host} does not answer`));
    }
    if (path !== SETTINGS_PATH) return Promise.resolve(answerOf(shard));
    const { parameters } = settingsRequest.parse(body);
    const accepted: SettingsAnswer = { outcome: "accepted", sharedMemoryBytes: 150 * 1024 ** 2 };
    return Promise.resolve(refusalOf(parameters) ?? accepted);
  };

  /** What the volume controller says of a claim that gets no volume. */
  const lackOf = (claim: KubeObject | undefined): string | undefined => {
    if (classes === undefined) return undefined;
    // No pod runs without its claim.
    if (claim === undefined) return "persistentvolumeclaim not found";
    if (claim["status"] !== undefined) return undefined;
    const { storageClassName: name } = claim["spec"] as { readonly storageClassName?: string };
    if (name === undefined) {
      const lack = "no persistent volumes available for this claim and no storage class is set";
      return classes.length === 0 ? lack : undefined;
    }
    return classes.includes(name) ? undefined : `storageclass.storage.k8s.io "${name}" not found`;
  };
  const useClasses = (names: readonly string[]): void => {
    for (const { metadata } of all("StorageClass")) edit("StorageClass", metadata.name, () => undefined);
    classes = names;
    names.forEach((name, index) => {
      const annotations = index === 0 ? { "storageclass.kubernetes.io/is-default-class": "true" } : {};
      put({ apiVersion: "storage.k8s.io/v1", kind: "StorageClass", metadata: { name, annotations } });
    });
  };

  const controllerWith = (image: string): ReturnType<typeof createShardSetController> =>
    createShardSetController({
      certificates: options.certificates ?? plainCertificates,
      getJson,
      images: { postgres: image },
      clusterDomain: "cluster.local",
    });
  let controller = controllerWith(IMAGE);
  const world: World = {
    ...memory,
    getJson,
    useClasses,
    shardSet: () => find("ShardSet", NAME) as ShardSet,
    setSpec: (changes) =>
      world.edit("ShardSet", NAME, (object) => ({
        ...object,
        spec: { ...(object["spec"] as ShardSetSpec), ...changes },
      })),
    upgrade: (image) => {
      controller = controllerWith(image);
    },
    deleteShardSet: () => memory.markDeleted("ShardSet", NAME),
    reconcile: async () => {
      const failure = await controller.reconcile({ namespace: NAMESPACE, name: NAME }, context).then(
        ({ error }) => (error === undefined ? [] : [`error ${(error as OperatorError).code}`]),
        (error: unknown) => [`panic ${String(error)}`],
      );
      return [...memory.takeTranscript(), ...failure];
    },
    lower: () => {
      for (const claim of all("PersistentVolumeClaim")) {
        const wanted = (claim["spec"] as { resources: { requests: { storage: string } } }).resources.requests.storage;
        const lack = lackOf(claim);
        if (lack !== undefined) {
          const name = `${claim.metadata.name}.${claim.metadata.uid ?? ""}`;
          if (find("Event", name) === undefined) put(complaint(name, claim, lack));
          continue;
        }
        const status = { phase: "Bound", capacity: { storage: wanted } };
        const bound = {
          ...claim,
          spec: { volumeName: `pv-${claim.metadata.uid}`, ...(claim["spec"] as object) },
          status,
        };
        if (canonicalJson(bound) !== canonicalJson(claim)) put(bound);
      }
      for (const pod of all("Pod")) {
        const shard = shardOf(pod);
        if (pod.metadata.deletionTimestamp !== undefined) {
          edit("Pod", pod.metadata.name, () => undefined);
          continue;
        }
        const trouble = disturbed.get(shard);
        const reason = stuck.get(shard);
        const lack = lackOf(find("PersistentVolumeClaim", pod.metadata.name));
        const running = {
          phase: "Running",
          podIP: `10.0.0.${shard}`,
          conditions: [{ type: "Ready", status: trouble === undefined ? "True" : "False" }],
        };
        const waiting = { phase: "Pending", containerStatuses: [{ name: "postgres", state: { waiting: { reason } } }] };
        const status = lack !== undefined ? pending(lack) : reason === undefined ? running : waiting;
        // An agent that never ran takes no Lease.
        if (lack === undefined) takeLease(shard);
        const isFinal = ["Failed", "Succeeded"].includes(
          (pod["status"] as { phase?: string } | undefined)?.phase ?? "",
        );
        if (!isFinal && canonicalJson(pod["status"]) !== canonicalJson(status)) put({ ...pod, status });
      }
    },
    settle: async () => {
      const lines: string[] = [];
      for (let round = 0; round < ROUNDS_MAX; round += 1) {
        const before = memory.revision();
        lines.push(...(await world.reconcile()));
        world.lower();
        if (memory.revision() === before) return lines;
      }
      throw new Error(`no rest after ${ROUNDS_MAX} rounds:\n${lines.slice(-20).join("\n")}`);
    },
    takes: (told) => {
      check = told;
    },
    stick: (shard, reason) => {
      if (reason === undefined) stuck.delete(shard);
      else stuck.set(shard, reason);
    },
    filesOf,
    lag: (shard) => void lagging.set(shard, filesOf(shard)),
    catchUp: (shard) => void lagging.delete(shard),
    emptyVolume: (shard) => void data.delete(volumeOf(shard)),
    disturb: (shard, answer) => {
      if (answer === undefined) disturbed.delete(shard);
      else disturbed.set(shard, answer);
    },
  };
  world.put({
    apiVersion: `${SHARD_SET.group}/${SHARD_SET.version}`,
    kind: "ShardSet",
    metadata: { name: NAME, namespace: NAMESPACE, uid: options.uid ?? "uid-bank" },
    spec: spec(options.spec),
  });
  return world;
}

/** Status of a pod that the scheduler gives to no node. */
function pending(lack: string): Record<string, unknown> {
  const message = `0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. ${lack}`;
  const scheduled = { type: "PodScheduled", status: "False", reason: "Unschedulable", message };
  return { phase: "Pending", conditions: [scheduled] };
}

/** The event of a claim that gets no volume, as the volume controller writes it. */
function complaint(name: string, { metadata }: KubeObject, note: string): KubeObject {
  return {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name },
    type: note.startsWith("no ") ? "Normal" : "Warning",
    reason: note.startsWith("no ") ? "FailedBinding" : "ProvisioningFailed",
    note,
    regarding: { apiVersion: "v1", kind: "PersistentVolumeClaim", name: metadata.name, uid: metadata.uid },
    deprecatedLastTimestamp: metadata.creationTimestamp,
  };
}

/** A condition of the world's ShardSet as "status reason: message". */
export function condition(world: World, type: string): string | undefined {
  const found = world.shardSet().status?.conditions?.find((known) => known.type === type);
  return found && `${found.status} ${found.reason}: ${found.message}`;
}
