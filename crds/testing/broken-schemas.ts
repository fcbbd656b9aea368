/** A schema below `spec` that breaks one rule of structural schemas, and the sentence of our validator on it. */
export interface BrokenSchema {
  readonly name: string;
  readonly node: Readonly<Record<string, unknown>>;
  readonly problem: string;
  /** The documentation forbids it, and the server takes it all the same, with a meaning that nobody expects. */
  readonly tolerated?: true;
}

const text = { type: "string", maxLength: 9 };

/** One case a rule. The unit test asks our validator, the integration test asks a real API server. */
export const BROKEN_SCHEMAS: readonly BrokenSchema[] = [
  { name: "no type", node: { maxLength: 3 }, problem: "spec.f: needs a type" },
  { name: "a reference", node: { $ref: "#/definitions/x" }, problem: "spec.f: '$ref' is forbidden" },
  {
    name: "definitions",
    node: { ...text, definitions: { x: text } },
    problem: "spec.f: 'definitions' is forbidden",
  },
  {
    name: "dependencies",
    node: { type: "object", dependencies: { a: ["b"] } },
    problem: "spec.f: 'dependencies' is forbidden",
  },
  {
    name: "patternProperties",
    node: { type: "object", patternProperties: { a: text } },
    problem: "spec.f: 'patternProperties' is forbidden",
  },
  { name: "an id", node: { ...text, id: "x" }, problem: "spec.f: 'id' is forbidden" },
  {
    name: "uniqueItems",
    node: { type: "array", items: text, uniqueItems: true },
    problem: "spec.f: 'uniqueItems: true' is forbidden: use x-kubernetes-list-type: set",
  },
  {
    name: "additionalProperties: false",
    node: { type: "object", additionalProperties: false },
    problem: "spec.f: 'additionalProperties: false' is forbidden: pruning does it",
    tolerated: true,
  },
  {
    name: "properties beside additionalProperties",
    node: { type: "object", properties: { a: text }, additionalProperties: text },
    problem: "spec.f: properties and additionalProperties exclude each other",
  },
  { name: "a list without items", node: { type: "array" }, problem: "spec.f: a list needs the schema of its items" },
  {
    name: "a branch with a type",
    node: { ...text, anyOf: [{ type: "string", pattern: "^a" }] },
    problem: "spec.f: 'type' must stand outside of anyOf",
  },
  {
    name: "a branch with a default",
    node: { ...text, allOf: [{ default: "x" }] },
    problem: "spec.f: 'default' must stand outside of allOf",
  },
  {
    name: "a branch with a description",
    node: { ...text, oneOf: [{ description: "x" }] },
    problem: "spec.f: 'description' must stand outside of oneOf",
  },
  {
    name: "a field that only a branch names",
    node: { type: "object", properties: { a: text }, anyOf: [{ properties: { b: { pattern: "^x" } } }] },
    problem: "spec.f: 'b' in anyOf must be declared outside of it",
    tolerated: true,
  },
  {
    name: "a field that only a negation names",
    node: { type: "object", properties: { a: text }, not: { properties: { b: { pattern: "^x" } } } },
    problem: "spec.f: 'b' in not must be declared outside of it",
    tolerated: true,
  },
  {
    name: "a number or a text that has a type as well",
    node: { type: "string", "x-kubernetes-int-or-string": true },
    problem: "spec.f: int-or-string excludes a type",
    tolerated: true,
  },
  {
    name: "not preserved",
    node: { type: "object", "x-kubernetes-preserve-unknown-fields": false },
    problem: "spec.f: x-kubernetes-preserve-unknown-fields can only be true",
  },
  {
    name: "an embedded resource that is a text",
    node: { type: "string", "x-kubernetes-embedded-resource": true },
    problem: "spec.f: an embedded resource must be of type object",
  },
  {
    name: "a list of type map without keys",
    node: { type: "array", items: { type: "object" }, "x-kubernetes-list-type": "map" },
    problem: "spec.f: a list of type map needs keys",
  },
  {
    name: "keys of a list of another type",
    node: {
      type: "array",
      items: { type: "object", required: ["a"], properties: { a: text } },
      "x-kubernetes-list-type": "atomic",
      "x-kubernetes-list-map-keys": ["a"],
    },
    problem: "spec.f: only a list of type map has keys",
  },
  {
    name: "a key that items need not have",
    node: {
      type: "array",
      items: { type: "object", properties: { a: text } },
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["a"],
    },
    problem: "spec.f: the key 'a' must be a required scalar field of the items",
  },
  {
    name: "look-ahead",
    node: { ...text, pattern: "^(?!a)" },
    problem: "spec.f: the API server's patterns (RE2) know no look-around and no back-references",
  },
];

/** The schema of a whole resource with a node as `spec.f`. */
export function rootWith(node: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return { type: "object", properties: { spec: { type: "object", properties: { f: node } } } };
}
