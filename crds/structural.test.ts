// The pass from zod to a structural schema: what it prints, and that it refuses what a CRD cannot say.
import { describe, expect, test } from "@jest/globals";
import { z } from "zod";
import {
  immutable,
  intOrString,
  keepUnknown,
  listAtomic,
  listMap,
  listSet,
  textMap,
  withRules,
  withTransitions,
} from "./common.ts";
import { StructuralError, structural } from "./structural.ts";

const text = z.string().max(9).meta({ description: "Some text." });
const int32Node = { type: "integer", format: "int32", minimum: -(2 ** 31), maximum: 2 ** 31 - 1 };
const textNode = { description: "Some text.", type: "string", maxLength: 9 };

function problemsOf(schema: z.ZodType): readonly string[] {
  try {
    structural(schema);
  } catch (error) {
    if (error instanceof StructuralError) return error.problems;
    throw error;
  }
  return [];
}

describe("what is printed", () => {
  test("an object of every expressible kind, members in a fixed order", () => {
    const schema = z.strictObject({
      name: text,
      count: withTransitions(z.int().min(1).max(9).meta({ description: "A count." }), [
        { rule: "self >= oldSelf", message: "it may only grow" },
      ]).default(2),
      big: z.int().min(0).meta({ description: "A position." }).exactOptional(),
      policy: z.enum(["Keep", "Drop"]).meta({ description: "A choice." }).default("Keep"),
      at: z.iso.datetime().meta({ description: "A time." }).exactOptional(),
      labels: textMap(z.string().max(5), 3).meta({ description: "Labels." }).exactOptional(),
      parts: listMap(z.array(z.strictObject({ id: text })).max(4), ["id"])
        .meta({ description: "Parts." })
        .exactOptional(),
    });
    expect(JSON.stringify(structural(schema))).toBe(
      JSON.stringify({
        type: "object",
        required: ["name"],
        properties: {
          name: { description: "Some text.", type: "string", maxLength: 9 },
          count: {
            description: "A count.",
            type: "integer",
            format: "int32",
            default: 2,
            minimum: 1,
            maximum: 9,
            "x-kubernetes-validations": [{ rule: "self >= oldSelf", message: "it may only grow" }],
          },
          big: {
            description: "A position.",
            type: "integer",
            format: "int64",
            minimum: 0,
            maximum: Number.MAX_SAFE_INTEGER,
          },
          policy: { description: "A choice.", type: "string", default: "Keep", enum: ["Keep", "Drop"] },
          at: {
            description: "A time.",
            type: "string",
            format: "date-time",
            maxLength: 40,
            pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?Z$",
          },
          labels: {
            description: "Labels.",
            type: "object",
            maxProperties: 3,
            additionalProperties: { type: "string", maxLength: 5 },
          },
          parts: {
            description: "Parts.",
            type: "array",
            maxItems: 4,
            items: {
              type: "object",
              required: ["id"],
              properties: { id: { description: "Some text.", type: "string", maxLength: 9 } },
            },
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["id"],
          },
        },
      }),
    );
  });

  test("rules added one after another are all kept", () => {
    const even = { rule: "self % 2 == 0", message: "it must be even", check: (value: number) => value % 2 === 0 };
    const schema = withTransitions(withRules(z.int().min(0).max(9).meta({ description: "A count." }), [even]), [
      { rule: "self >= oldSelf", message: "it grows" },
    ]);
    expect(structural(z.strictObject({ n: schema })).properties?.["n"]?.["x-kubernetes-validations"]).toEqual([
      { rule: even.rule, message: even.message },
      { rule: "self >= oldSelf", message: "it grows" },
    ]);
    expect(schema.safeParse(3).success).toBe(false);
    expect(schema.safeParse(4).success).toBe(true);
  });
});

