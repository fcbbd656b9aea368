import { CREDIT_LEDGER } from "../../../crds/creditledger.ts";
import { DATABASE_REQUEST_KEY, parseDatabaseRequest, requestHash } from "../../../crds/database-request.ts";
import { ANNOTATIONS, COMPONENTS, LABELS } from "../../../crds/group.ts";
import type { DatabaseStatus } from "../../../crds/shardset.ts";
import type { KubeObject, LeaseObject, SecretObject } from "../../../lib/kube/types.ts";
import { deploymentStep } from "../../../testkit/lower.ts";
import type { StoryStep } from "../../../testkit/story.ts";
import { type shardSet } from "./builders.ts";
import type { World } from "./world.ts";

// What others do with a ledger's objects, each call one small step. A step returns what it did in words, or
// `undefined` when there was nothing left to do.

type Step = StoryStep;

/** The ShardSet: its shards become ready, its agents carry out one request on one shard after another. */
export const shardSetStep: Step = (world) => {
  const [found] = world.all("ShardSet");
  if (found === undefined) return undefined;
  const { spec, status } = found as ReturnType<typeof shardSet>;
  const shardsReady = status?.shardsReady ?? 0;
  if (shardsReady < spec.shards) {
    const shards = { shards: spec.shards, shardsReady: shardsReady + 1 };
    world.edit("ShardSet", found.metadata.name, (object) => ({ ...object, status: { ...status, ...shards } }));
    return `ShardSet ${found.metadata.name}: ${String(shardsReady + 1)} shards ready`;
  }
  for (const secret of requests(world, found.metadata.name)) {
    const json = Buffer.from(secret.data?.[DATABASE_REQUEST_KEY] ?? "", "base64").toString("utf8");
    const request = parseDatabaseRequest(json);
    const hash = requestHash(request);
    const before = status?.databases?.find(({ name }) => name === request.database);
    const done = before?.requestHash === hash ? before.shardsReady : 0;
    if (done >= spec.shards) continue;
    const database: DatabaseStatus = { name: request.database, requestHash: hash, shardsReady: done + 1 };
    const others = (status?.databases ?? []).filter(({ name }) => name !== request.database);
    world.edit("ShardSet", found.metadata.name, (object) => ({
      ...object,
      status: { ...status, databases: [...others, database] },
    }));
    const verb = request.drop === true ? "dropped" : "made";
    return `ShardSet ${found.metadata.name}: ${request.database} ${verb} on ${String(done + 1)} shards`;
  }
  return undefined;
};

function requests(world: World, shardSetName: string): readonly SecretObject[] {
  return world
    .all("Secret")
    .filter(
      ({ metadata }) =>
        metadata.labels?.[LABELS.shardSet] === shardSetName &&
        metadata.labels[LABELS.component] === COMPONENTS.databaseRequest,
    );
}

/** The Job controller and the kubelet: a Job's pod appears, then succeeds. */
export const jobStep: Step = (world) => {
  for (const job of world.all("Job")) {
    const pod = `${job.metadata.name}-pod`;
    if (world.find("Pod", pod) === undefined) {
      world.put(migrationPod(job, { running: {} }));
      return `Job ${job.metadata.name}: pod starts`;
    }
    if (job["status"] === undefined) {
      world.put(migrationPod(job, { terminated: { exitCode: 0, message: '{"schemaVersion": 3}\n' } }));
      world.edit("Job", job.metadata.name, (object) => ({
        ...object,
        status: { conditions: [{ type: "Complete", status: "True" }] },
      }));
      return `Job ${job.metadata.name}: succeeds`;
    }
  }
  return undefined;
};

/** The Job gives up after its last attempt. */
export function failJob(world: World, at: string): void {
  const [job] = world.all("Job");
  if (job === undefined) throw new Error("there is no Job");
  world.put(
    migrationPod(job, { terminated: { exitCode: 1, message: "MIGRATION_FAILED: shard 1\n  does not answer\n" } }),
  );
  world.edit("Job", job.metadata.name, (object) => ({
    ...object,
    status: {
      failed: 5,
      conditions: [
        {
          type: "Failed",
          status: "True",
          message: "Job has reached the specified backoff limit",
          lastTransitionTime: at,
        },
      ],
    },
  }));
}

function migrationPod(job: KubeObject, state: Record<string, unknown>): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `${job.metadata.name}-pod`,
      labels: job.metadata.labels ?? {},
      ownerReferences: [
        { apiVersion: "batch/v1", kind: "Job", name: job.metadata.name, uid: job.metadata.uid ?? "", controller: true },
      ],
    },
    status: { containerStatuses: [{ name: "migrate", restartCount: 0, state }] },
  };
}

/** The ledger pods: one takes the next free writer Lease. */
export const writerStep: Step = (world) => {
  const ready = world
    .all("Deployment")
    .some((object) => (object["status"] as { readyReplicas?: number })?.readyReplicas);
  const free = world.all("Lease").find((lease) => (lease as LeaseObject).spec?.holderIdentity === undefined);
  if (!ready || free === undefined) return undefined;
  takeLease(world, free.metadata.name, { holder: "bank-7d9f-abcde_uid-pod", epoch: 1, position: "0" });
  return `Lease ${free.metadata.name}: bank-7d9f-abcde writes`;
};

/** A pod of the Deployment. */
function ledgerPod(name: string, uid: string): KubeObject {
  const labels = {
    [LABELS.kind]: CREDIT_LEDGER.kind,
    [LABELS.name]: "bank",
    [LABELS.component]: COMPONENTS.ledger,
  };
  const conditions = [{ type: "Ready", status: "True" }];
  return { apiVersion: "v1", kind: "Pod", metadata: { name, uid, labels }, status: { phase: "Running", conditions } };
}

/** A pod takes or renews a writer Lease. */
export function takeLease(
  world: World,
  name: string,
  { holder, epoch, position }: { holder: string; epoch: number; position: string },
): void {
  const [pod = "", uid = ""] = holder.split("_");
  if (world.find("Pod", pod) === undefined) world.put(ledgerPod(pod, uid));
  world.edit("Lease", name, (object) => ({
    ...object,
    metadata: {
      ...object.metadata,
      annotations: { ...object.metadata.annotations, [ANNOTATIONS.headPosition]: position },
    },
    spec: { holderIdentity: holder, leaseTransitions: epoch, renewTime: world.clock.now() },
  }));
}

export const LOWER_STEPS: readonly Step[] = [shardSetStep, jobStep, deploymentStep, writerStep];

/** The kind of the resource under test. */
export const KIND = CREDIT_LEDGER.kind;
