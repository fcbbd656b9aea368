/**
 * zod → structural schema, the subset of OpenAPI 3.0 that the API server accepts in a CRD. Whatever zod can say and a
 * structural schema cannot is an error here, never a silent loss: otherwise programs and the API server would accept
 * different objects. The house rules are checked as well: every field is described, every text, list and map is
 * bounded (CEL rules over them would exceed the server's cost limit), every list says how apply merges it.
 */
import { z } from "zod";
import { canonicalJson } from "../lib/core/canonical.ts";
import type { Rule } from "./common.ts";

/** A node of a structural schema (JSONSchemaProps of apiextensions.k8s.io/v1, the members that we use). */
export interface StructuralSchema {
  description?: string;
  type: "object" | "array" | "string" | "integer" | "number" | "boolean";
  format?: string;
  nullable?: boolean;
  default?: unknown;
  enum?: readonly unknown[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: boolean;
  exclusiveMaximum?: boolean;
  multipleOf?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  minItems?: number;
  maxItems?: number;
  minProperties?: number;
  maxProperties?: number;
  required?: readonly string[];
  properties?: Readonly<Record<string, StructuralSchema>>;
  additionalProperties?: StructuralSchema;
  items?: StructuralSchema;
  "x-kubernetes-list-type"?: "map" | "atomic" | "set";
  "x-kubernetes-list-map-keys"?: readonly string[];
  "x-kubernetes-map-type"?: "granular" | "atomic";
  "x-kubernetes-validations"?: readonly Rule[];
}

/** A schema that a CRD cannot express, or that breaks a house rule. A mistake of the programmer: found by `make generate`. */
export class StructuralError extends Error {
  override readonly name = "StructuralError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`the schema cannot become a CRD:\n  ${problems.join("\n  ")}`);
    this.problems = problems;
  }
}

/** Members of a node in the order in which they are printed; anything else is refused. */
const MEMBERS = [
  "description",
  "type",
  "format",
  "nullable",
  "default",
  "enum",
  "minimum",
  "exclusiveMinimum",
  "maximum",
  "exclusiveMaximum",
  "multipleOf",
  "minLength",
  "maxLength",
  "pattern",
  "minItems",
  "maxItems",
  "minProperties",
  "maxProperties",
  "required",
  "properties",
  "additionalProperties",
  "items",
  "x-kubernetes-list-type",
  "x-kubernetes-list-map-keys",
  "x-kubernetes-map-type",
  "x-kubernetes-validations",
] as const;

/** zod types that a structural schema can express. Unions, tuples, transforms and the like cannot. */
const EXPRESSIBLE: ReadonlySet<string> = new Set([
  "string",
  "number",
  "boolean",
  "enum",
  "literal",
  "array",
  "object",
  "record",
  "optional",
  "default",
  "nullable",
  "readonly",
]);

/** Checks of zod that survive the conversion; `custom` (refine) survives as the CEL rule beside it. */
const EXPRESSIBLE_CHECKS: ReadonlySet<string> = new Set([
  "greater_than",
  "less_than",
  "multiple_of",
  "number_format",
  "min_length",
  "max_length",
  "length_equals",
  "string_format",
  "custom",
]);

const INT32_MAX = 2 ** 31 - 1;

type JsonNode = Readonly<Record<string, unknown>>;

/**
 * Converts a schema.
 * @throws StructuralError naming every place that a CRD cannot express
 */
export function structural(schema: z.ZodType): StructuralSchema {
  const problems = problemsOfTree(schema, "", []);
  // A type that cannot be expressed leaves a node that cannot be read; what is wrong with it has been said already.
  if (problems.length > 0) throw new StructuralError(problems);
  const json = z.toJSONSchema(schema, { target: "openapi-3.0", io: "input", reused: "inline" });
  const broken = problemsOfNode(json, "");
  if (broken.length > 0) throw new StructuralError(broken);
  return print(json);
}

/** What a zod schema and everything below it say that the JSON form would lose. */
function problemsOfTree(schema: z.core.$ZodType, path: string, above: readonly z.core.$ZodType[]): string[] {
  const here = path === "" ? "(root)" : path;
  if (above.includes(schema)) return [`${here}: a CRD cannot express recursion`];
  const own = problemsOfType(schema).map((problem) => `${here}: ${problem}`);
  const below = childrenOf(schema).flatMap(([step, child]) =>
    problemsOfTree(child, `${path}${path === "" && step.startsWith(".") ? step.slice(1) : step}`, [...above, schema]),
  );
  return [...own, ...below];
}

function childrenOf(schema: z.core.$ZodType): readonly (readonly [string, z.core.$ZodType])[] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case "object":
      return Object.entries(def.shape).map(([name, child]) => [`.${name}`, child] as const);
    case "array":
      return [["[]", def.element]];
    case "record":
      return [[".*", def.valueType]];
    case "optional":
    case "default":
    case "nullable":
    case "readonly":
      return [["", def.innerType]];
    default:
      return [];
  }
}