describe("rows of the table zod → structural schema that are accepted", () => {
  const rows: readonly { name: string; field: z.ZodType; printed: object }[] = [
    {
      name: "strictObject: pruning drops what is not named, so nothing is printed for it",
      field: z.strictObject({ a: text }),
      printed: { type: "object", required: ["a"], properties: { a: { ...textNode } } },
    },
    { name: "literal of a text", field: z.literal("On"), printed: { type: "string", enum: ["On"] } },
    {
      name: "literal of whole numbers: integers, not fractions",
      field: z.literal([1, 3]),
      printed: { type: "integer", format: "int32", enum: [1, 3] },
    },
    { name: "literal of a boolean", field: z.literal(true), printed: { type: "boolean", enum: [true] } },
    {
      name: "nullable",
      field: z.string().max(3).nullable(),
      printed: { type: "string", nullable: true, maxLength: 3 },
    },
    {
      name: "a default of false",
      field: z.boolean().default(false),
      printed: { type: "boolean", default: false },
    },
    {
      name: "record: a map of bounded size",
      field: textMap(z.string().max(5), 3),
      printed: { type: "object", maxProperties: 3, additionalProperties: { type: "string", maxLength: 5 } },
    },
    {
      name: "int: bounds that JSON numbers hold exactly, and a format",
      field: z.int(),
      printed: {
        type: "integer",
        format: "int64",
        minimum: Number.MIN_SAFE_INTEGER,
        maximum: Number.MAX_SAFE_INTEGER,
      },
    },
    {
      name: "exclusive bounds and steps",
      field: z.int().gt(0).lt(100).multipleOf(5),
      printed: {
        type: "integer",
        format: "int32",
        minimum: 0,
        exclusiveMinimum: true,
        maximum: 100,
        exclusiveMaximum: true,
        multipleOf: 5,
      },
    },
    { name: "readonly: a word for programs", field: z.int32().readonly(), printed: int32Node },
    {
      name: "a refinement with its rule",
      field: withRules(z.int32().min(0).max(9), [{ rule: "self != 7", message: "no seven", check: (n) => n !== 7 }]),
      printed: {
        type: "integer",
        format: "int32",
        minimum: 0,
        maximum: 9,
        "x-kubernetes-validations": [{ rule: "self != 7", message: "no seven" }],
      },
    },
    {
      name: "immutable: a rule on updates",
      field: immutable(z.string().max(9), "it stays"),
      printed: {
        type: "string",
        maxLength: 9,
        "x-kubernetes-validations": [{ rule: "self == oldSelf", message: "it stays" }],
      },
    },
    {
      name: "datetime: a readable pattern beside the format that the server checks",
      field: z.iso.datetime(),
      printed: {
        type: "string",
        format: "date-time",
        maxLength: 40,
        pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?Z$",
      },
    },
    {
      name: "a set",
      field: listSet(z.array(z.string().max(3)).max(2)),
      printed: { type: "array", maxItems: 2, items: { type: "string", maxLength: 3 }, "x-kubernetes-list-type": "set" },
    },
    {
      name: "a number or a text, each with its bounds",
      field: intOrString(
        z.int().min(0).max(9),
        z
          .string()
          .max(4)
          .regex(/^[0-9]{1,3}%$/),
      ),
      printed: {
        ...{ minimum: 0, maximum: 9, maxLength: 4, pattern: "^[0-9]{1,3}%$", "x-kubernetes-int-or-string": true },
        "x-kubernetes-validations": [
          expect.objectContaining({ message: "must be a whole number, or a text in quotes" }),
        ],
      },
    },
    {
      name: "unknown, when it is said to be kept",
      field: keepUnknown(z.unknown()),
      printed: { nullable: true, "x-kubernetes-preserve-unknown-fields": true },
    },
    {
      name: "an open object, when it is said to be kept",
      field: keepUnknown(z.looseObject({ a: text })),
      printed: {
        type: "object",
        required: ["a"],
        properties: { a: textNode },
        "x-kubernetes-preserve-unknown-fields": true,
      },
    },
    {
      name: "one schema used twice: printed in both places",
      field: z.strictObject({ a: text, b: text }),
      printed: { type: "object", required: ["a", "b"], properties: { a: textNode, b: textNode } },
    },
  ];

  test.each(rows)("$name", ({ field, printed }) => {
    const schema = z.strictObject({ f: field.meta({ ...field.meta(), description: "D." }) });
    expect(structural(schema).properties?.["f"]).toEqual({ description: "D.", ...printed });
  });

  test("items of a map or set may not appear twice, for programs as for the server", () => {
    const parts = listMap(z.array(z.strictObject({ id: text, n: z.int() })).max(4), ["id"]);
    expect(
      parts.safeParse([
        { id: "a", n: 1 },
        { id: "b", n: 1 },
      ]).success,
    ).toBe(true);
    expect(
      parts.safeParse([
        { id: "a", n: 1 },
        { id: "a", n: 2 },
      ]).success,
    ).toBe(false);
    const set = listSet(z.array(z.int()).max(4));
    expect(set.safeParse([1, 2]).success).toBe(true);
    expect(set.safeParse([1, 1]).success).toBe(false);
  });
});

