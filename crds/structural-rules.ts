/**
 * Checks of a printed schema, whoever printed it. Two sets:
 *
 * - the rules of structural schemas (Kubernetes documentation, "Custom Resources", "Specifying a structural schema"; KEP
 *   2335), of which the API server refuses a breach, or marks the CRD NonStructuralSchema and stops pruning;
 * - house rules: what users meet is described and named alike, and every text, list and map is bounded, because the
 *   server estimates the cost of CEL rules from the bounds and refuses a CRD whose rules could be too expensive.
 */
import { re2Problems } from "./re2.ts";

type Node = Readonly<Record<string, unknown>>;

/** Members of JSON Schema that apiextensions.k8s.io/v1 knows and forbids, or does not know. */
const FORBIDDEN = [
  ...["$ref", "definitions", "dependencies", "deprecated", "discriminator", "id", "patternProperties"],
  ...["readOnly", "writeOnly", "xml", "const", "$schema", "additionalItems"],
];

/** Members that only restrict values; all that may stand inside allOf, anyOf, oneOf and not. */
const JUNCTORS = ["allOf", "anyOf", "oneOf"] as const;

/** What may not stand inside a junctor, for it says what a value is and not what is allowed. */
const STRUCTURAL_ONLY = ["description", "title", "type", "default", "additionalProperties", "nullable"];

/** The branches that `x-kubernetes-int-or-string` allows, and no others. */
const INT_OR_STRING = JSON.stringify([{ type: "integer" }, { type: "string" }]);

/** Breaches of the rules of structural schemas in the schema of a whole resource, with the path of each. */
export function structuralProblems(root: Node): string[] {
  const problems = root["type"] === "object" ? [] : ["(root): must be of type object"];
  if (root["nullable"] === true) problems.push("(root): the root cannot be null");
  const metadata = propertiesOf(root)["metadata"];
  if (metadata !== undefined) problems.push(...problemsOfMetadata(metadata));
  return [...problems, ...problemsOfNode(root, "")];
}

/** Breaches of the house rules in the schema of a spec or status. */
export function houseProblems(root: Node): string[] {
  return problemsOfHouse(root, "");
}

function problemsOfMetadata(metadata: Node): string[] {
  const others = Object.keys(metadata).filter((member) => member !== "type" && member !== "properties");
  const fields = Object.keys(propertiesOf(metadata)).filter((name) => name !== "name" && name !== "generateName");
  return [
    ...others.map((member) => `metadata: '${member}' is not allowed: only name and generateName may be restricted`),
    ...fields.map((name) => `metadata.${name}: only name and generateName may be restricted`),
  ];
}

function problemsOfNode(node: Node, path: string): string[] {
  const here = path === "" ? "(root)" : path;
  const problems = FORBIDDEN.filter((member) => member in node).map((member) => `'${member}' is forbidden`);
  if (node["uniqueItems"] === true) problems.push("'uniqueItems: true' is forbidden: use x-kubernetes-list-type: set");
  problems.push(...problemsOfKind(node), ...problemsOfLists(node), ...problemsOfJunctors(node));
  if (typeof node["pattern"] === "string") problems.push(...re2Problems(node["pattern"]));
  const below = childrenOf(node).flatMap(([step, child]) =>
    problemsOfNode(child, path === "" ? step.replace(/^\./, "") : `${path}${step}`),
  );
  return [...problems.map((problem) => `${here}: ${problem}`), ...below];
}

/** What a node is: exactly one of typed, int-or-string, and whatever (preserved). */
function problemsOfKind(node: Node): string[] {
  const problems: string[] = [];
  const intOrString = node["x-kubernetes-int-or-string"] === true;
  const preserved = node["x-kubernetes-preserve-unknown-fields"];
  if (node["type"] === undefined && !intOrString && preserved !== true) problems.push("needs a type");
  if (node["type"] !== undefined && intOrString) problems.push("int-or-string excludes a type");
  if (preserved === false) problems.push("x-kubernetes-preserve-unknown-fields can only be true");
  if (node["x-kubernetes-embedded-resource"] === true && node["type"] !== "object") {
    problems.push("an embedded resource must be of type object");
  }
  if (node["type"] === "array" && !isNode(node["items"])) problems.push("a list needs the schema of its items");
  if (node["additionalProperties"] === false)
    problems.push("'additionalProperties: false' is forbidden: pruning does it");
  if (node["additionalProperties"] !== undefined && node["properties"] !== undefined) {
    problems.push("properties and additionalProperties exclude each other");
  }
  return problems;
}

