// Gateways, routes of others and wars about weights on a real API server with the Gateway API, whose defaults and conditions
// are the real ones. No gateway runs: what one would say is written by the test.

import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { ROLLOUT } from "../../crds/rollout.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { type KubeObject, RESOURCES } from "../../lib/kube/types.ts";
import { eventually } from "../../testkit/wait.ts";
import { deployment, NAMESPACE, rollout, service } from "./testing/builders.ts";
import { gateway, gatewayClass } from "./testing/gateways.ts";
import { openServerStage, type ServerStage } from "./testing/server-stage.ts";

const DEADLINE_MS = 30_000;
let stage: ServerStage;
let user: KubeClient;

beforeAll(async () => {
  stage = await openServerStage({ gatewayApi: true });
  ({ user } = stage);
}, 120_000);

afterAll(() => stage.close());

/** Waits until RouteAccepted says this. */
async function says(reason: string, message: string): Promise<void> {
  let seen = "";
  await eventually(
    `${reason}: ${message}`,
    async () => {
      const { status } = await user.get(ROLLOUT, { namespace: NAMESPACE, name: "web" });
      const condition = status?.conditions?.find(({ type }) => type === "RouteAccepted");
      seen = `${condition?.reason ?? ""}: ${condition?.message ?? ""}`;
      return condition?.reason === reason && condition.message.includes(message);
    },
    DEADLINE_MS,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}; it says ${seen}`);
  });
}

const ref = (name: string) => ({ namespace: NAMESPACE, name });

test("what is wrong with a Gateway, and who writes the route, is told", async () => {
  await user.create(RESOURCES.Deployment, deployment("web:1"));
  await user.create(RESOURCES.Service, service());
  const { uid: _, generation: __, ...metadata } = rollout().metadata;
  const traffic = { gatewayAPI: { kind: "HTTPRoute" as const, parentRefs: [{ name: "public", sectionName: "web" }] } };
  await user.create(ROLLOUT, { ...rollout({ traffic }), metadata });
  await says("GatewayNotFound", "there is no Gateway shop/public");

  const { generation: ___, ...place } = gateway().metadata;
  const listeners = [{ name: "other", port: 80, protocol: "HTTP" }];
  const made = { ...gateway(), metadata: place, spec: { gatewayClassName: "test", listeners } };
  await user.create(RESOURCES.Gateway, made);
  await says("GatewayNotFound", "has no listener of the name web; it has: other on port 80");
  const renamed = { spec: { listeners: [{ name: "web", port: 80, protocol: "HTTP" }] } };
  await user.patch(RESOURCES.Gateway, ref("public"), { format: "merge", patch: renamed });
  await says("GatewayNotReady", "no controller has taken Gateway shop/public: GatewayClass test does not exist");
  await user.create(RESOURCES.GatewayClass, gatewayClass());
  await says("GatewayNotReady", "no gateway has taken GatewayClass test");
  const now = new Date().toISOString();
  const conditions = ["Accepted", "Programmed"].map((type) => ({
    type,
    status: "True",
    reason: type,
    message: "",
    lastTransitionTime: now,
    observedGeneration: 2,
  }));
  await user.patch(RESOURCES.Gateway, ref("public"), {
    format: "merge",
    patch: { status: { conditions } },
    subresource: "status",
  });
  await says("RoutePending", "no gateway has taken HTTPRoute web");

  // A war about weights ends with the name of the other side.
  await eventually(
    "the route is there",
    async () => (await user.find(RESOURCES.HTTPRoute, ref("web"))) !== undefined,
    DEADLINE_MS,
  );
  const blueOf = (route: KubeObject): number | undefined => {
    const { rules } = route["spec"] as { readonly rules: readonly { readonly backendRefs: { weight: number }[] }[] };
    return rules[0]?.backendRefs[0]?.weight;
  };
  const isTakenBack = async (): Promise<boolean> => blueOf(await user.get(RESOURCES.HTTPRoute, ref("web"))) === 10_000;
  for (let round = 0; round < 5; round += 1) {
    await spoil(round);
    await eventually(`taken back, ${String(round + 1)} times`, isTakenBack, DEADLINE_MS);
  }
  await spoil(5);
  await says("RouteConflict", 'conflict with "rival"');
  expect(await isTakenBack()).toBe(false);
}, 90_000);

/** What another controller does to the weights, each time otherwise. */
async function spoil(round: number): Promise<void> {
  const { spec } = await user.get(RESOURCES.HTTPRoute, ref("web"));
  const { rules } = spec as { readonly rules: readonly { readonly backendRefs: readonly object[] }[] };
  const changed = rules.map((rule) => ({
    ...rule,
    backendRefs: rule.backendRefs.map((backend, index) => ({ ...backend, weight: 100 * round + index })),
  }));
  const patch = { spec: { rules: changed } };
  await user.patch(RESOURCES.HTTPRoute, ref("web"), { format: "merge", patch, fieldManager: "rival" });
}
