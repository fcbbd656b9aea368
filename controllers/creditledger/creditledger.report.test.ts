import { describe, expect, test } from "@jest/globals";
import { CREDIT_LEDGER_CONDITIONS, CREDIT_LEDGER_REASONS } from "../../crds/conditions.ts";
import { type CreditLedgerStatus, creditLedgerStatus } from "../../crds/creditledger.ts";
import { type Run, type Told, tellReport } from "../../operator/runtime/report.ts";
import type { Assessment } from "./creditledger.assess.ts";
import type { ObservedDeployment, ObservedJob } from "./creditledger.facts.ts";
import { migrationJobName, podConfigHash } from "./creditledger.objects.ts";
import { positionsMoved, reportCreditLedger } from "./creditledger.report.ts";
import {
  assessment,
  deployment as deploymentOf,
  job as jobOf,
  lease,
  ledger,
  ROOTS,
  readyShardSet,
  type Seen,
  shardSet,
  target,
  VERIFIERS,
} from "./testing/builders.ts";

// Conditions as a table: what is observed, and which reason the user reads.

const NOW = Date.UTC(2025, 5, 1);
const NOW_TEXT = "2025-06-01T00:00:00Z";
const RUN: Run = { now: NOW, paused: false, error: undefined, asideError: undefined };
const PASSWORDS = { owner: "o", writer: "w", reader: "r" };

const READY: Seen = {
  ...ROOTS,
  shardSet: readyShardSet(),
  jobs: [job()],
  deployment: deployment(),
  leases: [0, 1, 2].map((shard) => lease(shard, { position: 10 * shard })),
};

describe("the whole status", () => {
  test("of a ledger that is ready", () => {
    const condition = (type: string, status: string, [reason, message]: readonly [string, string]): unknown => ({
      type,
      status,
      reason,
      message,
      observedGeneration: 1,
      lastTransitionTime: NOW_TEXT,
    });
    const available = "3 of 3 shards have a writer; 2 of 2 pods are ready";
    const status = statusOf(READY);
    expect(status).toEqual({
      observedGeneration: 1,
      caSecret: "bank-ca",
      conditions: [
        condition("Ready", "True", ["Ready", available]),
        condition("Reconciling", "False", ["Converged", ""]),
        condition("Stalled", "False", ["Converged", ""]),
        condition("ShardSetReady", "True", ["ShardSetReady", "3 of 3 shards of ShardSet main accept writes"]),
        condition("DatabaseReady", "True", ["DatabaseReady", "database ledger_bank is ready on 3 of 3 shards"]),
        condition("Migrated", "True", ["Migrated", `Job ${migrationJobName(target(), "sxk_1")} succeeded`]),
        condition("Available", "True", ["Available", available]),
        condition("AuthorityCurrent", "True", [
          "AuthorityCurrent",
          "the CA is valid until 1970-01-01T00:00:00Z and is replaced by itself when a third of its life is left",
        ]),
      ],
      url: "https://bank.bank-ns.svc",
      shards: 3,
      writersReady: 3,
      replicasReady: 2,
      schemaVersion: 3,
      heads: [
        { shard: 0, position: 0, epoch: 1, writer: "bank-1" },
        { shard: 1, position: 10, epoch: 1, writer: "bank-1" },
        { shard: 2, position: 20, epoch: 1, writer: "bank-1" },
      ],
    });
  });

  test.each<[string, Seen]>([
    ["new", {}],
    ["without ShardSet", { shardSet: undefined }],
    ["ready", READY],
  ])("of a ledger that is %s fits the schema", (_name, given) => {
    expect(creditLedgerStatus.safeParse(statusOf(given)).error).toBeUndefined();
  });
});

const LOST = {
  shardsReady: 2,
  conditions: [
    {
      type: "Ready",
      status: "False" as const,
      reason: "DataLost",
      message: "2 of 3 shards are ready; shard 1: DataLost",
      observedGeneration: 1,
      lastTransitionTime: "2026-01-01T00:00:00Z",
    },
  ],
};