describe("what is refused, with its place", () => {
  const cases: readonly { name: string; field: z.ZodType; problem: string }[] = [
    {
      name: "a union",
      field: z.union([text, z.int()]),
      problem:
        "f: a CRD cannot express zod's 'union': write one object with optional fields and a rule (withRules), or intOrString",
    },
    {
      name: "a discriminated union",
      field: z.discriminatedUnion("t", [z.strictObject({ t: z.literal("A") }), z.strictObject({ t: z.literal("B") })]),
      problem:
        "f: a CRD cannot express zod's 'union': write one object with optional fields and a rule (withRules), or intOrString",
    },
    {
      name: "a union that only says that it is a number or a text",
      field: z.union([text, z.boolean()]).meta({ "x-kubernetes-int-or-string": true }),
      problem:
        "f: a CRD cannot express zod's 'union': write one object with optional fields and a rule (withRules), or intOrString",
    },
    {
      name: "a tuple",
      field: z.tuple([text]),
      problem: "f: a CRD cannot express zod's 'tuple': write an object with a named field for each place",
    },
    {
      name: "an intersection",
      field: z.intersection(z.strictObject({ a: text }), z.strictObject({ b: text })),
      problem: "f: a CRD cannot express zod's 'intersection': write one object with the fields of both",
    },
    { name: "anything", field: z.any(), problem: "f: a CRD cannot express zod's 'any': say keepUnknown" },
    { name: "unknown", field: z.unknown(), problem: "f: a CRD cannot express zod's 'unknown': say keepUnknown" },
    {
      name: "null",
      field: z.null(),
      problem: "f: a CRD cannot express zod's 'null': leave the field out (exactOptional)",
    },
    { name: "a date", field: z.date(), problem: "f: a CRD cannot express zod's 'date': write z.iso.datetime()" },
    {
      name: "a bigint",
      field: z.bigint(),
      problem: "f: a CRD cannot express zod's 'bigint': write a decimal string with a pattern",
    },
    { name: "a set", field: z.set(text), problem: "f: a CRD cannot express zod's 'set': write listSet" },
    {
      name: "a map",
      field: z.map(text, text),
      problem: "f: a CRD cannot express zod's 'map': write textMap or listMap",
    },
    {
      name: "a transform",
      field: text.transform((value) => value.length),
      problem: "f: a CRD cannot express zod's 'pipe'",
    },
    {
      name: "a preprocessing",
      field: z.preprocess((value) => value, text),
      problem: "f: a CRD cannot express zod's 'pipe'",
    },
    { name: "a custom type", field: z.custom(), problem: "f: a CRD cannot express zod's 'custom'" },
    {
      name: "catch",
      field: text.catch("x"),
      problem: "f: a CRD cannot express zod's 'catch': write default: bad input must be refused",
    },
    { name: "prefault", field: text.prefault("x"), problem: "f: a CRD cannot express zod's 'prefault': write default" },
    {
      name: "lazy",
      field: z.lazy(() => text),
      problem: "f: a CRD cannot express zod's 'lazy': recursion has no bound",
    },
    { name: "trim", field: z.string().max(3).trim(), problem: "f: a CRD cannot express zod's check 'overwrite'" },
    {
      name: "a fraction",
      field: z.number().min(0).max(1),
      problem: "f: no fractions: count in a smaller unit, or take a quantity",
    },
    {
      name: "a literal fraction",
      field: z.literal(0.5),
      problem: "f: no fractions: count in a smaller unit, or take a quantity",
    },
    {
      name: "a literal null",
      field: z.literal(null),
      problem: "f: a CRD cannot express a literal null, undefined or bigint",
    },
    {
      name: "literals of two types",
      field: z.literal(["A", 1]),
      problem: "f: the values of a literal must be of one type",
    },
    {
      name: "an id, which would make a reference",
      field: text.meta({ id: "shared", description: "D." }),
      problem: "f: an id in the metadata would become a reference: leave it out",
    },
    {
      name: "a text in lower case among the values of an enum",
      field: z.enum(["On", "off"]).meta({ description: "D." }),
      problem: "f: 'off' must be in CamelCase, as values of enums are",
    },
    {
      name: "an e-mail address",
      field: z.email().max(3),
      problem: "f: a CRD cannot express the string format 'email': write a pattern",
    },
    {
      name: "a beginning",
      field: z.string().max(3).startsWith("a"),
      problem: "f: a CRD cannot express the string format 'starts_with': write a pattern",
    },
    {
      name: "a day",
      field: z.iso.date(),
      problem: "f: a CRD cannot express the string format 'date': write a pattern",
    },
    {
      name: "a datetime with an offset",
      field: z.iso.datetime({ offset: true }),
      problem: "f: a CRD cannot express options of a datetime",
    },
    {
      name: "two patterns",
      field: z.string().max(3).regex(/^a/).regex(/b$/).meta({ description: "D." }),
      problem: "f: a CRD cannot express 'allOf'",
    },
    {
      name: "a number or a text without bound",
      field: intOrString(z.int(), z.string()).meta({ description: "D.", "x-kubernetes-int-or-string": true }),
      problem: "f: text needs a maximal length",
    },
    {
      name: "a flag of a pattern",
      field: z.string().max(3).regex(/a/i),
      problem: "f: a CRD cannot express the flags of a pattern",
    },
    {
      name: "look-ahead",
      field: z
        .string()
        .max(3)
        .regex(/^(?!a)/),
      problem: "f: the API server's patterns (RE2) know no look-around and no back-references",
    },
    {
      name: "a refinement without CEL",
      field: text.refine((value) => value !== "x"),
      problem: "f: a refinement needs its CEL rule beside it (withRules)",
    },
    {
      name: "an enum-keyed record",
      field: z.record(z.enum(["a", "b"]), text).meta({ maxProperties: 2, description: "D." }),
      problem: "f: the keys of a record must be plain strings: check them by a rule (withRules)",
    },
    {
      name: "a loose object",
      field: z.looseObject({ a: text }).meta({ description: "D." }),
      problem: "f: a CRD cannot have both properties and additional properties: say keepUnknown, or z.strictObject",
    },
    {
      name: "a catch-all",
      field: z.strictObject({ a: text }).catchall(text).meta({ description: "D." }),
      problem: "f: a CRD cannot have both properties and additional properties: say keepUnknown, or z.strictObject",
    },
    {
      name: "a choice that may be null",
      field: z.enum(["On", "Off"]).nullable().meta({ description: "D." }),
      problem: "f: the API server refuses null beside named values: leave the field out (exactOptional)",
    },
    {
      name: "a default of null, which the server ignores",
      field: z.int32().nullable().default(null).meta({ description: "D." }),
      problem: "f: the API server ignores a default of null: leave the field out (exactOptional)",
    },
    {
      name: "a default that zod would take without a look",
      field: text.default("much too long a text"),
      problem: "f: the default is not valid by itself, or leaves inner defaults out",
    },
    {
      name: "a default that leaves inner defaults out",
      field: z
        .strictObject({ a: text.default("x") })
        .meta({ description: "D." })
        .default({} as never),
      problem: "f: the default is not valid by itself, or leaves inner defaults out",
    },
    {
      name: "text without bound",
      field: z.string().meta({ description: "D." }),
      problem: "f: text needs a maximal length",
    },
    {
      name: "a map without bound",
      field: z.record(z.string(), text).meta({ description: "D." }),
      problem: "f: a map needs a maximal size",
    },
    {
      name: "a list without bound",
      field: listAtomic(z.array(text)).meta({ description: "D." }),
      problem: "f: a list needs a maximal length",
    },
    {
      name: "a list that does not say how it merges",
      field: z.array(text).max(2).meta({ description: "D." }),
      problem: "f: a list needs listMap, listSet or listAtomic",
    },
    {
      name: "a list keyed by an optional field",
      field: listMap(z.array(z.strictObject({ id: text.exactOptional() })).max(2), ["id"]).meta({ description: "D." }),
      problem: "f: the key 'id' must be a required scalar field of the items",
    },
    { name: "a field without description", field: z.boolean(), problem: "f: a field needs a description" },
  ];

  test.each(cases)("$name", ({ field, problem }) => {
    expect(problemsOf(z.strictObject({ f: field }))).toContain(problem);
  });

  test("what is no object, or may be null, as a whole", () => {
    expect(problemsOf(z.int())).toContain("(root): a spec or status is an object");
    expect(problemsOf(z.strictObject({ a: text }).nullable())).toContain("(root): the root cannot be null");
  });

  test("a name that is not in camelCase", () => {
    expect(problemsOf(z.strictObject({ Max_size: text }))).toEqual(["Max_size: a field is named in camelCase"]);
  });

  test("recursion", () => {
    const node = z.strictObject({
      get child() {
        return node.exactOptional();
      },
    }) as z.ZodType;
    expect(problemsOf(node)).toContain("child: a CRD cannot express recursion");
  });

  test("a problem deep inside names its path", () => {
    const items = z.strictObject({ code: z.any() });
    const schema = z.strictObject({ list: listAtomic(z.array(items).max(2)).meta({ description: "D." }) });
    expect(problemsOf(schema)).toEqual(["list[].code: a CRD cannot express zod's 'any': say keepUnknown"]);
  });
});
