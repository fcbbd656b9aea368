import type { AgentReason, AgentStatus } from "../../crds/agent-status.ts";
import { rfc3339Seconds } from "../../lib/core/clock.ts";
import { METRICS, type MetricName } from "../../lib/core/metric-names.ts";
import { omitUndefined } from "../../lib/core/objects.ts";
import type { TlsInUse } from "./certificate-files.ts";
import type { DatabaseState } from "./databases.ts";
import type { DiskState } from "./disk-pressure.ts";

/** Everything that the agent shows about itself. */
export interface AgentFacts {
  readonly shardSet: string;
  readonly shard: number;
  readonly instance: number;
  readonly reason: AgentReason;
  readonly message: string;
  readonly systemIdentifier: string | undefined;
  readonly expectedIdentifier: string | undefined;
  readonly epoch: number | undefined;
  readonly postgresVersion: string | undefined;
  readonly mapVersion: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number | undefined;
  readonly restarts: number;
  readonly databases: readonly DatabaseState[];
  readonly tls: TlsInUse;
  /** Setting of the spec that PostgreSQL does not start with. */
  readonly setting: string | undefined;
  readonly canTrySettings: boolean;
  /** The volume, once it was looked at. */
  readonly disk: DiskState | undefined;
}

/** The answer of `GET /status`. */
export function computeAgentStatus(facts: AgentFacts): AgentStatus {
  return omitUndefined({
    shardSet: facts.shardSet,
    shard: facts.shard,
    instance: facts.instance,
    role: "primary" as const,
    ready: facts.reason === "Ready",
    reason: facts.reason,
    message: facts.message,
    systemIdentifier: facts.systemIdentifier,
    expectedIdentifier: facts.expectedIdentifier,
    epoch: facts.epoch,
    postgresVersion: facts.postgresVersion,
    mapVersion: facts.mapVersion,
    startedAt: facts.startedAt === undefined ? undefined : rfc3339Seconds(facts.startedAt),
    restarts: facts.restarts,
    databases: [...facts.databases],
    tls: { certificate: facts.tls.certificate, authorities: [...facts.tls.authorities] },
    setting: facts.setting,
    canTrySettings: facts.canTrySettings,
    disk: facts.disk && {
      level: facts.disk.level,
      message: facts.disk.message,
      totalBytes: facts.disk.totalBytes,
      freeBytes: facts.disk.freeBytes,
    },
  });
}

/** The answer of `GET /metrics`, in the Prometheus text format. */
export function renderMetrics(facts: AgentFacts): string {
  const shard = { shardset: facts.shardSet, shard: String(facts.shard) };
  const ready = facts.databases.filter((database) => database.ready).length;
  return [
    metric("shard_ready", [[shard, facts.reason === "Ready" ? 1 : 0]]),
    metric("shard_postgres_restarts_total", [[shard, facts.restarts]]),
    metric("shard_epoch", [[shard, facts.epoch ?? 0]]),
    metric("shard_map_version", [[shard, facts.mapVersion]]),
    metric("shard_databases", [
      [{ ...shard, state: "ready" }, ready],
      [{ ...shard, state: "pending" }, facts.databases.length - ready],
    ]),
    metric("shard_certificate_expiry_timestamp_seconds", [[shard, Math.floor(facts.tls.notAfter / 1_000)]]),
    ...(facts.disk === undefined
      ? []
      : [
          metric("shard_volume_bytes", [[shard, facts.disk.totalBytes]]),
          metric("shard_volume_free_bytes", [[shard, facts.disk.freeBytes]]),
        ]),
  ].join("");
}

/** Label values here are names of resources and numbers: nothing in them needs escaping. */
export type MetricLabels = Readonly<Record<string, string>>;

type Sample = readonly [labels: MetricLabels, value: number];

/** The lines of one metric in the Prometheus text format, with the type and help of the catalogue. */
export function metric(name: MetricName, samples: readonly Sample[]): string {
  const { help, type } = METRICS[name];
  const lines = samples.map(([labels, value]) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${text}"`);
    return `${name}{${pairs.join(",")}} ${value}\n`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}
