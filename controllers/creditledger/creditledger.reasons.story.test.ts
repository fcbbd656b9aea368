// A ledger that does not come up says why, although a Job or a Deployment stands between, and goes on when it is mended.
import { expect, test } from "@jest/globals";
import type { KubeObject } from "../../lib/kube/types.ts";
import { toRest as bringToRest, conditionOf, reconcileOnce, type StoryStep } from "../../testkit/story.ts";
import { createCreditLedgerController } from "./creditledger.controller.ts";
import { MIGRATION_RETRY_SECONDS } from "./creditledger.migration.ts";
import { deps, ledger, NAME, NAMESPACE, shardSet } from "./testing/builders.ts";
import { failJob, jobStep, KIND, LOWER_STEPS, shardSetStep } from "./testing/lower.ts";
import { createWorld, type World } from "./testing/world.ts";

const KEY = { namespace: NAMESPACE, name: NAME };

/** A ledger whose ShardSet is there, and those who act on it. */
function begin(steps: readonly StoryStep[] = LOWER_STEPS) {
  const controller = createCreditLedgerController(deps());
  const world = createWorld(controller.indexes);
  const { resourceVersion: _, ...metadata } = ledger().metadata;
  world.put({ ...ledger(), metadata: { ...metadata, finalizers: [] } });
  world.put(shardSet());
  const cast = { world, controller, key: KEY, kind: KIND, steps };
  const says = (type: string): string => {
    const found = conditionOf(cast, type);
    return `${found?.status ?? ""} ${found?.reason ?? ""}: ${found?.message ?? ""}`;
  };
  const toRest = () => bringToRest(cast);
  return { world, cast, says, toRest, reconcile: () => reconcileOnce(cast) };
}

/** What a controller of Kubernetes tells of an object in an event. */
function tell(world: World, of: KubeObject, [reason, note]: readonly [string, string]): void {
  const { name, namespace, uid } = of.metadata;
  world.put({
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name: `${name}.1`, namespace: NAMESPACE },
    type: "Warning",
    reason,
    note,
    regarding: { apiVersion: of.apiVersion, kind: of.kind, name, namespace, uid },
    deprecatedLastTimestamp: new Date(world.clock.now()).toISOString(),
  });
}

/** Pods of the Deployment that wait, with this status. */
function putPod(world: World, status: object): void {
  const [deployment] = world.all("Deployment");
  const template = (deployment?.["spec"] as { template: { metadata: { labels: Record<string, string> } } }).template;
  const creationTimestamp = new Date(world.clock.now()).toISOString();
  world.put({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "bank-7d9f-abcde", labels: template.metadata.labels, creationTimestamp },
    spec: { containers: [{ name: "ledger", image: "shieldx:1" }] },
    status,
  });
}

function setStatus(world: World, kind: string, status: object): void {
  const [found] = world.all(kind);
  world.edit(kind, found?.metadata.name ?? "", (object) => ({ ...object, status }));
}

test("trial 5c: a Job whose pod is refused quotes the server, and says that a person has to act", async () => {
  const { world, says, toRest, reconcile } = begin([shardSetStep]);
  await toRest();
  const [job] = world.all("Job");
  const words = "maximum memory usage per Container is 512Mi, but limit is 1Gi";
  tell(world, job as KubeObject, [
    "FailedCreate",
    `Error creating: pods "${job?.metadata.name ?? ""}-x" is forbidden: ${words}`,
  ]);
  await world.clock.advance(10_000);
  await reconcile();
  expect(says("Ready")).toBe(
    `False StartBlocked: Job ${job?.metadata.name ?? ""} waits: no pod can be made: pods "${job?.metadata.name ?? ""}-x" is forbidden: ${words}; change the quota, the limit range or the policy, or the spec`,
  );
  expect(says("Stalled")).toMatch(/^True StartBlocked/);
  expect(jobStep(world)).toContain("pod starts");
  await reconcile();
  expect(says("Ready")).toMatch(/^False Migrating: Job \S+ is running$/);
});

