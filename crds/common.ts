import { z } from "zod";
import { compareQuantities, QUANTITY_NUMBER_MAX, QUANTITY_PATTERN } from "./quantity.ts";

/**
 * Longest name of a resource. Names of owned objects add up to 26 characters to it (`-migrate-` and 16 hex digits of a
 * Job, `-operator-tls`), and Services, Jobs and label values end at 63.
 */
export const RESOURCE_NAME_MAX_LENGTH = 36;

/** A rule that the API server checks in CEL. */
export interface Rule {
  /** CEL expression; one that names `oldSelf` is checked on updates only. */
  readonly rule: string;
  /** The sentence that the user reads when the rule refuses the object: what is wrong and what to do. */
  readonly message: string;
}

/** A rule on one value, in both languages, so that programs and the API server refuse the same objects. */
export interface ValueRule<T> extends Rule {
  /** The same rule for programs that parse with zod. */
  readonly check: (value: T) => boolean;
}

/** Adds rules on one value: zod's refinement for programs, CEL for the API server. */
export function withRules<S extends z.ZodType>(schema: S, rules: readonly ValueRule<z.output<S>>[]): S {
  let refined = schema;
  for (const { check, message } of rules) refined = refined.refine(check, { message });
  return withValidations(refined, rules);
}

/** Adds rules that compare with the stored object (`oldSelf`); only the API server can check them. */
export function withTransitions<S extends z.ZodType>(schema: S, rules: readonly Rule[]): S {
  return withValidations(schema, rules);
}

function withValidations<S extends z.ZodType>(schema: S, rules: readonly Rule[]): S {
  const before = (schema.meta()?.["x-kubernetes-validations"] ?? []) as readonly Rule[];
  const added = rules.map(({ rule, message }) => ({ rule, message }));
  return schema.meta({ ...schema.meta(), "x-kubernetes-validations": [...before, ...added] });
}

/** Adds that a value never changes after creation. The reference pages call the field immutable. */
export function immutable<S extends z.ZodType>(schema: S, message: string): S {
  return withTransitions(schema, [{ rule: IMMUTABLE_RULE, message }]);
}

/** The rule of `immutable`, on a field that is always there. */
export const IMMUTABLE_RULE = "self == oldSelf";

/** As `immutable`, for an optional field of an object: it can neither appear nor go away later. */
export function immutableOptional<S extends z.ZodObject>(
  object: S,
  field: keyof S["shape"] & string,
  message: string,
): S {
  return withTransitions(object, [{ rule: immutableOptionalRule(field), message }]);
}

/** The rule of `immutableOptional`; it stands at the object, because a rule of an absent field is never asked. */
export function immutableOptionalRule(field: string): string {
  return `has(self.${field}) == has(oldSelf.${field}) && (!has(self.${field}) || self.${field} == oldSelf.${field})`;
}

/**
 * Says that a list is a map in disguise: server-side apply merges its items by these fields, and no two items may have
 * the same ones.
 */
