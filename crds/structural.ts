/**
 * zod → structural schema, the subset of OpenAPI 3.0 that the API server accepts in a CRD. Whatever zod can say and a
 * structural schema cannot is an error here, never a silent loss: otherwise programs and the API server would accept
 * different objects (expressible.ts). What is printed is then held against the rules of structural schemas and of this
 * house (structural-rules.ts).
 */
import { z } from "zod";
import type { Rule } from "./common.ts";
import { inexpressible } from "./expressible.ts";
import { houseProblems, structuralProblems } from "./structural-rules.ts";

/** A node of a structural schema (JSONSchemaProps of apiextensions.k8s.io/v1, the members that we use). */
export interface StructuralSchema {
  description?: string;
  /** Left out where anything is kept, and for a number or text. */
  type?: "object" | "array" | "string" | "integer" | "number" | "boolean";
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
  "x-kubernetes-int-or-string"?: true;
  "x-kubernetes-preserve-unknown-fields"?: true;
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
  "x-kubernetes-int-or-string",
  "x-kubernetes-preserve-unknown-fields",
  "x-kubernetes-validations",
] as const;

const INT32_MIN = -(2 ** 31);
const INT32_MAX = 2 ** 31 - 1;

/** What `z.iso.datetime()` accepts, in a length that people can read. */
const DATETIME_PATTERN = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?Z$";

/** Nanoseconds and a little. */
const DATETIME_MAX_LENGTH = 40;

type JsonNode = Readonly<Record<string, unknown>>;

/**
 * Converts the schema of a spec or status.
 * @throws StructuralError naming every place that a CRD cannot express
 */
export function structural(schema: z.ZodType): StructuralSchema {
  const problems = inexpressible(schema);
  // A type that cannot be expressed leaves a node that cannot be read; what is wrong with it has been said already.
  if (problems.length > 0) throw new StructuralError(problems);
  const json = z.toJSONSchema(schema, { target: "openapi-3.0", io: "input", reused: "inline" });
  const lost: string[] = [];
  const printed = print(json, { path: "", lost });
  const broken = [...lost, ...structuralProblems(printed as never), ...houseProblems(printed as never)];
  if (broken.length > 0) throw new StructuralError([...new Set(broken)]);
  return printed;
}

/** Where the printer is, and what it could not print. */
interface Place {
  readonly path: string;
  readonly lost: string[];
}

/** The node with its members in a fixed order, without what pruning or the server's own formats do already. */
function print(raw: JsonNode, place: Place): StructuralSchema {
  const node = settled(raw);
  const result: Record<string, unknown> = {};
  const below = (step: string): Place => ({
    ...place,
    path: place.path === "" ? step.replace(/^\./, "") : `${place.path}${step}`,
  });
  for (const member of Object.keys(node)) {
    if (!MEMBERS.includes(member as never)) {
      place.lost.push(`${place.path === "" ? "(root)" : place.path}: a CRD cannot express '${member}'`);
    }
  }
  for (const member of MEMBERS) {
    const value = node[member];
    if (value === undefined || value === false) {
      // The one member of which `false` is a value.
      if (member === "default" && value === false) result[member] = value;
    } else if (member === "properties") {
      const properties = Object.entries(value as Record<string, JsonNode>);
      result[member] = Object.fromEntries(
        properties.map(([name, property]) => [name, print(property, below(`.${name}`))]),
      );
    } else if (member === "items" || member === "additionalProperties") {
      result[member] = print(value as JsonNode, below(member === "items" ? "[]" : ".*"));
    } else {
      result[member] = value;
    }
  }
  return result;
}

/** The node in the words of a structural schema: what zod prints in another way is put right here. */
function settled(node: JsonNode): JsonNode {
  const { readOnly: _, ...rest } = node;
  if (rest["x-kubernetes-int-or-string"] === true) return mergedBranches(rest);
  if (rest["x-kubernetes-preserve-unknown-fields"] === true) {
    const { additionalProperties: _open, ...kept } = rest;
    // Whatever includes null, which the server would drop otherwise.
    return kept["type"] === undefined ? { ...kept, nullable: true } : kept;
  }
  // The server accepts any RFC 3339; programs write and read UTC. It checks days and hours by the format.
  if (rest["format"] === "date-time") return { ...rest, pattern: DATETIME_PATTERN, maxLength: DATETIME_MAX_LENGTH };
  const values = rest["enum"] as readonly unknown[] | undefined;
  const type = rest["type"] === "number" && values?.every(Number.isInteger) === true ? "integer" : rest["type"];
  return {
    ...rest,
    ...(type === undefined ? {} : { type }),
    ...(type === "integer" ? { format: formatOf(rest) } : {}),
  };
}

/** Branches may not say what a value is, so their bounds move to the node: each holds for values of its type alone. */
function mergedBranches({ anyOf, ...node }: JsonNode): JsonNode {
  const [int = {}, text = {}] = (anyOf ?? []) as readonly JsonNode[];
  const { type: _int, ...numbers } = int;
  const { type: _text, ...texts } = text;
  return { ...node, ...numbers, ...texts };
}

function formatOf(node: JsonNode): string {
  const values = (node["enum"] ?? []) as readonly number[];
  const { minimum = Math.min(...values), maximum = Math.max(...values) } = node as {
    minimum?: number;
    maximum?: number;
  };
  return minimum >= INT32_MIN && maximum <= INT32_MAX ? "int32" : "int64";
}
