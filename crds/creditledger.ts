import { z } from "zod";
import {
  type CustomResource,
  type CustomResourceType,
  caSecret,
  conditions,
  deletionPolicy,
  dnsLabel,
  immutable,
  listMap,
  observedGeneration,
  RESOURCE_NAME_MAX_LENGTH,
  resources,
  withRules,
  withTransitions,
} from "./common.ts";
import { CREDIT_LEDGER_CONDITIONS, CREDIT_LEDGER_REASONS } from "./conditions.ts";
import { API_VERSION, GROUP, VERSION } from "./group.ts";
import { defineKind } from "./kind.ts";
import { networkPolicy } from "./network.ts";
import { imagePullSecrets, scheduling } from "./scheduling.ts";
import { SHARDS_MAX } from "./shardset.ts";

/** Most assets of one ledger: each has its own system account on every shard. */
export const ASSETS_MAX = 32;

const asset = z.strictObject({
  code: z
    .string()
    .min(2)
    .max(16)
    .regex(/^[A-Z][A-Z0-9_]{1,15}$/)
    .meta({ description: "Name of the asset, for example CZK or LOYALTY_POINTS." }),
  scale: immutable(
    z.int().min(0).max(9).meta({
      description:
        "Decimal places of the asset: with scale 2, amount 150 is 1.50. It cannot change, because amounts are stored in whole minor units.",
    }),
    "the scale of an asset is immutable: amounts are stored in its minor units",
  ),
});
export type Asset = z.output<typeof asset>;

const assets = withTransitions(
  withRules(listMap(z.array(asset).min(1).max(ASSETS_MAX), ["code"]), [
    {
      rule: "self.all(a, self.exists_one(b, b.code == a.code))",
      message: "each asset code may appear once only",
      check: (list) => new Set(list.map(({ code }) => code)).size === list.length,
    },
  ]),
  [
    {
      rule: "oldSelf.all(before, self.exists(now, now.code == before.code))",
      message: "an asset may not be removed: accounts may hold it",
    },
  ],
).meta({ description: "Assets that the ledger keeps. More may be added later; none may be removed." });

/** `spec` of a CreditLedger, after defaulting. */
export const creditLedgerSpec = z.strictObject({
  shardSet: immutable(
    dnsLabel(
      "Name of the ShardSet in the same namespace that stores the ledger. It cannot change: a ledger does not move between ShardSets.",
      RESOURCE_NAME_MAX_LENGTH,
    ),
    "shardSet is immutable: create a new CreditLedger and import into it",
  ),
  assets,
  replicas: z
    .int()
    .min(1)
    .max(5)
    .meta({
      description:
        "Pods that serve the HTTP API. Each shard has one writer among them; with 2 or more, another pod takes over when one is lost.",
    })
    .default(2),
  snapshotEveryEvents: z
    .int()
    .min(10)
    .max(100_000)
    .meta({
      description:
        "Events of an account between two snapshots of its balance. Fewer make reads of past positions faster and the database larger.",
    })
    .default(100),
  resources: resources
    .meta({ description: "Processor and memory of each ledger pod." })
    .default({ requests: { cpu: "100m", memory: "256Mi" }, limits: { memory: "1Gi" } }),
  scheduling: scheduling
    .meta({ description: "Where the ledger pods run. A change replaces them, one at a time." })
    .default({}),
  imagePullSecrets: imagePullSecrets
    .meta({
      description:
        "Secrets of this namespace with which the image of the ledger pods is pulled. A change replaces them, one at a time.",
    })
    .exactOptional(),
  networkPolicy: networkPolicy("the HTTP API (port 8443 of the pods)")
    .meta({ description: "Traffic of the ledger pods." })
    .exactOptional(),
  deletionPolicy: deletionPolicy
    .meta({
      description:
        "What becomes of databases, keys and passwords when the CreditLedger is deleted. Retain keeps them, and a CreditLedger of the same name takes them over; Delete drops the databases and removes the keys for good.",
    })
    .default("Retain"),
});

const head = z.strictObject({
  shard: z
    .int()
    .min(0)
    .max(SHARDS_MAX - 1)
    .meta({ description: "Index of the shard, from 0." }),
  position: z
    .int()
    .min(0)
    .meta({ description: "Position of the last event in the shard's journal; refreshed at most every 10 seconds." })
    .exactOptional(),
  systemIdentifier: z
    .string()
    .max(20)
    .regex(/^[0-9]+$/)
    .meta({ description: "PostgreSQL's identifier of the cluster that holds the journal." })
    .exactOptional(),
  epoch: z
    .int()
    .min(0)
    .meta({ description: "Epoch of the writer: rises each time that another pod takes over." })
    .exactOptional(),
  writer: z
    .string()
    .max(253)
    .meta({ description: "Pod that writes the shard; empty while nobody does." })
    .exactOptional(),
});
export type LedgerHead = z.output<typeof head>;

/** `status` of a CreditLedger. */
export const creditLedgerStatus = z.strictObject({
  observedGeneration,
  conditions: conditions.exactOptional(),
  url: z
    .string()
    .max(512)
    .meta({
      description:
        "Address of the HTTP API inside the cluster. The Secret in caSecret holds the CA certificate, Secret <name>-admin-key an API key.",
    })
    .exactOptional(),
  caSecret: caSecret
    .meta({
      description:
        "Secret whose ca.crt clients of the HTTP API trust: <name>-ca, or <name>-ca-ledger beside a ShardSet of the same name.",
    })
    .exactOptional(),
  shards: z
    .int()
    .min(0)
    .max(SHARDS_MAX)
    .meta({ description: "Shards of the ShardSet that the ledger writes to." })
    .exactOptional(),
  writersReady: z.int().min(0).max(SHARDS_MAX).meta({ description: "Shards that have a writer." }).exactOptional(),
  replicasReady: z.int().min(0).max(5).meta({ description: "Ledger pods that are ready." }).exactOptional(),
  schemaVersion: z
    .int()
    .min(0)
    .meta({ description: "Number of the last migration that every shard's database has." })
    .exactOptional(),
  heads: listMap(z.array(head).max(SHARDS_MAX), ["shard"])
    .meta({ description: "Journal and writer of each shard." })
    .exactOptional(),
});

export type CreditLedgerSpec = z.output<typeof creditLedgerSpec>;
export type CreditLedgerStatus = z.output<typeof creditLedgerStatus>;
/** A CreditLedger as the server sends it. */
export type CreditLedger = CustomResource<CreditLedgerSpec, CreditLedgerStatus>;

/** Where CreditLedgers live in the API. */
export const CREDIT_LEDGER: CustomResourceType<CreditLedger> = {
  group: GROUP,
  version: VERSION,
  apiVersion: API_VERSION,
  plural: "creditledgers",
  kind: "CreditLedger",
  namespaced: true,
};

/** What the API server and the reference pages say about CreditLedgers. */
export const CREDIT_LEDGER_KIND = defineKind({
  type: CREDIT_LEDGER,
  shortName: "cledger",
  description:
    "CreditLedger is an event-sourced ledger of credits on a ShardSet: balances never break their limit, every request counts exactly once, and every past balance can be replayed.",
  spec: creditLedgerSpec,
  status: creditLedgerStatus,
  columns: [
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
  ],
  selectableFields: [".spec.shardSet"],
  conditions: CREDIT_LEDGER_CONDITIONS,
  reasons: CREDIT_LEDGER_REASONS,
});
