// What controllers declare becomes rules: own kind, reads, writes, what is granted on; equal verbs share a rule.
import { expect, test } from "@jest/globals";
import { RESOURCES, type ResourceType, resourceType } from "../lib/kube/types.ts";
import { clusterRules, permissionRules } from "./permissions.ts";
import { owned } from "./runtime/mapping.ts";
import type { Controller } from "./runtime/types.ts";

const GADGET: ResourceType = resourceType("x.dev/v1", ["Gadget", "gadgets"]);
const GIZMO: ResourceType = { ...GADGET, kind: "Gizmo", plural: "gizmos" };

function controller(resource: ResourceType, own: Partial<Controller> = {}): Controller {
  const reconcile = (): Promise<object> => Promise.resolve({});
  return { name: resource.plural, resource, watches: [], concurrency: 1, reconcile, ...own };
}

function rights(controllers: readonly Controller[]): string[] {
  return permissionRules(controllers).flatMap(({ apiGroups, resources, verbs }) =>
    resources.map((resource) => `${apiGroups.join()} ${resource}: ${verbs.join()}`),
  );
}

test("a kind is read, holds its finalizer and reports; events are told", () => {
  expect(rights([controller(GADGET)])).toEqual([
    "x.dev gadgets: get,list,watch,patch",
    "x.dev gadgets/status: patch",
    "x.dev gadgets/finalizers: update",
    "events.k8s.io events: create,patch",
  ]);
});

test("what is watched is read; what is owned is written too, as far as the watch says", () => {
  const ours = owned(GADGET);
  const watches = [
    ours(RESOURCES.Secret),
    ours(RESOURCES.Pod, { writes: ["create", "delete"] }),
    { resource: RESOURCES.ConfigMap, keys: () => [] },
  ];
  expect(rights([controller(GADGET, { watches })])).toEqual(
    expect.arrayContaining([
      " secrets: get,list,watch,create,patch,delete",
      " pods: get,list,watch,create,delete",
      " configmaps: get,list,watch",
    ]),
  );
});

test("what lies in no namespace is granted in a whole cluster alone", () => {
  const portal: ResourceType = { ...GADGET, kind: "Portal", plural: "portals", namespaced: false };
  const toNone = { keys: () => [], optional: true } as const;
  const given = controller(GADGET, {
    reads: [RESOURCES.StorageClass],
    watches: [
      { resource: portal, ...toNone },
      { resource: GIZMO, ...toNone },
    ],
  });
  expect(clusterRules([given]).map(({ resources, verbs }) => `${resources.join()}: ${verbs.join()}`)).toEqual([
    "storageclasses: list",
    "portals: get,list,watch",
  ]);
  expect(rights([given]).filter((line) => /portals|gizmos/.test(line))).toEqual(["x.dev gizmos: get,list,watch"]);
});

test("controllers add up, a watch of another kind of ours included, and what Roles grant on is held", () => {
  const lease = { resource: RESOURCES.Lease, keys: () => [] };
  const first = controller(GADGET, { watches: [{ ...lease, writes: ["create"] }], grants: [] });
  const second = controller(GIZMO, {
    watches: [lease, { resource: GADGET, keys: () => [] }],
    grants: [{ resource: RESOURCES.Lease, verbs: ["update"] }],
  });
  const all = rights([first, second]);
  expect(all).toContain("coordination.k8s.io leases: get,list,watch,create,update");
  expect(all.filter((line) => line.startsWith("x.dev gadgets:"))).toEqual(["x.dev gadgets: get,list,watch,patch"]);
});

test("resources of a group with the same verbs share a rule, in an order that does not depend on declarations", () => {
  const ours = owned(GADGET);
  const forwards = [ours(RESOURCES.Secret), ours(RESOURCES.ConfigMap)];
  const rules = permissionRules([controller(GADGET, { watches: forwards })]);
  expect(rules.filter(({ apiGroups }) => apiGroups[0] === "").map(({ resources }) => resources)).toEqual([
    ["configmaps", "secrets"],
  ]);
  expect(permissionRules([controller(GADGET, { watches: forwards.toReversed() })])).toEqual(rules);
});
