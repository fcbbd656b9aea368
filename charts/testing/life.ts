import type { AgentStatus } from "../../crds/agent-status.ts";
import { CREDIT_LEDGER } from "../../crds/creditledger.ts";
import { requestHash } from "../../crds/database-request.ts";
import { COMPONENTS, LABELS } from "../../crds/group.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { isOperatorError } from "../../lib/core/errors.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { type KubeObject, RESOURCES, type ResourceType } from "../../lib/kube/types.ts";

/** What the rest of a cluster does for the kinds, where there are only an API server and its store. */
export interface Life {
  /** Answers for the agents of all shards: everything that was requested is carried out. */
  readonly getJson: (request: { readonly host: string }) => Promise<unknown>;
  /** Runs pods, binds volumes, finishes Jobs, rolls Deployments out, holds writer Leases; until the signal. */
  run(signal: AbortSignal): Promise<void>;
}

const POLL_MS = 50;

/** The controller asks after 3 s why a claim has no volume; times of the server are whole seconds. */
export const SLOW_TO_BIND_MS = 6_000;

/** Life in one namespace with one ShardSet. @param how `bindAfterMs`: age at which a claim gets its volume; 0 unless told */
export function createLife(
  kube: KubeClient,
  how: { readonly namespace: string; readonly shardSet: string; readonly bindAfterMs?: number },
): Life {
  const { namespace, shardSet, bindAfterMs = 0 } = how;
  const setStatus = async (type: ResourceType, { metadata }: KubeObject, status: unknown): Promise<void> => {
    const ref = { namespace, name: metadata.name };
    await kube.patch(type, ref, { format: "merge", patch: { status }, subresource: "status" });
  };

  /** A pod of the ledger, as a holder of its Leases is called; made by nobody else here. */
  const podOf = async (of: Readonly<Record<string, string>> = {}): Promise<string> => {
    const { [LABELS.kind]: kind = "", [LABELS.name]: ledger = "" } = of;
    const metadata = { name: `${ledger}-pod`, namespace };
    const labels = { [LABELS.kind]: kind, [LABELS.name]: ledger, [LABELS.component]: COMPONENTS.ledger };
    const pod =
      (await kube.find<KubeObject>(RESOURCES.Pod, metadata)) ??
      (await kube.create<KubeObject>(RESOURCES.Pod, {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { ...metadata, labels },
        spec: { containers: [{ name: "ledger", image: "x:1" }] },
      }));
    return `${metadata.name}_${pod.metadata.uid ?? ""}`;
  };

  /** Each kind with what happens to its objects; nothing when it has happened. */
  const steps: readonly (readonly [ResourceType, (object: KubeObject) => Promise<void>])[] = [
    [
      RESOURCES.Pod,
      async (pod) => {
        if (pod.metadata.deletionTimestamp !== undefined) {
          await kube.delete(RESOURCES.Pod, { namespace, name: pod.metadata.name }, { gracePeriodSeconds: 0 });
        } else if (statusOf(pod)["phase"] !== "Running") {
          const claim = await kube.find(RESOURCES.PersistentVolumeClaim, { namespace, name: pod.metadata.name });
          if (claim !== undefined && statusOf(claim)["phase"] !== "Bound") return;
          const podIP = `10.0.0.${pod.metadata.labels?.[LABELS.shard] ?? "0"}`;
          const conditions = [{ type: "Ready", status: "True" }];
          await setStatus(RESOURCES.Pod, pod, { phase: "Running", podIP, podIPs: [{ ip: podIP }], conditions });
        }
      },
    ],
    [
      RESOURCES.PersistentVolumeClaim,
      async (claim) => {
        if (statusOf(claim)["phase"] === "Bound") return;
        const age = systemClock.now() - Date.parse(claim.metadata.creationTimestamp ?? "");
        if (age < bindAfterMs) return;
        const { resources } = claim["spec"] as { resources: { requests: object } };
        await setStatus(RESOURCES.PersistentVolumeClaim, claim, { phase: "Bound", capacity: resources.requests });
      },
    ],
    [
      RESOURCES.Job,
      async (job) => {
        if (statusOf(job)["succeeded"] === 1) return;
        const at = "2025-01-01T00:00:00Z";
        await setStatus(RESOURCES.Job, job, {
          startTime: at,
          completionTime: at,
          succeeded: 1,
          uncountedTerminatedPods: {},
          conditions: ["SuccessCriteriaMet", "Complete"].map((type) => ({
            type,
            status: "True",
            lastTransitionTime: at,
          })),
        });
      },
    ],
    [
      RESOURCES.Deployment,
      async (deployment) => {
        const observedGeneration = deployment.metadata.generation;
        if (statusOf(deployment)["observedGeneration"] === observedGeneration) return;
        const counts = { replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2 };
        await setStatus(RESOURCES.Deployment, deployment, { observedGeneration, ...counts });
      },
    ],
    [
      RESOURCES.Lease,
      async (lease) => {
        const { holderIdentity } = (lease["spec"] ?? {}) as { holderIdentity?: string };
        if (lease.metadata.labels?.[LABELS.kind] !== CREDIT_LEDGER.kind || holderIdentity !== undefined) return;
        const renewTime = new Date(systemClock.now()).toISOString().replace("Z", "000Z");
        const writer = await podOf(lease.metadata.labels);
        const spec = { holderIdentity: writer, leaseDurationSeconds: 3600, leaseTransitions: 1, renewTime };
        await kube.patch(
          RESOURCES.Lease,
          { namespace, name: lease.metadata.name },
          { format: "merge", patch: { spec } },
        );
      },
    ],
  ];

  return {
    getJson: async ({ host }) => {
      const secret = await kube.find(RESOURCES.Secret, { namespace, name: `${shardSet}-databases` });
      const text = Buffer.from(secret?.data?.["databases.json"] ?? "", "base64").toString("utf8");
      const { databases } = JSON.parse(text === "" ? '{"databases":[]}' : text) as { databases: never[] };
      const status: AgentStatus = {
        shardSet,
        shard: Number(host.split(".")[3]),
        instance: 0,
        role: "primary",
        ready: true,
        reason: "Ready",
        message: "PostgreSQL accepts writes",
        epoch: 1,
        postgresVersion: "17.11",
        systemIdentifier: "7400000000000000001",
        mapVersion: 1,
        restarts: 0,
        databases: databases.map((request: { database: string }) => ({
          database: request.database,
          ready: true,
          requestHash: requestHash(request as never),
        })),
      };
      return status;
    },
    run: async (signal) => {
      while (!signal.aborted) {
        for (const [type, step] of steps) {
          for (const object of (await kube.list(type, { namespace })).items) {
            // Gone or changed since it was listed: the next round sees it as it is.
            await step(object).catch((error: unknown) => {
              if (!isOperatorError(error, "KUBE_NOT_FOUND") && !isOperatorError(error, "KUBE_CONFLICT")) throw error;
            });
          }
        }
        await systemClock.sleep(POLL_MS, signal);
      }
    },
  };
}

function statusOf(object: KubeObject): Readonly<Record<string, unknown>> {
  return (object["status"] ?? {}) as Readonly<Record<string, unknown>>;
}
