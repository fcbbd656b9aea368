/**
 * Random values of a zod schema, for asking the API server about them: what zod would accept for the most part, and
 * beside it near misses, each of which differs from a good value in one place or two.
 */
import fc from "fast-check";
import type { z } from "zod";

/** Values to take at a path (`postgres.parameters`, `assets[].code`) instead of those that the schema suggests. */
export type Overrides = Readonly<Record<string, fc.Arbitrary<unknown>>>;

type Def = z.core.$ZodTypes["_zod"]["def"];

/** Longest text, list and map that is made on purpose; bounds above it are not tried. */
const LENGTH_MAX = 400;
const LIST_MAX = 40;

/** Values of a schema; `path` is where they stand, for the overrides. */
export function valuesOf(schema: z.core.$ZodType, overrides: Overrides, path = ""): fc.Arbitrary<unknown> {
  const given = overrides[path];
  if (given !== undefined) return given;
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case "string":
      return texts(schema);
    case "number":
      return integers(schema);
    case "boolean":
      return fc.boolean();
    case "enum":
      return fc.constantFrom(...Object.values(def.entries));
    case "literal":
      return fc.constantFrom(...def.values);
    case "unknown":
      return fc.oneof(fc.integer(), fc.constant(null), fc.dictionary(plainKeys(), fc.string(), { maxKeys: 2 }));
    case "union":
      return fc.oneof(...def.options.map((option) => valuesOf(option, overrides, path)));
    case "array": {
      const { lowest = 0, highest = LIST_MAX } = boundsOf(schema);
      return fc.array(valuesOf(def.element, overrides, `${path}[]`), {
        minLength: lowest,
        maxLength: Math.min(highest, lowest + 2),
      });
    }
    case "record":
      return fc.dictionary(plainKeys(), valuesOf(def.valueType, overrides, `${path}.*`), { maxKeys: 3 });
    case "object": {
      const members = Object.entries(def.shape).map(
        ([name, child]) => [name, valuesOf(child, overrides, path === "" ? name : `${path}.${name}`)] as const,
      );
      const requiredKeys = Object.keys(def.shape).filter((name) => !isLeftOut(def.shape[name]));
      return fc.record(Object.fromEntries(members), { requiredKeys });
    }
    case "nullable":
      return fc.option(valuesOf(def.innerType, overrides, path), { nil: null, freq: 4 });
    case "optional":
    case "default":
    case "readonly":
      return valuesOf(def.innerType, overrides, path);
    default:
      throw new Error(`${path}: no values of zod's '${def.type}'`);
  }
}

/** Values as above of which about half are damaged in one place or two. */
export function nearValuesOf(schema: z.core.$ZodType, overrides: Overrides): fc.Arbitrary<unknown> {
  const choices = fc.array(fc.nat(9_999), { minLength: 40, maxLength: 40 });
  return fc
    .tuple(valuesOf(schema, overrides), fc.constantFrom(0, 0, 0, 1, 1, 2), choices)
    .map(([value, damages, numbers]) => {
      // Read from the front and over again: a shrunk list still gives a value.
      let at = 0;
      const pick = (count: number): number => (numbers[at++ % numbers.length] ?? 0) % count;
      let damaged = value;
      for (let round = 0; round < damages; round += 1) damaged = damage(schema, damaged, pick);
      return damaged;
    });
}

/** What the API server makes of a null before it looks at it: a member that cannot be null is left out. */
export function withoutNulls(schema: z.core.$ZodType, value: unknown): unknown {
  const { def, nullable } = unwrap(schema);
  if (value === null && !nullable) return undefined;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    if (def.type !== "array") return value;
    // An item cannot be left out: null stays, and is refused.
    return value.map((item) => (item === null ? null : withoutNulls(def.element, item)));
  }
  const childOf = (name: string): z.core.$ZodType | undefined =>
    def.type === "object" ? def.shape[name] : def.type === "record" ? def.valueType : undefined;
  const members = Object.entries(value).map(([name, member]) => {
    const child = childOf(name);
    return [name, child === undefined ? member : withoutNulls(child, member)] as const;
  });
  return Object.fromEntries(members.filter(([, member]) => member !== undefined));
}

function texts(schema: z.core.$ZodType): fc.Arbitrary<string> {
  const { lowest = 0, highest = LENGTH_MAX, pattern } = boundsOf(schema);
  const longest = Math.min(highest, LENGTH_MAX);
  const fits = (text: string): boolean => text.length >= lowest && text.length <= longest && text.isWellFormed();
  if ((schema as z.core.$ZodTypes)._zod.def.type === "string" && "format" in schema._zod.def) return times();
  if (pattern !== undefined) return fc.stringMatching(pattern, { size: "xsmall" }).filter(fits);
  const edge = fc.constantFrom("x".repeat(longest), "x".repeat(lowest), "😀".repeat(lowest + 1));
  const plain = fc.string({ minLength: lowest, maxLength: Math.min(longest, lowest + 12) });
  return fc.oneof({ arbitrary: plain, weight: 4 }, edge.filter(fits));
}

/** Times as programs write them, and some that are none. */
function times(): fc.Arbitrary<string> {
  const real = fc
    .date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true })
    .map((date) => date.toISOString());
  const odd = fc.constantFrom(
    ...["2026-02-28T10:00:00Z", "2024-02-29T00:00:00Z", "2025-02-29T00:00:00Z", "2026-13-01T00:00:00Z"],
    ...[
      "2026-01-01T24:00:00Z",
      "2026-01-01T23:59:60Z",
      "2026-01-01t10:00:00Z",
      "2026-01-01T10:00:00+01:00",
      "2026-01-01",
    ],
  );
  return fc.oneof({ arbitrary: real, weight: 4 }, odd);
}

