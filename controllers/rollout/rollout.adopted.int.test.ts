// A route of the user's on a real API server with the Gateway API, whose defaults, managed fields and conflicts are the real ones. No
// gateway and no kubelet run: what they would say is written by the test.

import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { ROLLOUT, type RolloutSpec } from "../../crds/rollout.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { type KubeObject, RESOURCES } from "../../lib/kube/types.ts";
import { eventually } from "../../testkit/wait.ts";
import { deployment, NAME, NAMESPACE, rollout, service } from "./testing/builders.ts";
import { endpoints, shopRoute } from "./testing/routes.ts";
import { openServerStage, type ServerStage } from "./testing/server-stage.ts";
import { type RouteRule, rulesOf } from "./traffic/adopted-rule.ts";

const DEADLINE_MS = 30_000;
const GIT = "argocd-controller";
let stage: ServerStage;
let user: KubeClient;

beforeAll(async () => {
  stage = await openServerStage({ gatewayApi: true });
  ({ user } = stage);
}, 120_000);

afterAll(() => stage.close());

const SHOP = { namespace: NAMESPACE, name: "shop" };

/** As Git has it: without what the server fills in. */
const RULES = [
  { name: "images", backendRefs: [{ name: "images", port: 80 }], timeouts: { request: "5s" } },
  {
    name: "all",
    matches: [{ path: { type: "PathPrefix", value: "/" } }],
    filters: [{ type: "RequestHeaderModifier", requestHeaderModifier: { set: [{ name: "x-a", value: "b" }] } }],
    backendRefs: [
      { name: "web", port: 80, weight: 9 },
      { name: "old", port: 8080 },
    ],
  },
] as const;

async function rules(): Promise<readonly RouteRule[]> {
  return rulesOf(await user.get(RESOURCES.HTTPRoute, SHOP));
}

async function backends(): Promise<string> {
  const [, rule] = await rules();
  return (rule?.backendRefs ?? []).map(({ name, weight }) => `${name} ${String(weight)}`).join(", ");
}

async function becomes(what: string): Promise<void> {
  await eventually(what, async () => (await backends()) === what, DEADLINE_MS).catch(async (error: unknown) => {
    const { status } = await user.get(ROLLOUT, { namespace: NAMESPACE, name: NAME });
    throw new Error(`${String(error)}; it is ${await backends()}: ${JSON.stringify(status)}`);
  });
}

async function says(type: string, reason: string, words: string): Promise<void> {
  const told = new Set<string>();
  await eventually(
    `${type} says ${reason}: ${words}`,
    async () => {
      const { status } = await user.get(ROLLOUT, { namespace: NAMESPACE, name: NAME });
      const condition = status?.conditions?.find((it) => it.type === type);
      told.add(`${condition?.reason ?? ""}: ${condition?.message ?? ""}`);
      return condition?.reason === reason && condition.message.includes(words);
    },
    DEADLINE_MS,
  ).catch((error: unknown) => {
    throw new Error([String(error), ...told].join("\n"));
  });
}

async function fromGit(): Promise<void> {
  const { spec, ...route } = shopRoute();
  const object = { ...route, spec: { ...Object(spec), rules: RULES } } as KubeObject;
  await user.apply(RESOURCES.HTTPRoute, object, { fieldManager: GIT, force: true });
}

/** The gateway takes the route as it is. */
async function taken(): Promise<void> {
  const { metadata, spec } = await user.get(RESOURCES.HTTPRoute, SHOP);
  const { parentRefs } = spec as { readonly parentRefs: readonly object[] };
  const lastTransitionTime = new Date().toISOString();
  const conditions = ["Accepted", "ResolvedRefs"].map((type) => ({
    type,
    status: "True",
    reason: type,
    message: "",
    observedGeneration: metadata.generation,
    lastTransitionTime,
  }));
  const parents = parentRefs.map((parentRef) => ({ parentRef, controllerName: "test.example/gateway", conditions }));
  const how = { format: "merge", patch: { status: { parents } }, subresource: "status" } as const;
  await user.patch(RESOURCES.HTTPRoute, SHOP, how);
}

