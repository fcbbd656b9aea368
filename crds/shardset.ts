import { z } from "zod";
import {
  type CustomResource,
  type CustomResourceType,
  caSecret,
  conditions,
  deletionPolicy,
  listMap,
  observedGeneration,
  quantity,
  type Rule,
  resources,
  textMap,
  withRules,
  withTransitions,
} from "./common.ts";
import { SHARD_SET_CONDITIONS, SHARD_SET_REASONS } from "./conditions.ts";
import { API_VERSION, GROUP, VERSION } from "./group.ts";
import { defineKind } from "./kind.ts";
import { networkPolicy } from "./network.ts";
import {
  ALLOWED_PARAMETERS,
  AMOUNTS,
  FORBIDDEN_PARAMETER_PREFIXES,
  FORBIDDEN_PARAMETERS,
  isForbiddenParameter,
} from "./postgres-parameters.ts";
import { compareQuantities } from "./quantity.ts";
import { imagePullSecrets, scheduling } from "./scheduling.ts";

/** Most shards of one ShardSet: 64 of 4,096 buckets each, and what one controller was sized for. */
export const SHARDS_MAX = 64;

/** Smallest volume: an empty PostgreSQL data directory with its write-ahead log takes about 120 MiB. */
export const STORAGE_SIZE_MIN = "256Mi";

/** Most parameters that a ShardSet may set: bounds the cost of the rules over their names. */
const PARAMETERS_MAX = 64;

/** Longest value of a parameter. */
const PARAMETER_VALUE_MAX_LENGTH = 256;

const PARAMETER_NAME = /^[a-z][a-z0-9_]{0,62}(\.[a-z][a-z0-9_]{0,62})?$/;

const storage = z.strictObject({
  size: withRules(
    quantity("Size of the volume of each shard. It may grow later, never shrink once a shard has its volume."),
    [
      {
        rule: `!isQuantity(string(self)) || quantity(string(self)).compareTo(quantity('${STORAGE_SIZE_MIN}')) >= 0`,
        message: `storage.size must be at least ${STORAGE_SIZE_MIN}`,
        check: (size) => (compareQuantities(size, STORAGE_SIZE_MIN) ?? 0) >= 0,
      },
    ],
  ).default("1Gi"),
  storageClassName: z
    .string()
    .min(1)
    .max(253)
    .meta({
      description:
        "StorageClass of the volumes; empty takes the cluster's default class. A wrong one can be corrected until the first shard has its volume; from then on it cannot change, because a volume stays in its class.",
    })
    .exactOptional(),
});

/** Rules that hold from the first volume on; before it, whatever was asked for by mistake can be asked for otherwise. */
const VOLUME_RULES: readonly Rule[] = [
  afterFirstVolume(
    "has(self.spec.storage.storageClassName) == has(oldSelf.spec.storage.storageClassName) && (!has(self.spec.storage.storageClassName) || self.spec.storage.storageClassName == oldSelf.spec.storage.storageClassName)",
    "storage.storageClassName is immutable once a shard has its volume: create a new ShardSet to change the class",
  ),
  afterFirstVolume(
    "!isQuantity(string(self.spec.storage.size)) || !isQuantity(string(oldSelf.spec.storage.size)) || quantity(string(self.spec.storage.size)).compareTo(quantity(string(oldSelf.spec.storage.size))) >= 0",
    "storage.size must not shrink: a volume cannot be made smaller",
  ),
];

/** ShardSets of earlier versions have no `volumesBound`, but were ready. */
function afterFirstVolume(rule: string, message: string): Rule {
  const says = (field: string): string => `has(oldSelf.status.${field}) && oldSelf.status.${field}`;
  const hasVolume = `has(oldSelf.status) && ((${says("volumesBound")}) || (${says("initialized")}))`;
  return { rule: `!(${hasVolume}) || (${rule})`, message };
}

function celList(names: readonly string[]): string {
  return `[${names.map((name) => `'${name}'`).join(", ")}]`;
}