function integers(schema: z.core.$ZodType): fc.Arbitrary<number> {
  const { lowest = Number.MIN_SAFE_INTEGER, highest = Number.MAX_SAFE_INTEGER, step = 1 } = boundsOf(schema);
  const range = { min: Math.ceil(lowest / step), max: Math.floor(highest / step) };
  return fc.integer(range).map((steps) => steps * step);
}

/** What the checks of a schema allow: the length of texts and lists, the size of numbers. */
interface Bounds {
  lowest?: number;
  highest?: number;
  step?: number;
  pattern?: RegExp;
}

function boundsOf(schema: z.core.$ZodType): Bounds {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  const own = def.type === "number" && "format" in def ? [schema as unknown as z.core.$ZodCheck] : [];
  const bounds: Bounds = {};
  for (const check of [...own, ...(def.checks ?? [])]) {
    const { def: is } = (check as z.core.$ZodChecks)._zod;
    if (is.check === "min_length") bounds.lowest = is.minimum;
    else if (is.check === "max_length") bounds.highest = is.maximum;
    else if (is.check === "length_equals") bounds.lowest = bounds.highest = is.length;
    else if (is.check === "greater_than") bounds.lowest = Number(is.value) + (is.inclusive ? 0 : 1);
    else if (is.check === "less_than") bounds.highest = Number(is.value) - (is.inclusive ? 0 : 1);
    else if (is.check === "multiple_of") bounds.step = Number(is.value);
    else if (is.check === "number_format" && is.format === "int32") {
      bounds.lowest ??= -(2 ** 31);
      bounds.highest ??= 2 ** 31 - 1;
    } else if (is.check === "string_format" && is.pattern !== undefined) bounds.pattern = is.pattern;
  }
  return bounds;
}

function plainKeys(): fc.Arbitrary<string> {
  return fc.stringMatching(/^[a-z][a-z0-9_.]{0,5}$/);
}

function isLeftOut(schema: z.core.$ZodType | undefined): boolean {
  const type = (schema as z.core.$ZodTypes | undefined)?._zod.def.type;
  return type === "optional" || type === "default";
}

function unwrap(schema: z.core.$ZodType): { readonly def: Def; readonly nullable: boolean } {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  if (def.type !== "optional" && def.type !== "default" && def.type !== "nullable" && def.type !== "readonly") {
    return { def, nullable: def.type === "unknown" };
  }
  const inner = unwrap(def.innerType);
  return { def: inner.def, nullable: inner.nullable || def.type === "nullable" };
}

type Pick = (count: number) => number;

/** The value with one change, here or further down. */
function damage(schema: z.core.$ZodType, value: unknown, pick: Pick): unknown {
  const { def } = unwrap(schema);
  if (def.type === "object" && isObject(value)) {
    const names = Object.keys(value).filter((name) => name in def.shape);
    const name = names[pick(Math.max(1, names.length))];
    if (name === undefined || pick(4) === 0) return damageObject(value, pick);
    return { ...value, [name]: damage(def.shape[name] as z.core.$ZodType, value[name], pick) };
  }
  if (def.type === "array" && Array.isArray(value)) {
    if (value.length === 0 || pick(3) === 0) return damageList(value, pick);
    const at = pick(value.length);
    return value.map((item: unknown, index) => (index === at ? damage(def.element, item, pick) : item));
  }
  if (def.type === "record" && isObject(value)) {
    const [name] = Object.keys(value);
    if (name === undefined || pick(3) === 0) return { ...value, ...(pick(2) === 0 ? crowd() : { "Bad Key": "x" }) };
    return { ...value, [name]: damage(def.valueType, value[name], pick) };
  }
  return damageScalar(value, pick);
}

function damageObject(value: Readonly<Record<string, unknown>>, pick: Pick): unknown {
  const names = Object.keys(value);
  const name = names[pick(Math.max(1, names.length))];
  const { [name ?? ""]: _, ...rest } = value;
  return [rest, { ...value, unheardOf: 1 }, { ...value, ...(name === undefined ? {} : { [name]: null }) }, [], "x"][
    pick(5)
  ];
}

function damageList(value: readonly unknown[], pick: Pick): unknown {
  const many = Array.from({ length: LIST_MAX + 1 }, () => value[0] ?? 0);
  return [[...value, ...value.slice(0, 1)], [], many, [...value, null], {}, value[0]][pick(6)];
}

function damageScalar(value: unknown, pick: Pick): unknown {
  if (typeof value === "number")
    return [value + 1, value - 1, -value - 1, value + 0.5, 1e9 + 0.5, String(value), 2 ** 53, null][pick(8)];
  if (typeof value === "string") {
    const longer = value.padEnd(LENGTH_MAX, "x");
    return [
      "",
      `${value}x`,
      value.toUpperCase(),
      `${value}\n`,
      ` ${value}`,
      longer,
      value.replace(/^./u, ""),
      7,
      null,
      {},
    ][pick(10)];
  }
  return [null, "true", 0, true, {}, []][pick(6)];
}

/** More entries than any map may have. */
function crowd(): Record<string, string> {
  return Object.fromEntries(Array.from({ length: 80 }, (_, index) => [`k${String(index)}`, "1"]));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
