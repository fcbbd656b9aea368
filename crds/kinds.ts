import type { z } from "zod";
import { type CustomResourceType, RESOURCE_RULES, type Rule } from "./common.ts";
import {
  CREDIT_LEDGER_CONDITIONS,
  CREDIT_LEDGER_REASONS,
  SHARD_SET_CONDITIONS,
  SHARD_SET_REASONS,
} from "./conditions.ts";
import { CREDIT_LEDGER, creditLedgerSpec, creditLedgerStatus } from "./creditledger.ts";
import { SHARD_SET, shardSetSpec, shardSetStatus } from "./shardset.ts";

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

/** All kinds of the API, in the order of the reference pages. */
export const KINDS: readonly KindDefinition[] = [
  {
    type: SHARD_SET,
    shortName: "shset",
    description:
      "ShardSet is a sharded PostgreSQL: each shard is a server of its own with its own volume, and a map of 4,096 buckets says which shard holds which key.",
    spec: shardSetSpec,
    status: shardSetStatus,
    rules: RESOURCE_RULES,
    columns: [
      ...READY_COLUMNS,
      { name: "Shards", type: "integer", jsonPath: ".spec.shards", description: "Shards that the spec asks for." },
      {
        name: "Shards Ready",
        type: "integer",
        jsonPath: ".status.shardsReady",
        description: "Shards whose primary accepts writes.",
      },
      { name: "Map", type: "integer", jsonPath: ".status.map.version", description: "Version of the shard map." },
      {
        name: "Balanced",
        type: "string",
        jsonPath: '.status.conditions[?(@.type=="Balanced")].status',
        description: "Whether every shard owns buckets.",
        priority: 1,
      },
      {
        name: "Storage",
        type: "string",
        jsonPath: ".spec.storage.size",
        description: "Size of the volume of each shard.",
        priority: 1,
      },
      ...LAST_COLUMNS,
    ],
    selectableFields: [],
    scale: {
      specReplicasPath: ".spec.shards",
      statusReplicasPath: ".status.shards",
      labelSelectorPath: ".status.labelSelector",
    },
    conditions: SHARD_SET_CONDITIONS,
    reasons: SHARD_SET_REASONS,
  },
  {
    type: CREDIT_LEDGER,
    shortName: "cledger",
    description:
      "CreditLedger is an event-sourced ledger of credits on a ShardSet: balances never break their limit, every request counts exactly once, and every past balance can be replayed.",
    spec: creditLedgerSpec,
    status: creditLedgerStatus,
    rules: RESOURCE_RULES,
    columns: [
      ...READY_COLUMNS,
      { name: "ShardSet", type: "string", jsonPath: ".spec.shardSet", description: "ShardSet that stores the ledger." },
      { name: "Shards", type: "integer", jsonPath: ".status.shards", description: "Shards that the ledger writes to." },
      {
        name: "Writers",
        type: "integer",
        jsonPath: ".status.writersReady",
        description: "Shards that have a writer.",
      },
      { name: "Pods", type: "integer", jsonPath: ".status.replicasReady", description: "Ledger pods that are ready." },
      {
        name: "Schema",
        type: "integer",
        jsonPath: ".status.schemaVersion",
        description: "Number of the last migration.",
        priority: 1,
      },
      { name: "URL", type: "string", jsonPath: ".status.url", description: "Address of the HTTP API.", priority: 1 },
      ...LAST_COLUMNS,
    ],
    selectableFields: [".spec.shardSet"],
    conditions: CREDIT_LEDGER_CONDITIONS,
    reasons: CREDIT_LEDGER_REASONS,
  },
];