const parameters = withRules(
  textMap(
    z
      .string()
      .max(PARAMETER_VALUE_MAX_LENGTH)
      .regex(/^[^\x00-\x1f\x7f]*$/),
    PARAMETERS_MAX,
  ),
  [
    {
      rule: `self.all(name, name.matches('${PARAMETER_NAME.source.replaceAll("\\", "\\\\")}'))`,
      message: "postgres.parameters must be named like 'work_mem' or 'extension.setting', in lower case",
      check: (map) => Object.keys(map).every((name) => PARAMETER_NAME.test(name)),
    },
    {
      rule: [
        `self.all(name, name in ${celList(ALLOWED_PARAMETERS)} || (!(name in ${celList(FORBIDDEN_PARAMETERS)})`,
        ...FORBIDDEN_PARAMETER_PREFIXES.map((prefix) => `!name.startsWith('${prefix}')`),
      ]
        .join(" && ")
        .concat("))"),
      message:
        "postgres.parameters must not set what the shard agent owns: addresses, files, TLS, authentication, durability, replication, archiving, libraries and what the log holds",
      check: (map) => !Object.keys(map).some(isForbiddenParameter),
    },
    ...AMOUNTS.map(({ units, pattern, names }) => ({
      rule: `self.all(name, !(name in [${names.map((name) => `'${name}'`).join(", ")}]) || self[name].matches('${pattern.source}'))`,
      message: `postgres.parameters such as ${names.slice(-1).join()} must be numbers with a unit, ${units}; capital letters count`,
      check: (map: Readonly<Record<string, string>>) =>
        names.every((name) => map[name] === undefined || pattern.test(map[name])),
    })),
    {
      rule: "!('huge_pages' in self) || self['huge_pages'] != 'on'",
      message: "postgres.parameters must not set huge_pages to 'on': the pods of shards cannot ask for huge pages",
      check: (map) => map["huge_pages"] !== "on",
    },
  ],
).meta({
  description:
    "PostgreSQL settings by name, for example work_mem: 16MB; put numbers and on/off in quotes. Settings that the shard agent owns (addresses, files, TLS, durability, replication, archiving, what the log holds) are refused. Sizes of memory and write-ahead log follow from the container's memory limit and the volume unless they are set.",
});

/** `spec` of a ShardSet, after defaulting. */
export const shardSetSpec = z.strictObject({
  shards: withTransitions(
    z.int().min(1).max(SHARDS_MAX).meta({
      description:
        "Number of shards. Each is a PostgreSQL server of its own with its own volume. It may grow; a new shard owns no data until moving data is available, and condition Balanced says so.",
    }),
    [
      {
        rule: "self >= oldSelf",
        message: "shards may only grow: moving data away from a shard is not available yet",
      },
    ],
  ),
  instancesPerShard: withRules(
    z.int().min(1).max(5).meta({
      description:
        "PostgreSQL instances of each shard. Only 1 is accepted today: replicas and failover are not available yet.",
    }),
    [
      {
        rule: "self == 1",
        message: "instancesPerShard must be 1: replicas and failover are not available yet",
        check: (instances) => instances === 1,
      },
    ],
  ).default(1),
  storage: storage.meta({ description: "Volume of each shard." }).default({ size: "1Gi" }),
  postgres: z
    .strictObject({ parameters: parameters.default({}) })
    .meta({ description: "Settings of PostgreSQL." })
    .default({ parameters: {} }),
  resources: resources
    .meta({ description: "Processor and memory of each PostgreSQL pod." })
    .default({ requests: { cpu: "100m", memory: "256Mi" } }),
  scheduling: scheduling
    .meta({
      description:
        "Where the PostgreSQL pods run. A change replaces them, one shard at a time, since a pod is never moved.",
    })
    .default({}),
  imagePullSecrets: imagePullSecrets
    .meta({
      description:
        "Secrets of this namespace with which the image of the PostgreSQL pods is pulled. A change replaces no pod that runs.",
    })
    .exactOptional(),
  networkPolicy: networkPolicy("PostgreSQL (port 5432); CreditLedgers of this ShardSet always may")
    .meta({ description: "Traffic of the PostgreSQL pods." })
    .exactOptional(),
  deletionPolicy: deletionPolicy
    .meta({
      description:
        "What becomes of volumes, certificate authority and shard map when the ShardSet is deleted. Retain keeps them, and a ShardSet of the same name takes them over; Delete removes them for good.",
    })
    .default("Retain"),
});

