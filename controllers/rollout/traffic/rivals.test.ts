import { expect, test } from "@jest/globals";
import { type KubeObject, RESOURCES } from "../../../lib/kube/types.ts";
import { createMemoryWorld } from "../../../testkit/memory-world.ts";
import { NAMESPACE } from "../testing/builders.ts";
import { gatewaysOfRoute, ROUTES_ON_GATEWAY, rivalsOf } from "./rivals.ts";

const ALL = { path: { type: "PathPrefix", value: "/" } };
const PARENT = { name: "public", kind: "Gateway" };

function route(name: string, spec: object = {}): KubeObject {
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { name, namespace: NAMESPACE, uid: name, creationTimestamp: "2026-01-01T00:00:00Z" },
    spec: { parentRefs: [PARENT], hostnames: ["shop.example"], rules: [{ matches: [ALL] }], ...spec },
  };
}

function rivals(others: readonly KubeObject[], own = route("web")): readonly string[] {
  const world = createMemoryWorld({ namespace: NAMESPACE, indexes: { [ROUTES_ON_GATEWAY]: gatewaysOfRoute } });
  for (const object of [own, ...others]) world.put(object);
  return rivalsOf(world.cache, RESOURCES.HTTPRoute, world.find("HTTPRoute", own.metadata.name) ?? own);
}

test.each<[string, object]>([
  ["the same", {}],
  ["one host of several", { hostnames: ["other.example", "shop.example"] }],
  ["one match of several rules", { rules: [{ matches: [] }, { matches: [{ ...ALL, method: "GET" }, ALL] }] }],
  ["all listeners, one of which is ours", { parentRefs: [{ ...PARENT, sectionName: "web" }] }],
  ["the same Gateway, named with its namespace", { parentRefs: [{ ...PARENT, namespace: NAMESPACE }] }],
])("a rival leads %s", (_, spec) => {
  expect(rivals([route("other", spec)])).toEqual(["shop/other"]);
});

test.each<[string, object, object?]>([
  ["another host", { hostnames: ["other.example"] }],
  ["all hosts, which is said less exactly", { hostnames: [] }],
  ["another path", { rules: [{ matches: [{ path: { type: "PathPrefix", value: "/cart" } }] }] }],
  ["another Gateway", { parentRefs: [{ name: "internal" }] }],
  ["a Gateway of its own namespace", { parentRefs: [{ ...PARENT, namespace: "other" }] }],
  ["a Service, as meshes have it", { parentRefs: [{ ...PARENT, kind: "Service" }] }],
  [
    "another listener",
    { parentRefs: [{ ...PARENT, sectionName: "tls" }] },
    { parentRefs: [{ ...PARENT, sectionName: "web" }] },
  ],
])("a route is no rival that leads %s", (_, spec, own = {}) => {
  expect(rivals([route("other", spec)], route("web", own))).toEqual([]);
});

test("the oldest rival is named first, and none is named twice", () => {
  const older = route("z");
  const born = { ...older, metadata: { ...older.metadata, creationTimestamp: "2025-01-01T00:00:00Z" } };
  const twice = route("a", { parentRefs: [PARENT, { ...PARENT, sectionName: "web" }] });
  expect(rivals([twice, born])).toEqual(["shop/z", "shop/a"]);
});
