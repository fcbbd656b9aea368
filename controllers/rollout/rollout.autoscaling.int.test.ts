// Whose the number of pods is, on a real API server with its server-side apply and its defaults. No autoscaler runs: what one would
// write is written by the test.

import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { ANNOTATIONS } from "../../crds/group.ts";
import { ROLLOUT } from "../../crds/rollout.ts";
import { isOperatorError } from "../../lib/core/errors.ts";
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

const { Deployment, HorizontalPodAutoscaler, Service } = RESOURCES;
const ref = (name: string) => ({ namespace: NAMESPACE, name });
const blue = (): Promise<KubeObject | undefined> => user.find(Deployment, ref("web-blue"));
const autoscaler = (): Promise<KubeObject | undefined> => user.find(HorizontalPodAutoscaler, ref("web-blue"));
const pods = (object: KubeObject | undefined): number | undefined =>
  (object?.["spec"] as { readonly replicas?: number } | undefined)?.replicas;
const change = (spec: object): Promise<unknown> =>
  user.patch(ROLLOUT, ref("web"), { format: "merge", patch: { spec } });

test("[25] the number of pods goes to an autoscaler and comes back, and never jumps to the server's default", async () => {
  await user.create(Deployment, deployment("web:1", 5));
  await user.create(Service, service());
  const { uid: _, generation: __, ...metadata } = rollout().metadata;
  await user.create(ROLLOUT, { ...rollout(), metadata });
  await eventually("pods are asked for", async () => pods(await blue()) === 5, DEADLINE_MS);

  // What everybody sees at any moment: each version of the Deployment.
  const seen = new Map<string | undefined, number | undefined>();
  const { resourceVersion } = await user.list(Deployment, { namespace: NAMESPACE });
  const watching = new AbortController();
  const watched = (async () => {
    const versions = user.watch(Deployment, { namespace: NAMESPACE, resourceVersion, signal: watching.signal });
    for await (const { object } of versions) {
      if (object.metadata.name === "web-blue") seen.set(object.metadata.resourceVersion, pods(object));
    }
  })().catch((error: unknown) => {
    if (!isOperatorError(error, "ABORTED")) throw error;
  });
  await change({ autoscaling: { minReplicas: 2, maxReplicas: 9 } });
  await eventually("the autoscaler is there", async () => (await autoscaler()) !== undefined, DEADLINE_MS);
  const handed = await blue();
  expect(handed?.metadata.annotations?.[ANNOTATIONS.autoscaled]).toBe("true");
  const holders = (handed?.metadata["managedFields"] as { manager: string; fieldsV1: { "f:spec"?: object } }[])
    .filter(({ fieldsV1 }) => "f:replicas" in (fieldsV1["f:spec"] ?? {}))
    .map(({ manager }) => manager);
  expect(holders).toEqual(["shieldx-hand-over"]);
  expect((await autoscaler())?.["spec"]).toMatchObject({
    scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web-blue" },
    minReplicas: 5,
    maxReplicas: 9,
    metrics: [{ type: "Resource", resource: { name: "cpu", target: { averageUtilization: 80 } } }],
  });
  const isSeen = async (): Promise<boolean> => seen.has(handed?.metadata.resourceVersion);
  await eventually("the watch has come so far", isSeen, DEADLINE_MS);
  watching.abort();
  await watched;
  expect(new Set(seen.values())).toEqual(new Set([5]));

  // As the autoscaler does: by the scale of the Deployment.
  const patch = { spec: { replicas: 7 } };
  const how = { format: "merge", patch, subresource: "scale", fieldManager: "kube-controller-manager" } as const;
  await user.patch(Deployment, ref("web-blue"), how);
  await change({ progressDeadlineSeconds: 500 });
  const isApplied = async (): Promise<boolean> =>
    ((await blue())?.["spec"] as { progressDeadlineSeconds?: number }).progressDeadlineSeconds === 500;
  await eventually("the rest of the Deployment is still ours", isApplied, DEADLINE_MS);
  expect(pods(await blue())).toBe(7);

  await change({ autoscaling: null, replicas: 4 });
  await eventually("the number is ours again", async () => pods(await blue()) === 4, DEADLINE_MS);
  expect(await autoscaler()).toBeUndefined();
  expect((await blue())?.metadata.annotations?.[ANNOTATIONS.autoscaled]).toBeUndefined();
}, 90_000);