/** What a zod schema says that its JSON form would lose. */
function problemsOfType(schema: z.core.$ZodType): string[] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  if (!EXPRESSIBLE.has(def.type)) return [`a CRD cannot express zod's '${def.type}'`];
  const problems = (def.checks ?? []).flatMap((check) => problemsOfCheck(check));
  if (def.type === "string" && "format" in def && def.format !== "datetime") {
    problems.push(`a CRD cannot express the string format '${def.format as string}'`);
  }
  if (def.type === "object" && def.catchall !== undefined && def.catchall._zod.def.type !== "never") {
    problems.push("a CRD cannot have both properties and additional properties");
  }
  if (def.type === "record" && def.keyType._zod.def.type !== "string") {
    problems.push("the keys of a record must be plain strings; check them by a rule");
  }
  if (def.type === "default" && !isFixedPoint(def.innerType, def.defaultValue)) {
    problems.push("the default is not valid by itself, or leaves inner defaults out");
  }
  const refinements = (def.checks ?? []).filter((check) => check._zod.def.check === "custom").length;
  if (refinements > statedRules(schema)) problems.push("a refinement needs its CEL rule beside it (withRules)");
  return problems;
}

function problemsOfCheck(check: z.core.$ZodCheck): string[] {
  const { def } = check._zod as { def: { check: string; pattern?: RegExp; format?: string } };
  if (!EXPRESSIBLE_CHECKS.has(def.check)) return [`a CRD cannot express zod's check '${def.check}'`];
  if (def.check !== "string_format") return [];
  if (def.format !== "regex" && def.format !== "datetime")
    return [`a CRD cannot express the string format '${String(def.format)}'`];
  if (def.pattern !== undefined && def.pattern.flags !== "") return ["a CRD cannot express the flags of a pattern"];
  if (def.pattern !== undefined && /\(\?[=!<]|\\[1-9]/.test(def.pattern.source)) {
    return ["the API server's patterns (RE2) know no look-around and no back-references"];
  }
  return [];
}

/** A default must be what parsing it gives, for the API server fills in inner defaults only inside a present object. */
function isFixedPoint(inner: z.core.$ZodType, value: unknown): boolean {
  const parsed = z.safeParse(inner, value);
  return parsed.success && canonicalJson(parsed.data) === canonicalJson(value);
}

/** How many refinements the metadata states for the API server: CEL rules, and the bound on the size of a map. */
function statedRules(schema: z.core.$ZodType): number {
  const meta = z.globalRegistry.get(schema) as { readonly [member: string]: unknown } | undefined;
  const rules = (meta?.["x-kubernetes-validations"] ?? []) as readonly Rule[];
  return rules.length + (meta?.["maxProperties"] === undefined ? 0 : 1);
}

/** House rules and rules of structural schemas on a JSON node and everything below it. */
function problemsOfNode(node: JsonNode, path: string): string[] {
  const here = path === "" ? "(root)" : path;
  const problems = Object.keys(node)
    .filter((member) => !MEMBERS.includes(member as never) && member !== "readOnly")
    .map((member) => `${here}: a CRD cannot express '${member}'`);
  if (node["type"] === "string" && !["maxLength", "enum", "format"].some((bound) => bound in node)) {
    problems.push(`${here}: text needs a maximal length`);
  }
  if (node["type"] === "array") problems.push(...problemsOfList(node, here));
  if (isNode(node["additionalProperties"])) {
    if (!("maxProperties" in node)) problems.push(`${here}: a map needs a maximal size`);
    problems.push(...problemsOfNode(node["additionalProperties"], `${here}.*`));
  }
  for (const [name, property] of Object.entries((node["properties"] ?? {}) as Record<string, JsonNode>)) {
    const below = path === "" ? name : `${path}.${name}`;
    if (typeof property["description"] !== "string") problems.push(`${below}: a field needs a description`);
    problems.push(...problemsOfNode(property, below));
  }
  return problems;
}

function problemsOfList(node: JsonNode, here: string): string[] {
  const problems: string[] = [];
  const items = node["items"] as JsonNode;
  if (!("maxItems" in node)) problems.push(`${here}: a list needs a maximal length`);
  if (!("x-kubernetes-list-type" in node)) problems.push(`${here}: a list needs listMap or listAtomic`);
  for (const key of (node["x-kubernetes-list-map-keys"] ?? []) as readonly string[]) {
    const property = ((items["properties"] ?? {}) as Record<string, JsonNode>)[key];
    const scalar = property !== undefined && property["type"] !== "object" && property["type"] !== "array";
    const required = ((items["required"] ?? []) as readonly string[]).includes(key);
    if (!scalar || !required) problems.push(`${here}: the key '${key}' must be a required scalar field of the items`);
  }
  return [...problems, ...problemsOfNode(items, `${here}[]`)];
}

function isNode(value: unknown): value is JsonNode {
  return typeof value === "object" && value !== null;
}

/** The node with its members in a fixed order, without what pruning or the server's own formats do already. */
function print(node: JsonNode): StructuralSchema {
  const result: Record<string, unknown> = {};
  for (const member of MEMBERS) {
    const value = member === "format" ? formatOf(node) : node[member];
    if (value === undefined || value === false) continue;
    // The server checks date-time by itself; zod's pattern for it is 300 characters that nobody can read.
    if (member === "pattern" && node["format"] === "date-time") continue;
    if (member === "properties") {
      const properties = Object.entries(value as Record<string, JsonNode>);
      result[member] = Object.fromEntries(properties.map(([name, property]) => [name, print(property)]));
    } else if (member === "items" || member === "additionalProperties") {
      result[member] = print(value as JsonNode);
    } else {
      result[member] = value;
    }
  }
  return result as unknown as StructuralSchema;
}

function formatOf(node: JsonNode): unknown {
  if (node["type"] !== "integer") return node["format"];
  const { minimum, maximum } = node as { minimum?: number; maximum?: number };
  const small = minimum !== undefined && maximum !== undefined && minimum >= -INT32_MAX && maximum <= INT32_MAX;
  return small ? "int32" : "int64";
}