const shardStatus = z.strictObject({
  shard: z
    .int()
    .min(0)
    .max(SHARDS_MAX - 1)
    .meta({ description: "Index of the shard, from 0." }),
  ready: z.boolean().meta({ description: "Whether the primary accepts writes." }),
  primary: z.string().max(253).meta({ description: "Pod that runs the primary." }).exactOptional(),
  bucketCount: z.int().min(0).max(4096).meta({ description: "Buckets of the shard map that the shard owns, of 4096." }),
  epoch: z
    .int()
    .min(0)
    .meta({ description: "Transitions of the shard's Lease: rises each time that another pod takes over the primary." })
    .exactOptional(),
  postgresVersion: z.string().max(64).meta({ description: "Version that the primary reports." }).exactOptional(),
  systemIdentifier: z
    .string()
    .max(20)
    .regex(/^[0-9]+$/)
    .meta({ description: "PostgreSQL's identifier of the shard's data, as recorded in ConfigMap <name>-map." })
    .exactOptional(),
  message: z.string().max(1024).meta({ description: "Why the shard is not ready, with the numbers." }).exactOptional(),
});
export type ShardStatus = z.output<typeof shardStatus>;

/** Most databases of one ShardSet: the requests of all of them share one Secret of at most 1 MiB. */
export const DATABASES_MAX = 256;

const databaseStatus = z.strictObject({
  name: z.string().max(63).meta({ description: "Name of the database." }),
  requestHash: z.string().max(64).meta({ description: "Hash of the request that the numbers are about." }),
  shardsReady: z
    .int()
    .min(0)
    .max(SHARDS_MAX)
    .meta({ description: "Shards that have carried out the request with this hash." }),
});
export type DatabaseStatus = z.output<typeof databaseStatus>;

/** `status` of a ShardSet. */
export const shardSetStatus = z.strictObject({
  observedGeneration,
  conditions: conditions.exactOptional(),
  shards: z.int().min(0).max(SHARDS_MAX).meta({ description: "Shards that exist." }).exactOptional(),
  shardsReady: z
    .int()
    .min(0)
    .max(SHARDS_MAX)
    .meta({ description: "Shards whose primary accepts writes." })
    .exactOptional(),
  labelSelector: z
    .string()
    .max(1024)
    .meta({ description: "Selector of the pods, for the scale subresource." })
    .exactOptional(),
  map: z
    .strictObject({
      version: z.int().min(1).meta({ description: "Rises by one with each change of ownership." }),
      epoch: z.int().min(1).meta({ description: "Rises when the map was made anew after its loss." }),
    })
    .meta({ description: "Shard map that is published in ConfigMap <name>-map." })
    .exactOptional(),
  shardStatuses: listMap(z.array(shardStatus).max(SHARDS_MAX), ["shard"])
    .meta({ description: "Each shard by itself." })
    .exactOptional(),
  caSecret: caSecret
    .meta({
      description:
        "Secret whose ca.crt the certificates of the shards are signed with: <name>-ca, or <name>-ca-shardset where a CreditLedger of the same name was first.",
    })
    .exactOptional(),
  initialized: z
    .boolean()
    .meta({ description: "Every shard has been ready at some time: what is not ready now was there before." })
    .exactOptional(),
  volumesBound: z
    .boolean()
    .meta({ description: "A shard has got its volume: class and size of the volumes are fixed by what exists." })
    .exactOptional(),
  databases: listMap(z.array(databaseStatus).max(DATABASES_MAX), ["name"])
    .meta({ description: "Databases that were requested, and on how many shards each request is carried out." })
    .exactOptional(),
});

export type ShardSetSpec = z.output<typeof shardSetSpec>;
export type ShardSetStatus = z.output<typeof shardSetStatus>;
/** A ShardSet as the server sends it. */
export type ShardSet = CustomResource<ShardSetSpec, ShardSetStatus>;

/** Where ShardSets live in the API. */
export const SHARD_SET: CustomResourceType<ShardSet> = {
  group: GROUP,
  version: VERSION,
  apiVersion: API_VERSION,
  plural: "shardsets",
  kind: "ShardSet",
  namespaced: true,
};

/** What the API server and the reference pages say about ShardSets. */
export const SHARD_SET_KIND = defineKind({
  type: SHARD_SET,
  shortName: "shset",
  description:
    "ShardSet is a sharded PostgreSQL: each shard is a server of its own with its own volume, and a map of 4,096 buckets says which shard holds which key.",
  spec: shardSetSpec,
  status: shardSetStatus,
  ownRules: VOLUME_RULES,
  columns: [
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
  ],
  scale: {
    specReplicasPath: ".spec.shards",
    statusReplicasPath: ".status.shards",
    labelSelectorPath: ".status.labelSelector",
  },
  conditions: SHARD_SET_CONDITIONS,
  reasons: SHARD_SET_REASONS,
});
