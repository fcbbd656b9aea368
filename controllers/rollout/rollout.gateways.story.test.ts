import { expect, test } from "@jest/globals";
import { ROLLOUT } from "../../crds/rollout.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import { createMemoryWorld } from "../../testkit/memory-world.ts";
import { conditionOf, type StoryCast, toRest } from "../../testkit/story.ts";
import { deployment, NAME, NAMESPACE, rollout, service } from "./testing/builders.ts";
import { gateway, gatewayClass } from "./testing/gateways.ts";
import { LOWER_STEPS } from "./testing/lower.ts";
import { playedController } from "./testing/stage.ts";
import { gatewaysOfRoute, ROUTES_ON_GATEWAY } from "./traffic/rivals.ts";

// A Rollout whose Gateway comes late, breaks, or is shared with others.

function begin(): StoryCast {
  const controller = playedController();
  const world = createMemoryWorld({
    namespace: NAMESPACE,
    indexes: { ...controller.indexes, [ROUTES_ON_GATEWAY]: gatewaysOfRoute },
    watches: controller.watches,
  });
  const traffic = { gatewayAPI: { kind: "HTTPRoute" as const, parentRefs: [{ name: "public" }] } };
  for (const object of [deployment("web:1"), service(), rollout({ traffic })]) world.put(object);
  return { world, controller, key: { namespace: NAMESPACE, name: NAME }, kind: ROLLOUT.kind, steps: LOWER_STEPS };
}

test("the Gateway comes late, breaks, and is mended", async () => {
  const stage = begin();
  const { world } = stage;
  await toRest(stage);
  expect(conditionOf(stage, "Ready")).toMatchObject({ reason: "GatewayNotFound" });
  expect(conditionOf(stage, "Stalled")).toMatchObject({ status: "True", message: "there is no Gateway shop/public" });
  world.put(gateway());
  world.put(gatewayClass());
  await toRest(stage);
  expect(conditionOf(stage, "Ready")).toMatchObject({ status: "True" });
  world.put(gateway({ programmed: "NoResources" }));
  await toRest(stage);
  expect(conditionOf(stage, "Reconciling")).toMatchObject({ status: "True", reason: "GatewayNotReady" });
  world.put(gateway());
  await toRest(stage);
  expect(conditionOf(stage, "Ready")).toMatchObject({ status: "True" });
});

test("another route with the same requests is told of, and changes nothing else", async () => {
  const stage = begin();
  const { world } = stage;
  for (const object of [gateway(), gatewayClass()]) world.put(object);
  await toRest(stage);
  const own = world.find("HTTPRoute", NAME);
  const { parentRefs, rules } = own?.["spec"] as { readonly parentRefs: unknown; readonly rules: readonly object[] };
  const matches = [{ path: { type: "PathPrefix", value: "/" } }];
  // The server writes the default of matches into ours.
  world.edit("HTTPRoute", NAME, (route) => ({
    ...route,
    spec: { parentRefs, rules: rules.map((rule) => ({ ...rule, matches })) },
  }));
  const other = { apiVersion: "gateway.networking.k8s.io/v1", kind: "HTTPRoute", metadata: { name: "other" } };
  world.put({ ...other, spec: { parentRefs, rules: [{ matches }] } });
  await toRest(stage);
  expect(conditionOf(stage, "Ready")).toMatchObject({ status: "True" });
  expect(conditionOf(stage, "RouteAccepted")).toMatchObject({
    status: "True",
    message: expect.stringContaining("beware: HTTPRoute shop/other leads the same requests to the same Gateway"),
  });
});

test("whoever writes the weights again each time is named", async () => {
  const stage = begin();
  const { world } = stage;
  for (const object of [gateway(), gatewayClass()]) world.put(object);
  await toRest(stage);
  const conflict = new OperatorError("KUBE_FIELD_CONFLICT", 'conflict with "argocd" using .spec.rules', {
    details: { kind: "HTTPRoute", name: NAME },
  });
  world.fail("HTTPRoute", NAME, conflict);
  const { error } = await stage.controller.reconcile(stage.key, world.context);
  expect(error).toMatchObject({ code: "KUBE_FIELD_CONFLICT" });
  expect(conditionOf(stage, "RouteAccepted")).toMatchObject({
    status: "False",
    reason: "RouteConflict",
    message: 'conflict with "argocd" using .spec.rules',
  });
  expect(conditionOf(stage, "Ready")).toMatchObject({ message: expect.stringContaining("argocd") });
});
