/**
 * What a zod schema says and its JSON form would lose or change: unions, transforms, refinements without CEL, patterns
 * that the API server reads differently. Each is a sentence with the path of the field, so that the programmer knows
 * where and what to write instead.
 */
import { z } from "zod";
import { canonicalJson } from "../lib/core/canonical.ts";
import type { Rule } from "./common.ts";
import { re2Problems } from "./re2.ts";

/** zod types that a structural schema can express as they are. */
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

/** What to write in the place of a type that a CRD cannot express. */
const INSTEAD: Readonly<Record<string, string>> = {
  union: "write one object with optional fields and a rule (withRules), or intOrString",
  tuple: "write an object with a named field for each place",
  intersection: "write one object with the fields of both",
  any: "say keepUnknown",
  unknown: "say keepUnknown",
  null: "leave the field out (exactOptional)",
  date: "write z.iso.datetime()",
  bigint: "write a decimal string with a pattern",
  set: "write listSet",
  map: "write textMap or listMap",
  catch: "write default: bad input must be refused",
  prefault: "write default",
  lazy: "recursion has no bound",
};

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

/** `z.iso.datetime()` without options: UTC, any precision. */
const DATETIME_SOURCE = z.iso.datetime()._zod.def.pattern?.source;

/** Everything that is wrong with a schema and what is below it. */
export function inexpressible(schema: z.core.$ZodType): string[] {
  const inner = unwrap(schema);
  const root = inner.def.type === "object" ? [] : ["(root): a spec or status is an object"];
  return [...(inner.nullable ? ["(root): the root cannot be null"] : root), ...problemsOfTree(schema, "", [])];
}

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
    case "union":
      return isIntOrString(schema) ? def.options.map((option) => ["", option] as const) : [];
    case "optional":
    case "default":
    case "nullable":
    case "readonly":
      return [["", def.innerType]];
    default:
      return [];
  }
}

/** The type under optional, default, nullable and readonly. */
function unwrap(schema: z.core.$ZodType): {
  readonly def: z.core.$ZodTypes["_zod"]["def"];
  readonly nullable: boolean;
} {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  if (def.type !== "optional" && def.type !== "default" && def.type !== "nullable" && def.type !== "readonly") {
    return { def, nullable: false };
  }
  const inner = unwrap(def.innerType);
  return { def: inner.def, nullable: inner.nullable || def.type === "nullable" };
}

function problemsOfType(schema: z.core.$ZodType): string[] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  const meta = metaOf(schema);
  if (!EXPRESSIBLE.has(def.type) && !isKept(schema) && !isIntOrString(schema)) {
    const instead = INSTEAD[def.type];
    return [`a CRD cannot express zod's '${def.type}'${instead === undefined ? "" : `: ${instead}`}`];
  }
  const problems = (def.checks ?? []).flatMap((check) => problemsOfCheck(check));
  if (meta["id"] !== undefined) problems.push("an id in the metadata would become a reference: leave it out");
  if (def.type === "string" && "format" in def) {
    const { format, pattern } = def as { format: string; pattern?: RegExp };
    problems.push(...problemsOfFormat(format, pattern));
  }
  if (def.type === "literal") problems.push(...problemsOfLiteral(def.values));
  if (def.type === "object" && isOpen(def) && meta["x-kubernetes-preserve-unknown-fields"] !== true) {
    problems.push("a CRD cannot have both properties and additional properties: say keepUnknown, or z.strictObject");
  }
  if (def.type === "record" && def.keyType._zod.def.type !== "string") {
    problems.push("the keys of a record must be plain strings: check them by a rule (withRules)");
  }
  if (def.type === "nullable" && ["enum", "literal"].includes(unwrap(def.innerType).def.type)) {
    problems.push("the API server refuses null beside named values: leave the field out (exactOptional)");
  }
  if (def.type === "default" && def.defaultValue === null) {
    problems.push("the API server ignores a default of null: leave the field out (exactOptional)");
  } else if (def.type === "default" && !isFixedPoint(def.innerType, def.defaultValue)) {
    problems.push("the default is not valid by itself, or leaves inner defaults out");
  }
  const refinements = (def.checks ?? []).filter((check) => check._zod.def.check === "custom").length;
  if (refinements > statedRules(meta)) problems.push("a refinement needs its CEL rule beside it (withRules)");
  return problems;
}

/** Metadata is attached to the very schema; wrappers have their own. */
function metaOf(schema: z.core.$ZodType): { readonly [member: string]: unknown } {
  return z.globalRegistry.get(schema) ?? {};
}

function isKept(schema: z.core.$ZodType): boolean {
  const { type } = (schema as z.core.$ZodTypes)._zod.def;
  return type === "unknown" && metaOf(schema)["x-kubernetes-preserve-unknown-fields"] === true;
}

/** A union of an integer and a text that says so. */
function isIntOrString(schema: z.core.$ZodType): boolean {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  if (def.type !== "union" || metaOf(schema)["x-kubernetes-int-or-string"] !== true) return false;
  const types = def.options.map((option) => (option as z.core.$ZodTypes)._zod.def.type);
  return types.join() === "number,string";
}

function isOpen(def: z.core.$ZodObjectDef): boolean {
  return def.catchall !== undefined && def.catchall._zod.def.type !== "never";
}

function problemsOfLiteral(values: readonly unknown[]): string[] {
  if (values.some((value) => value === null || value === undefined || typeof value === "bigint")) {
    return ["a CRD cannot express a literal null, undefined or bigint"];
  }
  return new Set(values.map((value) => typeof value)).size > 1 ? ["the values of a literal must be of one type"] : [];
}

function problemsOfCheck(check: z.core.$ZodCheck): string[] {
  const { def } = check._zod as { def: { check: string; pattern?: RegExp; format?: string } };
  if (!EXPRESSIBLE_CHECKS.has(def.check)) return [`a CRD cannot express zod's check '${def.check}'`];
  return def.check === "string_format" ? problemsOfFormat(def.format ?? "", def.pattern) : [];
}

/** Formats that the API server does not check, or checks differently, are refused; say it by a pattern. */
function problemsOfFormat(format: string, pattern: RegExp | undefined): string[] {
  if (format === "datetime") {
    return pattern?.source === DATETIME_SOURCE ? [] : ["a CRD cannot express options of a datetime"];
  }
  if (format !== "regex") return [`a CRD cannot express the string format '${format}': write a pattern`];
  if (pattern === undefined) return [];
  return pattern.flags === "" ? re2Problems(pattern.source) : ["a CRD cannot express the flags of a pattern"];
}

/** A default must be what parsing it gives, for the API server fills in inner defaults only inside a present object. */
function isFixedPoint(inner: z.core.$ZodType, value: unknown): boolean {
  const parsed = z.safeParse(inner, value);
  return parsed.success && canonicalJson(parsed.data) === canonicalJson(value);
}

/** How many refinements the metadata states for the API server: CEL rules, the size of a map, the keys of a list. */
function statedRules(meta: { readonly [member: string]: unknown }): number {
  const rules = (meta["x-kubernetes-validations"] ?? []) as readonly Rule[];
  const unique = ["map", "set"].includes(meta["x-kubernetes-list-type"] as string);
  return rules.length + (meta["maxProperties"] === undefined ? 0 : 1) + (unique ? 1 : 0);
}
