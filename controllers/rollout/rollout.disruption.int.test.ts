// Disruption budgets on a real API server, whose eviction asks them. No controller counts pods here: what it would say of a budget
// is written by the test.

import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { LABELS } from "../../crds/group.ts";
import { ROLLOUT } from "../../crds/rollout.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { type KubeObject, RESOURCES } from "../../lib/kube/types.ts";
import { eventually } from "../../testkit/wait.ts";
import { deployment, NAMESPACE, rollout, service } from "./testing/builders.ts";
import { openServerStage, type ServerStage } from "./testing/server-stage.ts";

const DEADLINE_MS = 30_000;
let stage: ServerStage;
let user: KubeClient;

beforeAll(async () => {
  stage = await openServerStage({ gatewayApi: false });
  ({ user } = stage);
}, 120_000);

afterAll(() => stage.close());

const { Deployment, Pod, PodDisruptionBudget, Service } = RESOURCES;
const ref = (name: string) => ({ namespace: NAMESPACE, name });
const budget = (): Promise<KubeObject | undefined> => user.find(PodDisruptionBudget, ref("web-blue"));

/** What the controller of budgets says of one. */
async function allow(disruptionsAllowed: number): Promise<void> {
  const { generation } = (await user.get(PodDisruptionBudget, ref("web-blue"))).metadata;
  const counts = { disruptionsAllowed, currentHealthy: 4, desiredHealthy: 3, expectedPods: 4 };
  const patch = { status: { observedGeneration: generation, ...counts } };
  await user.patch(PodDisruptionBudget, ref("web-blue"), { format: "merge", patch, subresource: "status" });
}

/** A pod as web-blue asks for, which is ready. */
async function run(name: string): Promise<void> {
  const { spec } = await user.get(Deployment, ref("web-blue"));
  const { template } = spec as { readonly template: { readonly metadata: object; readonly spec: object } };
  const metadata = { ...template.metadata, name, namespace: NAMESPACE };
  await user.create(Pod, { apiVersion: "v1", kind: "Pod", metadata, spec: template.spec });
  const patch = { status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] } };
  await user.patch(Pod, ref(name), { format: "merge", patch, subresource: "status" });
}

test("[12] evictions ask the budget of a colour, and it changes with the spec without a gap", async () => {
  await user.create(Deployment, deployment("web:1"));
  await user.create(Service, service());
  const { uid: _, generation: __, ...metadata } = rollout().metadata;
  await user.create(ROLLOUT, { ...rollout({ disruption: { maxUnavailable: "25%" } }), metadata });
  await eventually("the budget is there", async () => (await budget()) !== undefined, DEADLINE_MS);
  const before = await budget();
  expect(before?.["spec"]).toMatchObject({ maxUnavailable: "25%", unhealthyPodEvictionPolicy: "AlwaysAllow" });
  expect(before?.metadata.labels?.[LABELS.name]).toBe("web");

  await run("one");
  await allow(0);
  await expect(user.evict(ref("one"))).rejects.toMatchObject({ code: "KUBE_EVICTION_BLOCKED" });
  await allow(1);
  await user.evict(ref("one"), { gracePeriodSeconds: 0 });
  expect(await user.find(Pod, ref("one"))).toBeUndefined();

  const ask = (disruption: object | null): Promise<unknown> =>
    user.patch(ROLLOUT, ref("web"), { format: "merge", patch: { spec: { disruption } } });
  await ask({ maxUnavailable: null, minAvailable: 3 });
  const is3 = async (): Promise<boolean> => {
    const { minAvailable, maxUnavailable } = ((await budget())?.["spec"] ?? {}) as Record<string, unknown>;
    return minAvailable === 3 && maxUnavailable === undefined;
  };
  await eventually("the other measure counts", is3, DEADLINE_MS);
  expect((await budget())?.metadata.uid).toBe(before?.metadata.uid);
  await ask(null);
  await eventually("the budget is gone", async () => (await budget()) === undefined, DEADLINE_MS);
}, 90_000);