export function listMap<S extends z.ZodArray>(schema: S, keys: readonly string[]): S {
  const keyOf = (item: unknown): string => JSON.stringify(keys.map((key) => (item as Record<string, unknown>)[key]));
  return schema
    .refine((list) => new Set(list.map(keyOf)).size === list.length, {
      message: `must not have two items with the same ${keys.join(" and ")}`,
    })
    .meta({ ...schema.meta(), "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys });
}

/** Says that a list is a set of scalars: server-side apply merges it, and no value may appear twice. */
export function listSet<S extends z.ZodArray>(schema: S): S {
  return schema
    .refine((list) => new Set(list).size === list.length, { message: "must not have the same item twice" })
    .meta({ ...schema.meta(), "x-kubernetes-list-type": "set" });
}

/** Says that a list is one value: whoever applies it owns all of it. */
export function listAtomic<S extends z.ZodType>(schema: S): S {
  return schema.meta({ ...schema.meta(), "x-kubernetes-list-type": "atomic" });
}

/** Says that fields which the schema does not name are kept as they are, for parts that another program defines. */
export function keepUnknown<S extends z.ZodType>(schema: S): S {
  return schema.meta({ ...schema.meta(), "x-kubernetes-preserve-unknown-fields": true });
}

/**
 * A number without quotes is whole. The server alone would take 500000000.5: it calls a number whole when it is within a
 * billionth of one (`IsFloat64AJSONInteger` of go-openapi/swag), and only of fields that may be a text too, since CEL
 * refuses the others. 1e9 is whole, and stays allowed.
 */
const WHOLE_NUMBER: ValueRule<string | number> = {
  rule: "type(self) != double || double(int(self)) == self",
  message: "must be a whole number, or a text in quotes",
  check: (value) => typeof value === "string" || Number.isInteger(value),
};

/** A whole number or a text, for example `1` or `25%`. Both have their own bounds. */
export function intOrString(
  int: z.ZodInt | z.ZodNumber,
  text: z.ZodString,
): z.ZodUnion<readonly [z.ZodInt | z.ZodNumber, z.ZodString]> {
  return withRules(z.union([int, text]).meta({ "x-kubernetes-int-or-string": true }), [WHOLE_NUMBER]);
}

/** A Kubernetes quantity: a text such as `500m` or `10Gi`, or a whole number without quotes, as a Pod takes them. */
export function quantity(description: string): ReturnType<typeof intOrString> {
  const number = z.int().min(0).max(QUANTITY_NUMBER_MAX);
  return intOrString(number, z.string().max(20).regex(QUANTITY_PATTERN)).meta({
    description,
    "x-kubernetes-int-or-string": true,
  });
}

/** A DNS label, the form of the names of our resources. */
export function dnsLabel(description: string, maxLength: number): z.ZodString {
  return z
    .string()
    .min(1)
    .max(maxLength)
    .regex(/^[a-z]([-a-z0-9]*[a-z0-9])?$/)
    .meta({ description });
}

/** Rules on a resource as a whole: its name becomes part of DNS names, labels and database names. */
export const RESOURCE_RULES: readonly Rule[] = [
  {
    rule: `size(self.metadata.name) <= ${String(RESOURCE_NAME_MAX_LENGTH)}`,
    message: `metadata.name must have at most ${String(RESOURCE_NAME_MAX_LENGTH)} characters, because the names of Services and Jobs are built from it`,
  },
  {
    rule: "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
    message:
      "metadata.name must be a DNS label: lower-case letters, digits and '-', starting with a letter and ending with a letter or digit",
  },
];

type QuantitySchema = ReturnType<typeof quantity>;

const amounts = (
  what: string,
): z.ZodObject<
  { cpu: z.ZodExactOptional<QuantitySchema>; memory: z.ZodExactOptional<QuantitySchema> },
  z.core.$strict
> =>
  z.strictObject({
    cpu: quantity(`Processor time, in cores: "500m" is half a core. ${what}`).exactOptional(),
    memory: quantity(`Memory, in bytes: "512Mi". ${what}`).exactOptional(),
  });

/** `requests.x <= limits.x`, where both are set. */
function requestWithinLimit(resource: "cpu" | "memory"): ValueRule<z.output<typeof resourcesBase>> {
  const both = `has(self.requests) && has(self.limits) && has(self.requests.${resource}) && has(self.limits.${resource})`;
  return {
    rule: `!(${both}) || quantity(string(self.requests.${resource})).compareTo(quantity(string(self.limits.${resource}))) <= 0`,
    message: `requests.${resource} must not exceed limits.${resource}`,
    check: ({ requests, limits }) => {
      if (requests?.[resource] === undefined || limits?.[resource] === undefined) return true;
      return (compareQuantities(requests[resource], limits[resource]) ?? 0) <= 0;
    },
  };
}

const resourcesBase = z.strictObject({
  requests: amounts("The scheduler reserves this much.")
    .meta({ description: "What each container is guaranteed." })
    .exactOptional(),
  limits: amounts("The container is throttled (cpu) or restarted (memory) above this.")
    .meta({ description: "What each container may use at most." })
    .exactOptional(),
});

/** Requests and limits of the containers of a resource. */
export const resources = withRules(resourcesBase, [requestWithinLimit("cpu"), requestWithinLimit("memory")]);

/** A map of text with at most `max` entries: the bound keeps the rules over the map within the server's cost limit. */
export function textMap(value: z.ZodString, max: number): z.ZodRecord<z.ZodString, z.ZodString> {
  return z
    .record(z.string(), value)
    .refine((map) => Object.keys(map).length <= max, { message: `must have at most ${String(max)} entries` })
    .meta({ maxProperties: max });
}

/** What becomes of data, keys and passwords when the resource is deleted. */
export const deletionPolicy = z.enum(["Retain", "Delete"]);
export type DeletionPolicy = z.output<typeof deletionPolicy>;

/** Name of a Secret with a CA certificate. */
export const caSecret = z.string().max(253);

const condition = z.strictObject({
  type: z.string().max(316).meta({ description: "What the condition is about." }),
  status: z.enum(["True", "False", "Unknown"]).meta({ description: "Whether the condition holds." }),
  reason: z
    .string()
    .min(1)
    .max(1024)
    .regex(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/)
    .meta({ description: "Why, as one CamelCase word that programs may rely on." }),
  message: z.string().max(32_768).meta({ description: "Why, as a sentence with the numbers in it." }),
  observedGeneration: z.int().min(0).meta({ description: "Generation of the spec that the condition describes." }),
  lastTransitionTime: z.iso.datetime().meta({ description: "When the status of the condition last changed." }),
});

/** Standard conditions (meta/v1), one of each type. */
export const conditions = listMap(z.array(condition).max(32), ["type"]).meta({
  description: "What the controller last observed, one entry per condition type.",
});

/** Generation that the conditions describe. */
export const observedGeneration = z
  .int()
  .min(-1)
  .meta({ description: "Generation of the spec that the conditions describe; -1 until the first reconcile." });

/** Metadata of a resource as the server sends it. Structurally the ObjectMeta of the Kubernetes client. */
export interface ResourceMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: {
    apiVersion: string;
    kind: string;
    name: string;
    uid: string;
    controller?: boolean;
    blockOwnerDeletion?: boolean;
  }[];
  [member: string]: unknown;
}

/** An object of one of our kinds as the server sends it: defaults are filled in. */
export interface CustomResource<Spec, Status> {
  apiVersion: string;
  kind: string;
  metadata: ResourceMeta;
  spec: Spec;
  status?: Status;
  [member: string]: unknown;
}

/** Where a kind lives in the API. Structurally the ResourceType of the Kubernetes client. */
export interface CustomResourceType<T> {
  readonly group: string;
  readonly version: string;
  /** Both, as objects of the kind say it. */
  readonly apiVersion: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Only in the type system. */
  readonly shape?: T;
}
