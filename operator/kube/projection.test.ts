// Goal: "as we want it" means the same by either way of asking, for any two values.
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { canonicalJson } from "../../lib/core/canonical.ts";
import { covers, project } from "./projection.ts";

test("what others add does not matter, what is missing or different does", () => {
  const live = { spec: { replicas: 1, other: true, list: [{ a: 1, b: 2 }] }, status: {} };
  expect(covers(live, { spec: { replicas: 1, list: [{ a: 1 }] } })).toBe(true);
  expect(covers(live, { spec: { replicas: 1, gone: undefined } })).toBe(true);
  expect(covers(live, { spec: { replicas: 2 } })).toBe(false);
  expect(covers(live, { spec: { list: [{ a: 1 }, { a: 2 }] } })).toBe(false);
  expect(covers(live, { spec: { toString: 1 } })).toBe(false);
  expect(covers({ spec: [] }, { spec: {} })).toBe(false);
});

test.each<[string, unknown, unknown]>([
  ["a quantity", { resources: { requests: { cpu: "1" } } }, { resources: { requests: { cpu: "1000m" } } }],
  ["a quantity", { resources: { limits: { memory: "1Gi" } } }, { resources: { limits: { memory: "1024Mi" } } }],
  ["a quantity", { resources: { requests: { cpu: "2" } } }, { resources: { requests: { cpu: 2 } } }],
  ["a size", { volumes: [{ emptyDir: { sizeLimit: "1Gi" } }] }, { volumes: [{ emptyDir: { sizeLimit: "1024Mi" } }] }],
  ["a divisor", { resourceFieldRef: { divisor: "1" } }, { resourceFieldRef: { divisor: "1000m" } }],
  ["no list", { spec: {} }, { spec: { tolerations: [] } }],
  ["no map", { spec: { resources: {} } }, { spec: { nodeSelector: {}, resources: { requests: {} } } }],
  ["no text", { env: [{ name: "A" }] }, { env: [{ name: "A", value: "" }] }],
])("%s says the same in the server's form", (_name, live, desired) => {
  expect(covers(live, desired)).toBe(true);
  expect(project(live, desired)).toEqual(desired);
});

test.each<[string, unknown, unknown]>([
  ["another quantity", { resources: { requests: { cpu: "1" } } }, { resources: { requests: { cpu: "1001m" } } }],
  ["no quantity", { resources: { requests: {} } }, { resources: { requests: { cpu: "0" } } }],
  ["a key of somebody's data", { data: { sizeLimit: "1", cpu: "1" } }, { data: { sizeLimit: "1000m", cpu: "1" } }],
  ["an absent selector", { to: [{}] }, { to: [{ namespaceSelector: {} }] }],
  ["an absent switch", { spec: {} }, { spec: { automountServiceAccountToken: false } }],
  ["an absent class", { spec: {} }, { spec: { storageClassName: "" } }],
])("%s is not what was asked for", (_name, live, desired) => {
  expect(covers(live, desired)).toBe(false);
});

test("covers is the equality of the projection with what is desired", () => {
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom(null, true, 0, 1, "a", "", "1", "1000m"),
      fc.array(tie("value"), { maxLength: 2 }),
      fc.dictionary(fc.constantFrom("a", "resources", "requests", "env"), tie("value"), { maxKeys: 3 }),
    ),
  }));
  fc.assert(
    fc.property(value, value, (live, desired) => {
      expect(covers(live, desired)).toBe(canonicalJson(project(live, desired)) === canonicalJson(desired));
    }),
    { numRuns: 2_000 },
  );
});

describe("an object of a custom kind, which the server keeps as it was sent", () => {
  const custom = (spec: object, metadata: object = {}) => ({
    apiVersion: "example.com/v1",
    kind: "Gate",
    metadata,
    spec,
  });

  test.each([
    ["an empty list", {}, { allow: [] }],
    ["an empty map", {}, { labels: {} }],
    ["an empty text", { env: {} }, { env: { A: "" } }],
    ["a quantity", { resources: { limits: { cpu: "1" } } }, { resources: { limits: { cpu: "1000m" } } }],
  ])("lacks %s when that is not there", (_name, live, desired) => {
    expect(covers(custom(live), custom(desired))).toBe(false);
    expect(project(custom(live), custom(desired))).not.toEqual(custom(desired));
  });

  test("has metadata as any other kind", () => {
    expect(covers(custom({}), custom({}, { annotations: {}, finalizers: [] }))).toBe(true);
  });
});