/** Pods of a colour as a kubelet would report them, once its Deployment is there. */
async function runPods(colour: string): Promise<void> {
  const ref = { namespace: NAMESPACE, name: `${NAME}-${colour}` };
  await eventually(
    `Deployment of ${colour}`,
    async () => (await user.find(RESOURCES.Deployment, ref)) !== undefined,
    DEADLINE_MS,
  );
  const { spec } = await user.get(RESOURCES.Deployment, ref);
  const { replicas, template } = spec as {
    readonly replicas: number;
    readonly template: { readonly metadata: { readonly labels: Record<string, string> }; readonly spec: object };
  };
  for (let index = 0; index < replicas; index += 1) {
    const metadata = { name: `${ref.name}-${String(index)}`, namespace: NAMESPACE, labels: template.metadata.labels };
    await user.create(RESOURCES.Pod, { apiVersion: "v1", kind: "Pod", metadata, spec: template.spec });
    const status = {
      phase: "Running",
      podIP: `10.0.0.${String(index + 1)}`,
      conditions: [{ type: "Ready", status: "True" }],
    };
    const pod = { namespace: NAMESPACE, name: metadata.name };
    await user.patch(RESOURCES.Pod, pod, { format: "merge", patch: { status }, subresource: "status" });
  }
}

test("13: the versions take the place of a Service, share the route with Git, and give it back", async () => {
  await user.create(RESOURCES.Deployment, deployment("web:1", 1));
  await user.create(RESOURCES.Service, service());
  await fromGit();
  const before = await rules();
  const { uid: _, generation: __, ...metadata } = rollout().metadata;
  const traffic: RolloutSpec["traffic"] = { gatewayAPI: { kind: "HTTPRoute", route: { name: "shop", rule: "all" } } };
  await user.create(ROLLOUT, { ...rollout({ traffic, drainSeconds: 1 }), metadata });
  await runPods("blue");
  await taken();
  await becomes("web-blue 90000, web-green 0, old 10000");
  await taken();

  // Foreign parts are as they were, to the byte, and so is all of the other rule.
  const [images, all] = await rules();
  expect(JSON.stringify(images)).toBe(JSON.stringify(before[0]));
  expect(JSON.stringify({ ...all, backendRefs: [] })).toBe(JSON.stringify({ ...before[1], backendRefs: [] }));

  // Git applies its own again: once that is taken back at once, then later, and its name is told.
  await fromGit();
  await becomes("web-blue 90000, web-green 0, old 10000");
  await fromGit();
  await says("RouteAccepted", "RouteConflict", `${GIT} writes the backends of rule 1 (all) of HTTPRoute shop`);
  await becomes("web-blue 90000, web-green 0, old 10000");
  await taken();

  // The Service has no endpoint of its own yet: the version that serves keeps its place.
  await user.delete(ROLLOUT, { namespace: NAMESPACE, name: NAME });
  await says("Ready", "Deleting", "until Service web has a ready endpoint");
  expect(await backends()).toBe("web-blue 90000, web-green 0, old 10000");
  await user.create(RESOURCES.EndpointSlice, endpoints(true));
  await becomes("web 9, old 1");
  expect(JSON.stringify(await rules())).toBe(JSON.stringify(before));
  await taken();
  await eventually(
    "the Rollout is gone",
    async () => (await user.find(ROLLOUT, { namespace: NAMESPACE, name: NAME })) === undefined,
    DEADLINE_MS,
  );
  expect((await user.get(RESOURCES.HTTPRoute, SHOP)).metadata.annotations).toEqual({ team: "shop" });
}, 120_000);

test("a patch of an older version of a route is a conflict, and changes nothing", async () => {
  const ref = { namespace: NAMESPACE, name: "other" };
  const route = shopRoute();
  const made = await user.create(RESOURCES.HTTPRoute, { ...route, metadata: { ...ref } });
  const { resourceVersion, uid } = made.metadata;
  await user.patch(RESOURCES.HTTPRoute, ref, { format: "merge", patch: { spec: { hostnames: ["a.example.com"] } } });
  const patch = { metadata: { uid, resourceVersion }, spec: { rules: [] } };
  await expect(user.patch(RESOURCES.HTTPRoute, ref, { format: "merge", patch })).rejects.toMatchObject({
    code: "KUBE_CONFLICT",
  });
  expect(rulesOf(await user.get(RESOURCES.HTTPRoute, ref))).toEqual(rulesOf(made));
});