test("a shard that takes no writes is told with its own sentence (trial 1)", () => {
  const down = { shard: 0, ready: false, bucketCount: 4096, message: "DiskFull: the volume is full" };
  const shards = shardSet({ status: { shardsReady: 1, shardStatuses: [down] } });
  const given = { ...READY, shardSet: shards };
  const ready = statusOf(given).conditions?.find(({ type }) => type === "Ready");
  expect(ready?.message).toMatch(
    /^1 of \d+ shards of ShardSet \S+ accept writes; shard 0: DiskFull: the volume is full$/,
  );
});

describe("conditions", () => {
  test.each<[string, Seen, string, "ready" | "working" | "stuck"]>([
    ["no ShardSet", { shardSet: undefined }, "ShardSetNotFound", "working"],
    ["a ShardSet that goes", { ...READY, shardSet: goingShardSet() }, "ShardSetDeleting", "working"],
    [
      "shards that are not ready",
      { ...READY, shardSet: readyShardSet({ shardsReady: 1 }) },
      "WaitingForShards",
      "working",
    ],
    ["a ShardSet whose data is lost", { ...READY, shardSet: shardSet({ status: LOST }) }, "DataLost", "stuck"],
    ["no database", { ...READY, shardSet: shardSet() }, "WaitingForDatabase", "working"],
    ["somebody else's database", { ...READY, databaseTakenBy: "x" }, "DatabaseNameConflict", "stuck"],
    ["no migration yet", { ...READY, jobs: [] }, "Migrating", "working"],
    ["a migration that runs", { ...READY, jobs: [job({ state: "running" })] }, "Migrating", "working"],
    ["a migration that failed", { ...READY, jobs: [job({ state: "failed" })] }, "MigrationFailed", "stuck"],
    ["no pods", { ...READY, deployment: undefined }, "Deploying", "working"],
    ["no ready pod", { ...READY, deployment: deployment({ readyReplicas: 0 }) }, "PodsUnavailable", "working"],
    ["no writer", { ...READY, leases: [lease(0), lease(1, { holder: undefined })] }, "WritersUnavailable", "working"],
    ["old pods", { ...READY, deployment: deployment({ configHash: "old" }) }, "Deploying", "working"],
    ["pods being replaced", { ...READY, deployment: deployment({ rolledOut: false }) }, "Deploying", "working"],
    ["one pod of two", { ...READY, deployment: deployment({ readyReplicas: 1 }) }, "Deploying", "working"],
    ["nothing to do", READY, "Ready", "ready"],
  ])("%s", (_name, given, reason, kind) => {
    expect(kstatus(statusOf(given))).toEqual({
      Ready: `${kind === "ready" ? "True" : "False"} ${reason}`,
      Reconciling: kind === "working" ? `True ${reason}` : kind === "ready" ? "False Converged" : `False ${reason}`,
      Stalled: kind === "stuck" ? `True ${reason}` : kind === "ready" ? "False Converged" : `False ${reason}`,
    });
  });

  test("messages hold the numbers", () => {
    const failed = job({ state: "failed", message: "limit", podMessage: "  shard 1\n is away ", failures: 21 });
    expect(message(statusOf({ ...READY, jobs: [failed] }), "Migrated")).toMatch(
      /^Job bank-migrate-\w+ failed: limit \(failed attempts: 21, last: shard 1 is away\)$/,
    );
    const leases = [lease(0, { holder: undefined }), lease(1), lease(2, { holder: undefined })];
    expect(message(statusOf({ ...READY, leases }), "Available")).toBe(
      "1 of 3 shards have a writer, none: 0, 2; 2 of 2 pods are ready",
    );
  });

  test("a time changes with its status only", () => {
    const before = { ...RUN, now: NOW - 60_000 };
    const earlier = statusOf({ ...READY, jobs: [] }, before);
    const now = statusOf({ ...READY, jobs: [job({ state: "running" })], ledger: ledger({ status: earlier }) });
    expect(now.conditions?.map(({ lastTransitionTime }) => lastTransitionTime)).toEqual(
      earlier.conditions?.map(({ lastTransitionTime }) => lastTransitionTime),
    );
    const ready = statusOf({ ...READY, ledger: ledger({ status: earlier }) });
    expect(ready.conditions?.find(({ type }) => type === "Ready")?.lastTransitionTime).toBe(NOW_TEXT);
  });

  test("every type and reason is documented", () => {
    const { conditions = [] } = statusOf(READY);
    for (const { type, reason } of conditions) {
      expect(CREDIT_LEDGER_CONDITIONS).toHaveProperty(type);
      expect(CREDIT_LEDGER_REASONS).toHaveProperty(reason);
    }
    expect(conditions.length).toBe(Object.keys(CREDIT_LEDGER_CONDITIONS).length);
  });
});

