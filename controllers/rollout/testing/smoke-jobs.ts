import type { KubeObject } from "../../../lib/kube/types.ts";
import type { MemoryWorld } from "../../../testkit/memory-world.ts";
import type { StoryStep } from "../../../testkit/story.ts";

// What the Job controller and the kubelet do with the Jobs of smoke tests, when a test says so.

/** The pod of a Job. @param status as its kubelet tells it */
export function jobPod(job: KubeObject, status: Record<string, unknown>): KubeObject {
  const { name, uid = "", namespace = "" } = job.metadata;
  const { template } = job["spec"] as { readonly template: { readonly metadata: { labels: Record<string, string> } } };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `${name}-pod`,
      namespace,
      uid: `${uid}-pod`,
      labels: template.metadata.labels,
      ownerReferences: [{ apiVersion: "batch/v1", kind: "Job", name, uid, controller: true }],
    },
    spec: { nodeName: "node", containers: [{ name: "test", image: "smoke:1" }] },
    status,
  };
}

/** A container that ended. */
export function endedWith(exitCode: number, message: string): Record<string, unknown> {
  return {
    phase: exitCode === 0 ? "Succeeded" : "Failed",
    containerStatuses: [
      { name: "test", image: "smoke:1", state: { terminated: { exitCode, reason: "Error", message } } },
    ],
  };
}

/** A container whose image cannot be pulled. */
export const UNPULLABLE: Record<string, unknown> = {
  phase: "Pending",
  containerStatuses: [
    {
      name: "test",
      image: "smoke:1",
      state: { waiting: { reason: "ImagePullBackOff", message: 'Back-off pulling image "smoke:1"' } },
    },
  ],
};

export const COMPLETE = { conditions: [{ type: "Complete", status: "True" }] };
export const GAVE_UP = {
  conditions: [
    {
      type: "Failed",
      status: "True",
      reason: "BackoffLimitExceeded",
      message: "Job has reached the specified backoff limit",
    },
  ],
};
export const TOO_LATE = {
  conditions: [
    {
      type: "Failed",
      status: "True",
      reason: "DeadlineExceeded",
      message: "Job was active longer than specified deadline",
    },
  ],
};

/** The Job whose smoke test has this name. @throws Error when there is none */
export function jobNamed(world: MemoryWorld, test: string): KubeObject {
  const job = world.all("Job").find(({ metadata }) => metadata.name.includes(`-${test}-`));
  if (job === undefined) throw new Error(`there is no Job of smoke test ${test}`);
  return job;
}

export function tellJob(world: MemoryWorld, job: KubeObject, status: Record<string, unknown>): void {
  world.edit("Job", job.metadata.name, (object) => ({ ...object, status }));
}

/** Every Job succeeds. */
export const jobsSucceed: StoryStep = (world) => {
  const job = world.all("Job").find((it) => it["status"] === undefined);
  if (job === undefined) return undefined;
  tellJob(world, job, COMPLETE);
  return `Job ${job.metadata.name} succeeds`;
};

/** What goes away with a Job. */
export const orphansStep: StoryStep = (world) => {
  const jobs = new Set(world.all("Job").map(({ metadata }) => metadata.uid));
  const orphan = world
    .all("Pod")
    .find(({ metadata }) => metadata.ownerReferences?.some(({ kind, uid }) => kind === "Job" && !jobs.has(uid)));
  if (orphan === undefined) return undefined;
  world.edit("Pod", orphan.metadata.name, () => undefined);
  return `pod ${orphan.metadata.name} goes with its Job`;
};
