import { z } from "zod";
import {
  type CustomResource,
  type CustomResourceType,
  conditions,
  dnsLabel,
  intOrString,
  keepUnknown,
  listAtomic,
  listMap,
  listSet,
  observedGeneration,
  quantity,
  textMap,
  withRules,
} from "../common.ts";
import type { KindDefinition } from "../kind.ts";

const part = z.strictObject({
  id: dnsLabel("Key of the part.", 9),
  size: z.int32().min(0).max(9).meta({ description: "A size." }).default(1),
  on: z.boolean().meta({ description: "A switch." }).exactOptional(),
});

/** Everything that a CRD of ours can say, at least once. */
export const tortureSpec = z.strictObject({
  // Texts.
  text: z.string().min(2).max(9).meta({ description: "A text." }),
  pattern: z
    .string()
    .max(12)
    .regex(/^[a-z]+(-[0-9]{1,3})?$/)
    .meta({ description: "A pattern." })
    .exactOptional(),
  exact: z.string().length(4).meta({ description: "A text of one length." }).exactOptional(),
  time: z.iso.datetime().meta({ description: "A time." }).exactOptional(),
  amount: quantity("A quantity.").exactOptional(),
  // Numbers.
  count: z.int().min(-5).max(5).meta({ description: "A number." }).default(3),
  open: z.int().gt(0).lt(100).multipleOf(5).meta({ description: "A number in steps." }).exactOptional(),
  large: z.int().meta({ description: "As large as numbers get." }).exactOptional(),
  small: z.int32().meta({ description: "As large as 32 bits." }).exactOptional(),
  // Choices.
  mode: z.enum(["Fast", "Slow"]).meta({ description: "A choice." }).default("Fast"),
  fixed: z.literal("Only").meta({ description: "One text." }).exactOptional(),
  level: z.literal([1, 2, 4]).meta({ description: "Some numbers." }).exactOptional(),
  yes: z.literal(true).meta({ description: "Nothing but true." }).exactOptional(),
  flag: z.boolean().meta({ description: "A switch." }).default(false),
  // What may be null.
  nullText: z.string().max(5).nullable().meta({ description: "A text or null." }).exactOptional(),
  nullPart: part.nullable().meta({ description: "A part or null." }).exactOptional(),
  // Lists and maps.
  parts: listMap(z.array(part).max(4), ["id"]).meta({ description: "Parts by id." }).default([]),
  tags: listSet(z.array(z.string().max(5)).max(4))
    .meta({ description: "Tags." })
    .exactOptional(),
  steps: listAtomic(z.array(z.int().min(0).max(9)).min(1).max(4))
    .meta({ description: "Steps." })
    .exactOptional(),
  labels: textMap(z.string().max(5), 3).meta({ description: "Labels." }).exactOptional(),
  // Objects.
  inner: z
    .strictObject({
      a: z.int32().meta({ description: "A." }).default(7),
      b: z.boolean().meta({ description: "B." }).default(true),
    })
    .meta({ description: "Defaults inside of a default." })
    .default({ a: 7, b: true }),
  frozen: part.readonly().meta({ description: "A part that programs do not change." }).exactOptional(),
  // What is not typed.
  share: intOrString(
    z.int().min(0).max(100),
    z
      .string()
      .max(4)
      .regex(/^[0-9]{1,3}%$/),
  )
    .meta({ description: "A number or a part of the whole.", "x-kubernetes-int-or-string": true })
    .exactOptional(),
  anything: keepUnknown(z.unknown().meta({ description: "Whatever." })).exactOptional(),
  extra: keepUnknown(
    z.looseObject({ known: z.string().max(5).meta({ description: "A field that is known." }).exactOptional() }),
  )
    .meta({ description: "Fields of another program." })
    .exactOptional(),
  // A rule in both languages.
  range: withRules(
    z.strictObject({
      low: z.int().min(0).max(9).meta({ description: "Lower end." }),
      high: z.int().min(0).max(9).meta({ description: "Upper end." }),
    }),
    [{ rule: "self.low <= self.high", message: "low must not exceed high", check: ({ low, high }) => low <= high }],
  )
    .meta({ description: "A range." })
    .exactOptional(),
});

type Torture = CustomResource<z.output<typeof tortureSpec>, Record<string, unknown>>;

/** Where the kind lives, for the time of a test. */
export const TORTURE: CustomResourceType<Torture> = {
  group: "shieldx.dev",
  version: "v1alpha1",
  apiVersion: "shieldx.dev/v1alpha1",
  plural: "tortures",
  kind: "Torture",
  namespaced: true,
};

/** A kind that no product has, made of every construct that the printer knows. */
export const TORTURE_KIND: KindDefinition = {
  type: TORTURE,
  shortName: "tort",
  description: "Torture holds every construct that a CRD of ours can be made of.",
  spec: tortureSpec,
  status: z.strictObject({ observedGeneration, conditions: conditions.exactOptional() }),
  rules: [],
  columns: [],
  selectableFields: [".spec.mode", ".spec.count", ".spec.flag"],
  conditions: {},
  reasons: {},
};