describe("events", () => {
  test("tell of a new reason once, with the condition's sentence", () => {
    const given = { ...READY, jobs: [job({ state: "failed", message: "limit" })] };
    const note = expect.stringContaining("failed: limit");
    expect(tell(given).events).toMatchObject([
      { type: "event", eventType: "Warning", reason: "MigrationFailed", note },
    ]);
    expect(tell({ ...given, ledger: ledger({ status: statusOf(given) }) }).events).toEqual([]);
  });
});

describe("positions", () => {
  const published = [{ shard: 0, position: 5 }, { shard: 1, position: 10 }, { shard: 2 }];
  const given = { ...READY, ledger: ledger({ status: { observedGeneration: 1, heads: published } }) };

  test("stay as they were published until it is their turn", () => {
    expect(positionsMoved(assess(given))).toBe(true);
    expect(statusOf(given, RUN, false).heads?.map(({ position }) => position)).toEqual([5, 10, undefined]);
    expect(statusOf(given).heads?.map(({ position }) => position)).toEqual([0, 10, 20]);
  });

  test("that no Lease knows any more are kept", () => {
    const forgotten = { ...given, leases: [lease(0), lease(1), lease(2)] };
    expect(positionsMoved(assess(forgotten))).toBe(false);
    expect(statusOf(forgotten).heads?.map(({ position }) => position)).toEqual([5, 10, undefined]);
  });
});

test("the schema version outlives the pod that reported it", () => {
  const before = ledger({ status: { observedGeneration: 1, schemaVersion: 3 } });
  expect(statusOf({ ...READY, jobs: [job({ schemaVersion: undefined })], ledger: before }).schemaVersion).toBe(3);
});

function assess(given: Seen): Assessment {
  return assessment(given, given.roles === undefined ? {} : { verifiers: VERIFIERS });
}

function tell(given: Seen, run: Run = RUN, publishPositions = true): Told {
  const assessed = assess(given);
  return tellReport(assessed.world.ledger, reportCreditLedger(assessed, publishPositions), run);
}

function statusOf(...given: Parameters<typeof tell>): CreditLedgerStatus {
  return tell(...given).status as CreditLedgerStatus;
}

function kstatus(status: ReturnType<typeof statusOf>): Record<string, string> {
  const three = (status.conditions ?? []).slice(0, 3);
  return Object.fromEntries(three.map(({ type, status: holds, reason }) => [type, `${holds} ${reason}`]));
}

function message(status: ReturnType<typeof statusOf>, type: string): string | undefined {
  return status.conditions?.find((condition) => condition.type === type)?.message;
}

function goingShardSet(): ReturnType<typeof shardSet> {
  const going = readyShardSet();
  return { ...going, metadata: { ...going.metadata, deletionTimestamp: "2025-01-01T00:00:00Z" } };
}

function job(changes: Partial<ObservedJob> = {}): ObservedJob {
  return jobOf(migrationJobName(target(), "sxk_1"), { schemaVersion: 3, ...changes });
}

function deployment(changes: Partial<ObservedDeployment> = {}): ObservedDeployment {
  return deploymentOf({ configHash: podConfigHash(target(), PASSWORDS), ...changes });
}
