// The validator of printed schemas: one case a rule. crds.int.test.ts asks a real API server about the same schemas.
import { describe, expect, test } from "@jest/globals";
import { customResourceDefinition } from "./crd.ts";
import type { KindDefinition } from "./kind.ts";
import { KINDS } from "./kinds.ts";
import { houseProblems, structuralProblems } from "./structural-rules.ts";
import { BROKEN_SCHEMAS, rootWith } from "./testing/broken-schemas.ts";

const text = { type: "string", maxLength: 9 };

describe("rules of structural schemas", () => {
  test.each(BROKEN_SCHEMAS)("$name", ({ node, problem }) => {
    expect(structuralProblems(rootWith(node))).toContain(problem);
  });

  test.each([
    ["a root that is no object", { type: "array", items: text }, "(root): must be of type object"],
    ["a root that may be null", { type: "object", nullable: true }, "(root): the root cannot be null"],
    [
      "labels restricted",
      { type: "object", properties: { metadata: { type: "object", properties: { labels: { type: "object" } } } } },
      "metadata.labels: only name and generateName may be restricted",
    ],
    [
      "metadata required",
      { type: "object", properties: { metadata: { type: "object", required: ["name"] } } },
      "metadata: 'required' is not allowed: only name and generateName may be restricted",
    ],
  ])("%s", (_, root, problem) => {
    expect(structuralProblems(root)).toContain(problem);
  });

  test.each([
    ["branches that only restrict", { ...text, anyOf: [{ pattern: "^a" }, { enum: ["b"] }], not: { enum: ["ab"] } }],
    [
      "a branch about a declared field",
      { type: "object", properties: { a: text }, oneOf: [{ required: ["a"] }, { properties: { a: { enum: [] } } }] },
    ],
    [
      "a number or a text",
      { "x-kubernetes-int-or-string": true, anyOf: [{ type: "integer" }, { type: "string" }], maxLength: 4 },
    ],
    ["whatever is kept", { "x-kubernetes-preserve-unknown-fields": true }],
  ])("nothing is wrong with %s", (_, node) => {
    expect(structuralProblems(rootWith(node))).toEqual([]);
  });
});

describe("house rules", () => {
  const described = { ...text, description: "D." };

  test.each([
    ["no description", { f: text }, "f: a field needs a description"],
    ["no bound of a text", { f: { type: "string", description: "D." } }, "f: text needs a maximal length"],
    [
      "no bound of a list far below",
      { f: { ...described, type: "object", properties: { g: { description: "D.", type: "array", items: text } } } },
      "f.g: a list needs a maximal length",
    ],
    [
      "no bound of a map",
      { f: { description: "D.", type: "object", additionalProperties: text } },
      "f: a map needs a maximal size",
    ],
    ["a name in capitals", { FOO: described }, "FOO: a field is named in camelCase"],
    [
      "a fraction",
      { f: { type: "number", description: "D." } },
      "f: no fractions: count in a smaller unit, or take a quantity",
    ],
  ])("%s", (_, properties, problem) => {
    expect(houseProblems({ type: "object", properties })).toContain(problem);
  });
});

describe("paths of a kind", () => {
  const [kind] = KINDS as readonly [KindDefinition, ...KindDefinition[]];
  const column = { name: "X", description: "D." } as const;

  test.each([
    [
      "a column of nothing",
      { columns: [{ ...column, type: "string" as const, jsonPath: ".status.shartsReady" }] },
      "column X: .status.shartsReady leads to no field",
    ],
    [
      "a column of another type",
      { columns: [{ ...column, type: "integer" as const, jsonPath: '.status.conditions[?(@.type=="Ready")].reason' }] },
      'column X: .status.conditions[?(@.type=="Ready")].reason is of type string, not integer',
    ],
    [
      "a field to select by that is an object",
      { selectableFields: [".spec.storage"] },
      "selectable field .spec.storage must lead to a text, an integer or a boolean",
    ],
    [
      "a scale of nothing",
      {
        scale: {
          specReplicasPath: ".spec.sharts",
          statusReplicasPath: ".status.shards",
          labelSelectorPath: ".spec.shards",
        },
      },
      "scale: .spec.sharts must lead to a field of type integer below .spec",
    ],
  ])("%s", (_, change, problem) => {
    expect(() => customResourceDefinition({ ...kind, ...change })).toThrow(`ShardSet: ${problem}`);
  });
});