function problemsOfLists(node: Node): string[] {
  const type = node["x-kubernetes-list-type"];
  const keys = (node["x-kubernetes-list-map-keys"] ?? []) as readonly string[];
  if (type !== "map") return keys.length > 0 ? ["only a list of type map has keys"] : [];
  const items = isNode(node["items"]) ? node["items"] : {};
  const problems = keys.length === 0 ? ["a list of type map needs keys"] : [];
  for (const key of keys) {
    const property = propertiesOf(items)[key];
    const scalar = property !== undefined && property["type"] !== "object" && property["type"] !== "array";
    const given = ((items["required"] ?? []) as readonly string[]).includes(key) || property?.["default"] !== undefined;
    if (!scalar || !given) problems.push(`the key '${key}' must be a required scalar field of the items`);
  }
  return problems;
}

function problemsOfJunctors(node: Node): string[] {
  const anyOf = JSON.stringify(node["anyOf"]);
  const branches = JUNCTORS.flatMap((junctor) => {
    // The one place where a branch may have a type.
    if (junctor === "anyOf" && node["x-kubernetes-int-or-string"] === true && anyOf === INT_OR_STRING) return [];
    return ((node[junctor] ?? []) as readonly Node[]).map((branch) => [junctor, branch] as const);
  });
  if (isNode(node["not"])) branches.push(["not" as never, node["not"]]);
  return branches.flatMap(([junctor, branch]) => problemsOfBranch(branch, node, junctor));
}

/** A branch may restrict fields that the node has declared, and declare nothing. */
function problemsOfBranch(branch: Node, outside: Node, junctor: string): string[] {
  const problems = STRUCTURAL_ONLY.filter((member) => member in branch).map(
    (member) => `'${member}' must stand outside of ${junctor}`,
  );
  for (const [name, property] of Object.entries(propertiesOf(branch))) {
    const declared = propertiesOf(outside)[name];
    if (declared === undefined) problems.push(`'${name}' in ${junctor} must be declared outside of it`);
    else problems.push(...problemsOfBranch(property, declared, junctor));
  }
  if (isNode(branch["items"])) {
    if (!isNode(outside["items"])) problems.push(`items in ${junctor} must be declared outside of it`);
    else problems.push(...problemsOfBranch(branch["items"], outside["items"], junctor));
  }
  return problems;
}

function problemsOfHouse(node: Node, path: string): string[] {
  const problems: string[] = [];
  const { type } = node;
  if (type === "string" && !["maxLength", "enum", "format"].some((bound) => bound in node)) {
    problems.push("text needs a maximal length");
  }
  if (type === undefined && node["x-kubernetes-int-or-string"] === true && !("maxLength" in node)) {
    problems.push("text needs a maximal length");
  }
  if (type === "number") problems.push("no fractions: count in a smaller unit, or take a quantity");
  if (type === "array" && !("maxItems" in node)) problems.push("a list needs a maximal length");
  if (type === "array" && !("x-kubernetes-list-type" in node))
    problems.push("a list needs listMap, listSet or listAtomic");
  if (isNode(node["additionalProperties"]) && !("maxProperties" in node)) problems.push("a map needs a maximal size");
  for (const value of (node["enum"] ?? []) as readonly unknown[]) {
    if (typeof value === "string" && !/^[A-Z][A-Za-z0-9]*$/.test(value)) {
      problems.push(`'${value}' must be in CamelCase, as values of enums are`);
    }
  }
  for (const [name, property] of Object.entries(propertiesOf(node))) {
    const below = path === "" ? name : `${path}.${name}`;
    if (typeof property["description"] !== "string") problems.push(`${below}: a field needs a description`);
    if (!/^[a-z][A-Za-z0-9]*$/.test(name)) problems.push(`${below}: a field is named in camelCase`);
  }
  const below = childrenOf(node).flatMap(([step, child]) =>
    problemsOfHouse(child, path === "" ? step.replace(/^\./, "") : `${path}${step}`),
  );
  const here = path === "" ? "(root)" : path;
  return [...problems.map((problem) => (/^[^ ]+: /.test(problem) ? problem : `${here}: ${problem}`)), ...below];
}

function childrenOf(node: Node): readonly (readonly [string, Node])[] {
  return [
    ...Object.entries(propertiesOf(node)).map(([name, child]) => [`.${name}`, child] as const),
    ...(isNode(node["items"]) ? [["[]", node["items"]] as const] : []),
    ...(isNode(node["additionalProperties"]) ? [[".*", node["additionalProperties"]] as const] : []),
  ];
}

function propertiesOf(node: Node): Readonly<Record<string, Node>> {
  return (node["properties"] ?? {}) as Readonly<Record<string, Node>>;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