test("a migration pod that no node has room for says so", async () => {
  const { world, says, toRest, reconcile } = begin([shardSetStep]);
  await toRest();
  jobStep(world);
  const message = "0/1 nodes are available: 1 Insufficient cpu.";
  const scheduled = { type: "PodScheduled", status: "False", reason: "Unschedulable", message };
  setStatus(world, "Pod", { phase: "Pending", conditions: [scheduled] });
  await reconcile();
  expect(says("Ready")).toMatch(
    /^False Migrating: Job \S+ waits: pod \S+: Unschedulable: 0\/1 nodes are available: 1 Insufficient cpu\.$/,
  );
  expect(says("Stalled")).toMatch(/^False/);
});

const TWO_PODS =
  'pods "bank-7d9f-x" is forbidden: exceeded quota: two-pods, requested: pods=1, used: pods=2, limited: pods=2';

test("trial 5b: a Deployment whose pods are refused quotes the server, and its controllers are woken each minute", async () => {
  const { world, says, toRest, reconcile } = begin();
  await toRest();
  const refused = (holds: boolean) => ({
    observedGeneration: world.all("Deployment")[0]?.metadata.generation,
    replicas: holds ? 1 : 2,
    updatedReplicas: holds ? 1 : 2,
    readyReplicas: holds ? 1 : 2,
    conditions: holds
      ? [
          {
            type: "ReplicaFailure",
            status: "True",
            reason: "FailedCreate",
            message: TWO_PODS,
            lastTransitionTime: new Date(world.clock.now()).toISOString(),
          },
        ]
      : [],
  });
  setStatus(world, "Deployment", refused(true));
  const nudges: string[] = [];
  for (let seconds = 0; seconds <= 130; seconds += 10) {
    nudges.push(...(await reconcile()).filter((line) => line.startsWith("patch  Deployment")));
    await world.clock.advance(10_000);
  }
  expect(nudges).toEqual(
    Array.from({ length: 2 }, () => "patch  Deployment bank: its pods were refused: it asks for them again"),
  );
  expect(says("Ready")).toBe(
    `False StartBlocked: pods are being started; 1 of 2 pods are ready; no pod can be made: ${TWO_PODS}; change the quota, the limit range or the policy, or the spec`,
  );
  expect(says("Stalled")).toMatch(/^True StartBlocked/);
  setStatus(world, "Deployment", refused(false));
  await toRest();
  expect(says("Ready")).toMatch(/^True Ready/);
  expect(await reconcile()).toEqual([]);
});

test("trial 9: a ledger pod without its image names image and answer of the registry", async () => {
  const { world, says, toRest, reconcile } = begin();
  await toRest();
  const message = 'failed to pull and unpack image "shieldx:1": not found';
  putPod(world, {
    phase: "Pending",
    containerStatuses: [{ name: "ledger", restartCount: 0, state: { waiting: { reason: "ErrImagePull", message } } }],
  });
  setStatus(world, "Deployment", {
    observedGeneration: world.all("Deployment")[0]?.metadata.generation,
    replicas: 2,
    updatedReplicas: 2,
    readyReplicas: 0,
  });
  await reconcile();
  expect(says("Ready")).toBe(
    `False StartBlocked: 0 of 2 pods are ready; pod bank-7d9f-abcde: image shieldx:1 cannot be pulled: ErrImagePull: ${message}; correct the image in the values of the operator, or name a pull secret in spec.imagePullSecrets`,
  );
});

/** As `kubectl delete job --all` does. */
function removeJobs(world: World): void {
  const pods = world.all("Pod").filter(({ metadata }) => metadata.name.includes("-migrate-"));
  for (const { kind, metadata } of [...world.all("Job"), ...pods]) world.edit(kind, metadata.name, () => undefined);
}

test("a finished Job that somebody removes stays done: nothing is migrated again, and nothing is told", async () => {
  const { world, says, toRest, reconcile } = begin();
  await toRest();
  const before = [says("Ready"), says("Migrated")];
  removeJobs(world);
  expect(await reconcile()).toEqual([]);
  expect([says("Ready"), says("Migrated")]).toEqual(before);
});

