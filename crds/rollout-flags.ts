/** Feature flags that a release raises with its stages, and what is remembered of them. */
import { z } from "zod";
import { listMap, withRules } from "./common.ts";
import { WHOLE_BPS } from "./rollout-ladder.ts";

/** Most flags of a Rollout. */
const FLAGS_MAX = 16;

const key = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/);
const variant = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/);
const value = z.string().max(256);

const itemShape = z.strictObject({
  key: key.meta({ description: "Key of the flag, by which the application asks for it." }),
  // YAML takes a bare on or off for true and false, so no field is called so.
  onVariant: variant
    .meta({
      description: "Variant of the contexts for which the flag is raised; its value is true unless onValue is told.",
    })
    .default("on"),
  offVariant: variant
    .meta({ description: "Variant of all other contexts; its value is false unless offValue is told." })
    .default("off"),
  onValue: value
    .meta({ description: "Text that onVariant stands for. Without it the flag is a boolean one." })
    .exactOptional(),
  offValue: value.meta({ description: "Text that offVariant stands for." }).exactOptional(),
  bucketBy: z
    .string()
    .min(1)
    .max(63)
    .regex(/^[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)*$/)
    .meta({
      description:
        "Property of the evaluation context that decides for whom the flag is raised, for example tenant: the targeting key unless told. Contexts without it get offVariant below 100 %.",
    })
    .exactOptional(),
});
export type RolloutFlag = z.output<typeof itemShape>;

const item = withRules(itemShape, [
  {
    rule: "self.onVariant != self.offVariant",
    message: "onVariant and offVariant must differ",
    check: ({ onVariant, offVariant }) => onVariant !== offVariant,
  },
  {
    rule: "has(self.onValue) == has(self.offValue)",
    message: "onValue and offValue go together",
    check: ({ onValue, offValue }) => (onValue === undefined) === (offValue === undefined),
  },
]);

/** `spec.flags` of a Rollout. */
export const rolloutFlags = z.strictObject({
  items: listMap(z.array(item).min(1).max(FLAGS_MAX), ["key"]).meta({
    description:
      "Flags that the first release after they are listed raises with its stages, from 0. What a promoted release has raised stays until the item is removed.",
  }),
});

const raised = z.strictObject({
  key: key.meta({ description: "The flag." }),
  revision: z.string().max(63).meta({ description: "Revision whose release has raised it." }),
  bps: z
    .int()
    .min(0)
    .max(WHOLE_BPS)
    .meta({ description: "Share of the contexts for which it is on, in hundredths of a percent." }),
  state: z.enum(["Rising", "Settled"]).meta({
    description: "Rising: with the release under way, and back to 0 with it. Settled: that release was promoted.",
  }),
});
export type RaisedFlag = z.output<typeof raised>;

/** `status.flags` of a Rollout. */
export const raisedFlags = listMap(z.array(raised).max(FLAGS_MAX), ["key"]);

/** The same as JSON, as an object remembers it. @returns none where it is anything else */
export function parseRaisedFlags(text = "[]"): readonly RaisedFlag[] {
  try {
    return raisedFlags.safeParse(JSON.parse(text)).data ?? [];
  } catch {
    return [];
  }
}
