/** The fields of a kind as rows of its reference page: what a field is, what it may be, and when it may change. */
import { IMMUTABLE_RULE, immutableOptionalRule } from "./common.ts";
import { QUANTITY_PATTERN } from "./quantity.ts";
import type { StructuralSchema } from "./structural.ts";

/** One field. */
export interface FieldRow {
  /** For example `spec.assets[].code`. */
  readonly path: string;
  readonly name: string;
  readonly required: boolean;
  /** It keeps the value that it got at creation. */
  readonly immutable: boolean;
  /** Sentences of the rules that the API server checks on this field, without those that make it immutable. */
  readonly rules: readonly string[];
  readonly schema: StructuralSchema;
}

/** Longest pattern that a reader of a table takes in; the CRD holds the others. */
const PATTERN_SHOWN_MAX = 60;

/** Every field below a node, parents before children. */
export function fieldsOf(schema: StructuralSchema, path: string): FieldRow[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const here = `${path}.${name}`;
    const frozenBy = [
      ...rulesOf(property).filter(({ rule }) => rule === IMMUTABLE_RULE),
      ...rulesOf(schema).filter(({ rule }) => rule === immutableOptionalRule(name)),
    ];
    const children = Object.keys(property.properties ?? {}).map(immutableOptionalRule);
    const rules = rulesOf(property).filter(({ rule }) => rule !== IMMUTABLE_RULE && !children.includes(rule));
    const row: FieldRow = {
      path: here,
      name,
      required: schema.required?.includes(name) ?? false,
      immutable: frozenBy.length > 0,
      rules: [...rules, ...frozenBy].map(({ message }) => message),
      schema: property,
    };
    const below = property.items ?? property;
    return [row, ...fieldsOf(below, property.items === undefined ? here : `${here}[]`)];
  });
}

/** Type and bounds in words and code, for example `list of 1 to 32 items: object, one for each code`. */
export function typeText(schema: StructuralSchema): string {
  const nullable = schema.nullable === true && schema.type !== undefined ? ", or null" : "";
  return `${typeWithBounds(schema)}${nullable}`;
}

function typeWithBounds(schema: StructuralSchema): string {
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${String(value)}\``).join(" or ");
  if (schema["x-kubernetes-int-or-string"] === true) {
    if (schema.pattern === QUANTITY_PATTERN.source) return "quantity; a whole number needs no quotes";
    return `${integerText(schema)}, or ${textText(schema)}`;
  }
  if (schema.items !== undefined) {
    const { "x-kubernetes-list-type": kind, "x-kubernetes-list-map-keys": keys = [] } = schema;
    const how = kind === "map" ? `, one for each ${keys.join(" and ")}` : kind === "set" ? ", each once" : "";
    return `list of ${range(schema.minItems, schema.maxItems)} items: ${typeName(schema.items)}${how}`;
  }
  if (schema.additionalProperties !== undefined) {
    const { minProperties, maxProperties, additionalProperties } = schema;
    return `map of ${range(minProperties, maxProperties)} entries: ${typeWithBounds(additionalProperties)}`;
  }
  if (schema.type === "integer") return integerText(schema);
  if (schema.type === "string") return textText(schema);
  return typeName(schema);
}

function typeName({ type, format }: StructuralSchema): string {
  return type === "string" ? (format ?? "text") : (type ?? "anything");
}

function integerText(schema: StructuralSchema): string {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema;
  const low = minimum === undefined || exclusiveMinimum !== true ? minimum : minimum + 1;
  const high = maximum === undefined || exclusiveMaximum !== true ? maximum : maximum - 1;
  return `integer, ${range(low, high)}${multipleOf === undefined ? "" : ` in steps of ${String(multipleOf)}`}`;
}

function textText({ format, minLength, maxLength, pattern }: StructuralSchema): string {
  if (format !== undefined) return format;
  if (pattern === QUANTITY_PATTERN.source) return "quantity";
  const like = pattern === undefined || pattern.length > PATTERN_SHOWN_MAX ? "" : ` like \`${pattern}\``;
  return `text, ${range(minLength, maxLength)} characters${like}`;
}

/** The bounds of a number or a length; the bound of JSON numbers is none. */
function range(min = 0, max: number = Number.MAX_SAFE_INTEGER): string {
  const from = min === Number.MIN_SAFE_INTEGER ? undefined : min;
  if (max === Number.MAX_SAFE_INTEGER) return from === undefined ? "any" : `at least ${String(from)}`;
  if (from === undefined) return `at most ${String(max)}`;
  if (from === 0) return `up to ${String(max)}`;
  return from === max ? `exactly ${String(max)}` : `${String(from)} to ${String(max)}`;
}

function rulesOf(schema: StructuralSchema): readonly { readonly rule: string; readonly message: string }[] {
  return schema["x-kubernetes-validations"] ?? [];
}
