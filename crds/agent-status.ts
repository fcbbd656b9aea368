import { z } from "zod";

/** CN of the one client certificate that agents answer. */
export const OPERATOR_COMMON_NAME = "shieldx-operator";

/** Port of the agent's HTTPS server: `/status` and `/metrics`, with a client certificate. */
export const AGENT_PORT = 8443;

/** Port of the agent's plain HTTP server: `/healthz` and `/readyz`. */
export const AGENT_PROBE_PORT = 8080;

/** Port of plain HTTP `/metrics` alone, on the pods of both kinds; PostgreSQL's exporters listen there. */
export const METRICS_PORT = 9187;

/** Port of PostgreSQL. */
export const POSTGRES_PORT = 5432;

/** Why a shard is, or is not, ready. */
export const AGENT_REASONS = [
  /** The agent has begun and done nothing yet. */
  "Starting",
  /** Another pod holds the shard's Lease, or the Kubernetes API does not answer: PostgreSQL must not start. */
  "WaitingForLease",
  /** The data directory is being made or checked. */
  "PreparingData",
  /** The shard has had data, or it is not known that it never had any, and the volume holds none; nothing was made. */
  "DataLost",
  /** The data on the volume is not this shard's, or of another major version; nothing was changed. */
  "DataRefused",
  /** The settings of the spec cannot be used. */
  "ConfigInvalid",
  /** PostgreSQL starts, recovers its log, or does not answer. */
  "PostgresStarting",
  /** PostgreSQL runs, but does not answer: its first process, or the processes of its connections, hang or are stopped. */
  "PostgresUnresponsive",
  /** PostgreSQL ends right after its start. */
  "PostgresFailed",
  /** The volume is full: PostgreSQL answers reads and refuses writes until there is room. */
  "DiskFull",
  /** A small write to the volume fails or does not end: read-only, broken or hanging. */
  "VolumeUnwritable",
  /** PostgreSQL accepts writes. */
  "Ready",
  /** The Lease went to another pod: PostgreSQL is stopped. */
  "LeaseLost",
  /** The pod is ending. */
  "Stopping",
] as const;
export type AgentReason = (typeof AGENT_REASONS)[number];

/** How full a volume is: `low` is told, `full` and `unwritable` take no writes. */
export const AGENT_DISK_LEVELS = ["enough", "low", "full", "unwritable"] as const;
export type AgentDiskLevel = (typeof AGENT_DISK_LEVELS)[number];

const agentDisk = z.object({
  /** One of the levels above; text for the same cause as reasons. */
  level: z.string(),
  /** With numbers, and what to do. */
  message: z.string(),
  totalBytes: z.number().min(0),
  freeBytes: z.number().min(0),
});

const agentDatabase = z.object({
  database: z.string(),
  /** The request of this hash is carried out: made, or for `drop` gone. */
  ready: z.boolean(),
  requestHash: z.string(),
  /** Why it is not, without secrets. */
  message: z.string().exactOptional(),
});

/**
 * Answer of `GET /status`. Unknown members are let through: agent and controller are updated one after the other.
 * Reasons are text for the same cause.
 */
export const agentStatus = z.object({
  shardSet: z.string(),
  shard: z.int().min(0),
  instance: z.int().min(0),
  role: z.enum(["primary", "replica"]),
  ready: z.boolean(),
  reason: z.string(),
  message: z.string(),
  systemIdentifier: z.string().exactOptional(),
  /** With `DataLost` and `DataRefused`: identifier of the data that ought to be there, where it is known. */
  expectedIdentifier: z.string().exactOptional(),
  /** Transitions of the shard's Lease when this agent took it. */
  epoch: z.int().min(0).exactOptional(),
  postgresVersion: z.string().exactOptional(),
  /** Version of the map that every requested database has; 0 before the first. */
  mapVersion: z.int().min(0),
  /** When PostgreSQL was last started, RFC 3339. */
  startedAt: z.string().exactOptional(),
  /** Unexpected ends of PostgreSQL since the agent began. */
  restarts: z.int().min(0),
  /** Setting of the spec that PostgreSQL does not start with; only another spec helps. */
  setting: z.string().exactOptional(),
  /** The agent tries settings that are asked for under `SETTINGS_PATH`. */
  canTrySettings: z.boolean().exactOptional(),
  databases: z.array(agentDatabase),
  /** What it shows and trusts: a CA is replaced by what all agents say. Absent in agents of earlier versions. */
  tls: z
    .object({
      /** SHA-256 of the server certificate in use, hex. */
      certificate: z.string(),
      /** SHA-256 of each CA certificate in use, hex. */
      authorities: z.array(z.string()),
    })
    .exactOptional(),
  /** The volume; agents of before do not say it. */
  disk: agentDisk.exactOptional(),
});
export type AgentStatus = z.output<typeof agentStatus>;

/** `POST` with `settingsRequest`: whether PostgreSQL would start with other settings; answered with `settingsAnswer`. */
export const SETTINGS_PATH = "/settings";

/** Settings to try, as in the spec. */
export const settingsRequest = z.strictObject({ parameters: z.record(z.string(), z.string()) });

/** What came of the trial. */
export const settingsAnswer = z.object({
  /** `unknown`: it could not be carried out, or PostgreSQL complained of something else. */
  outcome: z.enum(["accepted", "refused", "unknown"]),
  /** PostgreSQL's own words, or why there are none. */
  message: z.string().exactOptional(),
  /** Setting of the spec that is refused. */
  setting: z.string().exactOptional(),
  /** Shared memory that the server would ask for. */
  sharedMemoryBytes: z.int().min(0).exactOptional(),
  /** Memory of the node. */
  nodeMemoryBytes: z.int().min(0).exactOptional(),
});
export type SettingsAnswer = z.output<typeof settingsAnswer>;
