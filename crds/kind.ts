import type { z } from "zod";
import { type CustomResourceType, RESOURCE_RULES, type Rule } from "./common.ts";

/** A column of `kubectl get`. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: "string" | "integer" | "date";
  readonly jsonPath: string;
  readonly description: string;
  /** 1 shows the column with `-o wide` only. */
  readonly priority?: 1;
}

/** Everything that the API server and the reference pages say about a kind. */
export interface KindDefinition {
  readonly type: CustomResourceType<unknown>;
  readonly shortName: string;
  readonly description: string;
  readonly spec: z.ZodType;
  readonly status: z.ZodType;
  readonly rules: readonly Rule[];
  readonly columns: readonly PrinterColumn[];
  /** Field paths that `--field-selector` understands. */
  readonly selectableFields: readonly string[];
  /** Paths of the scale subresource. */
  readonly scale?: {
    readonly specReplicasPath: string;
    readonly statusReplicasPath: string;
    readonly labelSelectorPath: string;
  };
  readonly conditions: Readonly<Record<string, string>>;
  readonly reasons: Readonly<Record<string, string>>;
}

const READY = '.status.conditions[?(@.type=="Ready")]';

const READY_COLUMNS: readonly PrinterColumn[] = [
  {
    name: "Ready",
    type: "string",
    jsonPath: `${READY}.status`,
    description: "Whether the resource is as its spec asks.",
  },
  { name: "Reason", type: "string", jsonPath: `${READY}.reason`, description: "Why it is ready or not." },
];

const LAST_COLUMNS: readonly PrinterColumn[] = [
  { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp", description: "Time since its creation." },
  {
    name: "Message",
    type: "string",
    jsonPath: `${READY}.message`,
    description: "The reason as a sentence.",
    priority: 1,
  },
];

/** What a kind says for itself; the rest is the same for all. */
export type OwnDefinition = Omit<KindDefinition, "rules" | "selectableFields"> &
  Partial<Pick<KindDefinition, "selectableFields">> & {
    /** Rules over the whole resource, beside those on its name. */
    readonly ownRules?: readonly Rule[];
  };

/** A kind of this API: with the rules on its name, and the columns that every kind begins and ends with. */
export function defineKind({ ownRules = [], ...own }: OwnDefinition): KindDefinition {
  return {
    selectableFields: [],
    ...own,
    rules: [...RESOURCE_RULES, ...ownRules],
    columns: [...READY_COLUMNS, ...own.columns, ...LAST_COLUMNS],
  };
}
