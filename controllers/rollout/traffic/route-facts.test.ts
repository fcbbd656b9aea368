import { expect, test } from "@jest/globals";
import type { KubeObject } from "../../../lib/kube/types.ts";
import { targetOf } from "../rollout.names.ts";
import { NAMESPACE, rollout } from "../testing/builders.ts";
import { observeRoute } from "./route-facts.ts";

const TAKEN = condition("True", 3);
const REFUSED = condition("False", 3);
const OLD = condition("True", 2);
const A = { name: "a", namespace: "gateway" };
const B = { name: "b", namespace: "gateway", sectionName: "web" };

/** Both conditions of a parent. */
function condition(status: string, observedGeneration: number): object[] {
  return ["Accepted", "ResolvedRefs"].map((type) => ({ type, status, reason: "R", message: "m", observedGeneration }));
}

test.each<[string, object[], object[], boolean]>([
  ["by its one Gateway", [A], [{ parentRef: A, conditions: TAKEN }], true],
  ["by nobody yet", [A], [], false],
  ["by one of two", [A, B], [{ parentRef: A, conditions: TAKEN }], false],
  [
    "by both",
    [A, B],
    [
      { parentRef: A, conditions: TAKEN },
      { parentRef: B, conditions: TAKEN },
    ],
    true,
  ],
  [
    "by another listener than the one that is named",
    [B],
    [{ parentRef: { ...B, sectionName: "admin" }, conditions: TAKEN }],
    false,
  ],
  ["in an earlier version", [A], [{ parentRef: A, conditions: OLD }], false],
  [
    "while a Gateway that it no longer names has left its word",
    [A],
    [
      { parentRef: A, conditions: TAKEN },
      { parentRef: B, conditions: REFUSED },
    ],
    true,
  ],
  [
    "twice by one, and by the other not",
    [A, B],
    [
      { parentRef: A, controllerName: "x", conditions: TAKEN },
      { parentRef: A, controllerName: "y", conditions: TAKEN },
    ],
    false,
  ],
  ["by a Gateway of its own namespace", [{ name: "a" }], [{ parentRef: { name: "a" }, conditions: TAKEN }], true],
  [
    "by one whose namespace only one side names",
    [{ name: "a" }],
    [{ parentRef: { name: "a", namespace: NAMESPACE }, conditions: TAKEN }],
    true,
  ],
])("a route is taken %s: %#", (_name, parentRefs, parents, isAccepted) => {
  const route = {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { name: "web", namespace: NAMESPACE, generation: 3 },
    spec: { parentRefs, rules: [] },
    status: { parents },
  } as KubeObject;
  const { names } = targetOf(rollout());
  expect(observeRoute(route, names).isAccepted).toBe(isAccepted);
});
