// The pass from zod to a structural schema: what it prints, and that it refuses what a CRD cannot say.
import { describe, expect, test } from "@jest/globals";
import { z } from "zod";
import { listAtomic, listMap, textMap, withRules, withTransitions } from "./common.ts";
import { StructuralError, structural } from "./structural.ts";

const text = z.string().max(9).meta({ description: "Some text." });

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
          at: { description: "A time.", type: "string", format: "date-time" },
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
    const schema = withTransitions(withRules(z.int().min(0).max(9), [even]), [
      { rule: "self >= oldSelf", message: "it grows" },
    ]);
    expect(structural(schema)["x-kubernetes-validations"]).toEqual([
      { rule: even.rule, message: even.message },
      { rule: "self >= oldSelf", message: "it grows" },
    ]);
    expect(schema.safeParse(3).success).toBe(false);
    expect(schema.safeParse(4).success).toBe(true);
  });
});

describe("what is refused, with its place", () => {
  const cases: readonly { name: string; field: z.ZodType; problem: string }[] = [
    { name: "a union", field: z.union([text, z.int()]), problem: "f: a CRD cannot express zod's 'union'" },
    { name: "a tuple", field: z.tuple([text]), problem: "f: a CRD cannot express zod's 'tuple'" },
    { name: "anything", field: z.any(), problem: "f: a CRD cannot express zod's 'any'" },
    { name: "null", field: z.null(), problem: "f: a CRD cannot express zod's 'null'" },
    { name: "a date", field: z.date(), problem: "f: a CRD cannot express zod's 'date'" },
    { name: "a bigint", field: z.bigint(), problem: "f: a CRD cannot express zod's 'bigint'" },
    {
      name: "a transform",
      field: text.transform((value) => value.length),
      problem: "f: a CRD cannot express zod's 'pipe'",
    },
    { name: "catch", field: text.catch("x"), problem: "f: a CRD cannot express zod's 'catch'" },
    { name: "prefault", field: text.prefault("x"), problem: "f: a CRD cannot express zod's 'prefault'" },
    { name: "lazy", field: z.lazy(() => text), problem: "f: a CRD cannot express zod's 'lazy'" },
    { name: "trim", field: z.string().max(3).trim(), problem: "f: a CRD cannot express zod's check 'overwrite'" },
    {
      name: "an e-mail address",
      field: z.email().max(3),
      problem: "f: a CRD cannot express the string format 'email'",
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
      problem: "f: the keys of a record must be plain strings; check them by a rule",
    },
    {
      name: "a loose object",
      field: z.looseObject({ a: text }).meta({ description: "D." }),
      problem: "f: a CRD cannot have both properties and additional properties",
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
      problem: "f: a list needs listMap or listAtomic",
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
    expect(problemsOf(schema)).toEqual(["list[].code: a CRD cannot express zod's 'any'"]);
  });
});