test("for other databases the migration is done again, whatever was recorded", async () => {
  const { world, says, toRest, reconcile } = begin();
  const useClusters = (first: string) =>
    world.edit("ShardSet", shardSet().metadata.name, (object) => {
      const shardStatuses = [first, "75", "76"].map((systemIdentifier, shard) => ({
        shard,
        ready: true,
        bucketCount: 1,
        systemIdentifier,
      }));
      return { ...object, status: { ...(object["status"] as object), shardStatuses } };
    });
  await toRest();
  removeJobs(world);
  // Known only later: it is recorded, and nothing is done.
  useClusters("74");
  expect((await toRest()).filter((line) => /Job|Pod /.test(line))).toEqual([]);
  expect(says("Ready")).toMatch(/^True Ready/);
  expect(world.all("Deployment")[0]?.metadata.annotations?.["shieldx.dev/migration"]).toMatch(/ 74,75,76$/);
  useClusters("77");
  expect((await reconcile()).join()).toContain("create Job bank-migrate-");
});

test("a migration that failed keeps saying why while it is tried again, soon", async () => {
  const { world, says, toRest, reconcile } = begin([shardSetStep]);
  await toRest();
  failJob(world, new Date(world.clock.now()).toISOString());
  await reconcile();
  const told = says("Ready");
  expect(told).toMatch(
    /^False MigrationFailed: Job \S+ failed: .* \(failed attempts: 5, last: MIGRATION_FAILED: shard 1 does not answer\)$/,
  );
  await world.clock.advance(MIGRATION_RETRY_SECONDS * 1_000);
  expect(MIGRATION_RETRY_SECONDS).toBeLessThanOrEqual(120);
  expect((await reconcile()).join()).toContain("delete Job");
  for (const { metadata } of world.all("Pod")) world.edit("Pod", metadata.name, () => undefined);
  await reconcile();
  jobStep(world);
  await reconcile();
  expect(says("Ready")).toBe(told);
  jobStep(world);
  await reconcile();
  expect(says("Migrated")).toMatch(/^True Migrated/);
});

test("a Job that somebody suspends says so, with the way out, and goes on when it is resumed", async () => {
  const { world, says, toRest, reconcile } = begin([shardSetStep]);
  await toRest();
  const name = world.all("Job")[0]?.metadata.name ?? "";
  const suspend = (holds: boolean) =>
    world.edit("Job", name, (object) => ({ ...object, spec: { ...(object["spec"] as object), suspend: holds } }));
  suspend(true);
  expect(await reconcile()).not.toContain("delete");
  expect(says("Ready")).toBe(
    `False StartBlocked: Job ${name} is suspended (spec.suspend), so nothing migrates: set it to false, or delete the Job to have it made anew`,
  );
  expect(says("Stalled")).toMatch(/^True StartBlocked/);
  suspend(false);
  await reconcile();
  expect(says("Ready")).toBe(`False Migrating: Job ${name} is running`);
});

test.each(["running", "succeeded"])(
  "a Job that is removed while it is %s and before anything is recorded is made again, once each time",
  async (state) => {
    const { world, says, toRest, reconcile } = begin([shardSetStep]);
    await toRest();
    const remove = () => {
      for (const { kind, metadata } of [...world.all("Job"), ...world.all("Pod")])
        world.edit(kind, metadata.name, () => undefined);
    };
    for (let round = 0; round < 3; round += 1) {
      if (state === "succeeded") for (let step = 0; step < 3; step += 1) jobStep(world);
      remove();
      expect((await reconcile()).filter((line) => line.includes("Job"))).toEqual([
        expect.stringMatching(/^create Job bank-migrate-/),
      ]);
      expect((await reconcile()).join()).not.toContain("Job");
    }
    while (jobStep(world) !== undefined) await reconcile();
    await reconcile();
    expect(says("Migrated")).toMatch(/^True Migrated/);
    remove();
    expect((await reconcile()).filter((line) => line.includes("Job"))).toEqual([]);
    expect(says("Migrated")).toMatch(/^True Migrated/);
  },
);

test("a failed Job that a clean-up removes at once is made again, and its last words stay told", async () => {
  const { world, says, toRest, reconcile } = begin([shardSetStep]);
  await toRest();
  failJob(world, new Date(world.clock.now()).toISOString());
  await reconcile();
  const told = says("Ready");
  for (const { kind, metadata } of [...world.all("Job"), ...world.all("Pod")])
    world.edit(kind, metadata.name, () => undefined);
  expect((await reconcile()).join()).toContain("create Job");
  expect(says("Ready")).toBe(told);
  expect(await reconcile()).toEqual([]);
  expect(says("Ready")).toBe(told);
});
