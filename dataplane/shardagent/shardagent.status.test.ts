import { expect, test } from "@jest/globals";
import { agentStatus } from "../../crds/agent-status.ts";
import { type AgentFacts, computeAgentStatus, renderMetrics } from "./shardagent.status.ts";

function facts(changes: Partial<AgentFacts> = {}): AgentFacts {
  return {
    shardSet: "bank",
    shard: 2,
    instance: 0,
    reason: "Ready",
    message: "PostgreSQL accepts writes",
    expectedIdentifier: undefined,
    systemIdentifier: "7123456789012345678",
    epoch: 4,
    postgresVersion: "17.11",
    mapVersion: 1,
    startedAt: Date.UTC(2026, 0, 2, 3, 4, 5),
    restarts: 1,
    databases: [
      { database: "a", ready: true, requestHash: "h1" },
      { database: "b", ready: false, requestHash: "h2", message: "role b exists and belongs to somebody else" },
    ],
    tls: { certificate: "ab", authorities: ["cd"], notAfter: Date.UTC(2026, 3, 2) },
    setting: undefined,
    canTrySettings: true,
    disk: undefined,
    ...changes,
  };
}

test("the status is what the controller parses", () => {
  const status = computeAgentStatus(facts());
  expect(status).toEqual({
    shardSet: "bank",
    shard: 2,
    instance: 0,
    role: "primary",
    ready: true,
    reason: "Ready",
    message: "PostgreSQL accepts writes",
    systemIdentifier: "7123456789012345678",
    epoch: 4,
    postgresVersion: "17.11",
    mapVersion: 1,
    startedAt: "2026-01-02T03:04:05Z",
    restarts: 1,
    databases: facts().databases,
    tls: { certificate: "ab", authorities: ["cd"] },
    canTrySettings: true,
  });
  expect(agentStatus.parse(JSON.parse(JSON.stringify(status)))).toEqual(status);
});

test("what is not known yet is left out, and anything but Ready is not ready", () => {
  const unknown = { systemIdentifier: undefined, epoch: undefined, postgresVersion: undefined, startedAt: undefined };
  const status = computeAgentStatus(facts({ ...unknown, reason: "WaitingForLease", databases: [] }));
  expect(Object.keys(status).sort()).toEqual([
    "canTrySettings",
    "databases",
    "instance",
    "mapVersion",
    "message",
    "ready",
    "reason",
    "restarts",
    "role",
    "shard",
    "shardSet",
    "tls",
  ]);
  expect(status.ready).toBe(false);
  expect(agentStatus.parse(status)).toEqual(status);
});

test("metrics count what the status says", () => {
  const lines = renderMetrics(facts())
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  expect(lines).toEqual([
    'shard_ready{shardset="bank",shard="2"} 1',
    'shard_postgres_restarts_total{shardset="bank",shard="2"} 1',
    'shard_epoch{shardset="bank",shard="2"} 4',
    'shard_map_version{shardset="bank",shard="2"} 1',
    'shard_databases{shardset="bank",shard="2",state="ready"} 1',
    'shard_databases{shardset="bank",shard="2",state="pending"} 1',
    'shard_certificate_expiry_timestamp_seconds{shardset="bank",shard="2"} 1775088000',
  ]);
});

test("the volume is shown with its numbers", () => {
  const disk = { level: "low", message: "92% of 1.0 GiB used, 81 MiB free", totalBytes: 1024, freeBytes: 81 } as const;
  const shown = facts({ disk: { ...disk, ballast: "keep" } });
  expect(computeAgentStatus(shown).disk).toEqual(disk);
  expect(agentStatus.parse(computeAgentStatus(shown)).disk).toEqual(disk);
  expect(renderMetrics(shown)).toContain('\nshard_volume_free_bytes{shardset="bank",shard="2"} 81\n');
});
