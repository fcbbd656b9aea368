import { describe, expect, test } from "@jest/globals";
import { SHARD_SET_CONDITIONS, SHARD_SET_REASONS } from "../../crds/conditions.ts";
import { requestHash } from "../../crds/database-request.ts";
import { type ShardSetStatus, shardSetStatus } from "../../crds/shardset.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import { proposeOwners } from "../../lib/core/ring.ts";
import { type Run, type Told, tellReport } from "../../operator/runtime/report.ts";
import type { MadePki } from "../kit/pki/make.ts";
import { SHARD_SET_POLICIES } from "./shardset.policies.ts";
import { reportShardSet } from "./shardset.report.ts";
import {
  agent,
  assessment,
  claim,
  databaseRequest,
  ending,
  map,
  pod,
  READY,
  READY_STATUS,
  requestSecret,
  type Seen,
  shardSet,
  spec,
  systemIdentifier,
  withShard,
  withSpec,
} from "./testing/builders.ts";

// Where a ShardSet stands, as a table: what is observed, and what the user reads.

const NOW = Date.UTC(2025, 5, 1);
const NOW_TEXT = "2025-06-01T00:00:00Z";
const RUN: Run = { now: NOW, paused: false, error: undefined, asideError: undefined };

/** What a case needs beside the world. */
interface Besides {
  readonly made?: MadePki;
  readonly run?: Partial<Run>;
}

function tell(given: Seen, { made, run }: Besides = {}): Told {
  const all = { ...RUN, ...run };
  const assessed = assessment(given, made);
  return tellReport(assessed.world.shardSet, reportShardSet(assessed, all), all);
}

const statusOf = (given: Seen, besides?: Besides): ShardSetStatus => tell(given, besides).status as ShardSetStatus;

/** "reason kind: message" of Ready; the kind as kstatus reads it. */
function standing(given: Seen, besides?: Besides): string {
  const [ready, reconciling, stalled] = statusOf(given, besides).conditions ?? [];
  const kinds = [ready, reconciling, stalled].map((condition) => condition?.status);
  const kind = { "True,False,False": "ready", "False,True,False": "working", "False,False,True": "stuck" }[
    kinds.join()
  ];
  return `${ready?.reason ?? "?"} ${kind ?? kinds.join()}: ${ready?.message ?? "?"}`;
}

const broken: MadePki = { problem: "Secret bank-ca-key holds no usable CA", leaves: new Map() };
const down = (shard: number, reason = "PostgresStarting") =>
  withShard(READY.agents, shard, { ready: false, reason, message: "it says so" });
const parameters = { postgres: { parameters: { work_mem: "8MB" } } };
const refused = new OperatorError("KUBE_FORBIDDEN", "only dynamically provisioned pvc can be resized");
const larger = withSpec({ storage: { size: "2Gi" } });
const fresh = shardSet();

interface Row {
  readonly policy: string;
  readonly name: string;
  readonly given: Seen;
  readonly besides?: Besides;
  readonly want: string;
}

// In the order of the chain. Each world has also everything of the rows below it that can go with it, so that a check
// that moved down would be seen.
const ROWS: readonly Row[] = [
  {
    policy: "it is being deleted",
    name: "with a ledger on it",
    given: { ...READY, shardSet: ending(), ledgers: ["a", "b"], agents: down(0) },
    besides: { made: broken },
    want: "DeletionBlocked stuck: waits for the deletion of CreditLedger a, CreditLedger b",
  },
  {
    policy: "it is being deleted",
    name: "with pods",
    given: { ...READY, shardSet: ending() },
    besides: { made: broken },
    want: "Deleting working: 3 pods are ending",
  },
  {
    policy: "it is being deleted",
    name: "without pods",
    given: { ...READY, shardSet: ending(), pods: [] },
    want: "Deleting working: the ShardSet's objects are being removed",
  },
  {
    policy: "it is being deleted",
    name: "beside data that never fitted",
    given: {
      ...READY,
      shardSet: ending({ shards: 2 }, { status: { observedGeneration: 1 } }),
      map: map(3, { createdFor: "uid-former" }),
      pods: [],
    },
    want: "Deleting working: the ShardSet's objects are being removed",
  },
  {
    policy: "kept data does not fit",
    name: "of an earlier ShardSet",
    given: { ...READY, shardSet: shardSet({ spec: spec({ shards: 2 }) }), map: map(3, { createdFor: "uid-former" }) },
    besides: { made: broken },
    want: "RetainedDataConflict stuck: ConfigMap bank-map is kept and names 3 shards, but spec.shards is 2",
  },
  {
    policy: "the CA cannot be used",
    name: "whatever else is wrong",
    given: { ...READY, map: map(3, { value: undefined }), agents: down(0) },
    besides: { made: broken },
    want: "AuthorityInvalid stuck: Secret bank-ca-key holds no usable CA",
  },
  {
    policy: "the map cannot be read",
    name: "because it is broken",
    given: {
      ...READY,
      map: map(3, { value: undefined }),
      claims: withShard(READY.claims, 0, { deleting: true }),
      agents: down(1),
    },
    want: "MapInvalid stuck: ConfigMap bank-map cannot be read; restore it from a good copy",
  },
  {
    policy: "a volume is about to go",
    name: "under its pod",
    given: { ...READY, claims: withShard(READY.claims, 1, { deleting: true }), agents: down(2, "DataRefused") },
    want: "VolumeDeleting stuck: PersistentVolumeClaims bank-1-0 are deleted and go with their pods; before a pod ends, set the reclaim policy of its PersistentVolume to Retain",
  },
  {
    policy: "PostgreSQL refuses a setting",
    name: "on a copy, before any pod went",
    given: {
      ...READY,
      shardSet: withSpec(parameters),
      settings: { outcome: "refused", setting: "work_mem", message: "it says so" },
      agents: down(1),
    },
    want: "SettingsRefused stuck: spec.postgres.parameters.work_mem '8MB' is refused by PostgreSQL: it says so. No pod is replaced until it is changed; 2 of 3 shards are ready; shard 1: PostgresStarting: it says so",
  },
  {
    policy: "PostgreSQL refuses a setting",
    name: "that the agent names before the first start",
    given: {
      ...READY,
      agents: withShard(READY.agents, 0, {
        ready: false,
        reason: "ConfigInvalid",
        message: "it says so",
        setting: "work_mem",
      }),
    },
    want: "SettingsRefused stuck: 2 of 3 shards are ready; shard 0: ConfigInvalid: it says so. Change spec.postgres.parameters.work_mem",
  },
  {
    policy: "PostgreSQL refuses a setting",
    name: "that shows only when it starts",
    given: {
      ...READY,
      agents: withShard(READY.agents, 0, {
        ready: false,
        reason: "PostgresFailed",
        message: "it says so",
        setting: "huge_pages",
      }),
    },
    want: "SettingsRefused stuck: 2 of 3 shards are ready; shard 0: PostgresFailed: it says so. Change spec.postgres.parameters.huge_pages",
  },
  {
    policy: "PostgreSQL refuses a setting",
    name: "of an agent that names none",
    given: { ...READY, agents: down(0, "ConfigInvalid") },
    want: "SettingsRefused stuck: 2 of 3 shards are ready; shard 0: ConfigInvalid: it says so. Change spec.postgres.parameters",
  },
  {
    policy: "a shard is not ready",
    name: "for settings of an earlier spec, which its successor has no more",
    given: { ...READY, shardSet: withSpec(parameters), agents: down(0, "ConfigInvalid") },
    want: "Updating working: 2 of 3 shards are ready; shard 0: ConfigInvalid: it says so; pods bank-1-0, bank-2-0 follow once shard 0 accepts writes",
  },
  {
    policy: "a shard is not ready",
    name: "because its data is lost",
    given: { ...READY, claims: withShard(READY.claims, 1, undefined), agents: down(2, "DataRefused") },
    want: "VolumeLost stuck: 1 of 3 shards are ready; shard 1: volume bank-1-0 is gone; restore it under this name with labels shieldx.dev/kind=ShardSet, shieldx.dev/name=bank, shieldx.dev/shard=1; if it is there, it lacks them: kubectl label --overwrite pvc bank-1-0 -n demo shieldx.dev/kind=ShardSet shieldx.dev/name=bank shieldx.dev/shard=1; shard 2: DataRefused: it says so",
  },
  {
    policy: "a shard is not ready",
    name: "because its data is not its own",
    given: { ...READY, shardSet: withSpec(parameters), agents: down(2, "DataRefused") },
    want: "DataRefused stuck: 2 of 3 shards are ready; shard 2: DataRefused: it says so; pods bank-0-0, bank-1-0 follow once shard 2 accepts writes",
  },
  {
    policy: "a shard is not ready",
    name: "because its volume is full (trial 1)",
    given: { ...READY, agents: down(0, "DiskFull") },
    want: "DiskFull stuck: 2 of 3 shards are ready; shard 0: DiskFull: it says so",
  },
  {
    policy: "a shard is not ready",
    name: "because its volume is full and grows",
    given: {
      ...READY,
      agents: down(0, "DiskFull"),
      claims: withShard(READY.claims, 0, { requested: "2Gi" }),
      shardSet: withSpec({ storage: { size: "2Gi" } }),
    },
    want: "DiskFull stuck: 2 of 3 shards are ready; shard 0: DiskFull: it says so; StorageExpanding: volumes of shards 0, 1, 2 grow to 2Gi",
  },
  {
    policy: "a shard is not ready",
    name: "while pods are replaced",
    given: { ...READY, shardSet: withSpec(parameters), agents: down(0) },
    want: "Updating working: 2 of 3 shards are ready; shard 0: PostgresStarting: it says so; pod bank-0-0 is not replaced while PostgreSQL starts, recovers, ends or hangs in it; pods bank-1-0, bank-2-0 follow once shard 0 accepts writes",
  },
  {
    policy: "a shard is not ready",
    name: "before any was",
    given: { ...READY, shardSet: fresh, agents: down(0) },
    want: "Provisioning working: 2 of 3 shards are ready; shard 0: PostgresStarting: it says so",
  },
  {
    policy: "a shard is not ready",
    name: "before all were, with the map already published",
    given: {
      ...READY,
      shardSet: withSpec({}, { status: { observedGeneration: 1, map: { version: 1, epoch: 1 } } }),
      agents: down(0),
    },
    want: "Provisioning working: 2 of 3 shards are ready; shard 0: PostgresStarting: it says so",
  },
  {
    policy: "a shard is not ready",
    name: "because it is new",
    given: { ...READY, shardSet: withSpec({ shards: 4 }) },
    want: "ScalingUp working: 3 of 4 shards are ready; shard 3: pod bank-3-0 does not exist yet",
  },
  {
    policy: "a shard is not ready",
    name: "because it is new, and an old one is down",
    given: { ...READY, shardSet: withSpec({ shards: 4 }), agents: down(0) },
    want: "ShardNotReady working: 2 of 4 shards are ready; shard 0: PostgresStarting: it says so; shard 3: pod bank-3-0 does not exist yet",
  },
  {
    policy: "a shard is not ready",
    name: "because its agent does not answer",
    given: { ...READY, agents: withShard(READY.agents, 1, undefined) },
    want: "AgentUnreachable working: 2 of 3 shards are ready; shard 1: the agent of pod bank-1-0 on node node does not answer",
  },
  {
    policy: "a shard is not ready",
    name: "because it went down",
    given: { ...READY, agents: down(1), claims: withShard(READY.claims, 0, { requested: "2Gi" }) },
    want: "ShardNotReady working: 2 of 3 shards are ready; shard 1: PostgresStarting: it says so",
  },
  {
    policy: "a pod does not follow the spec",
    name: "and its settings could not be tried",
    given: {
      ...READY,
      shardSet: withSpec(parameters),
      settings: { outcome: "unknown", message: "the agent of pod bank-0-0 does not answer" },
    },
    want: "Updating working: 0 of 3 pods follow the spec; the settings of the spec could not be tried yet: the agent of pod bank-0-0 does not answer",
  },
  {
    policy: "a pod does not follow the spec",
    name: "one of them",
    given: {
      ...READY,
      pods: [pod(0), pod(1, { configHash: "older" }), pod(2)],
      agents: withShard(READY.agents, 0, { mapVersion: 0 }),
    },
    want: "Updating working: 2 of 3 pods follow the spec",
  },
  {
    policy: "the map is not in use everywhere",
    name: "on a shard",
    given: { ...READY, shardSet: larger, agents: withShard(READY.agents, 2, { mapVersion: 0 }) },
    want: "MapPending working: version 1 is published; shard 2 has version 0",
  },
  {
    policy: "the map is not in use everywhere",
    name: "because it is made anew",
    given: { ...READY, map: undefined },
    want: "MapPending working: ConfigMap bank-map does not exist yet",
  },
  {
    policy: "a volume is not of the spec's size",
    name: "because its class refuses",
    given: { ...READY, shardSet: larger },
    besides: { run: { asideError: refused } },
    want: "StorageExpansionUnsupported stuck: only dynamically provisioned pvc can be resized",
  },
  {
    policy: "a volume is not of the spec's size",
    name: "because the server failed",
    given: { ...READY, shardSet: larger },
    besides: { run: { asideError: new OperatorError("KUBE_FAILED", "500") } },
    want: "ReconcileFailed working: KUBE_FAILED: 500",
  },
  {
    policy: "a volume is not of the spec's size",
    name: "because it may not shrink",
    given: {
      ...READY,
      claims: [claim(0), claim(1, { requested: "2Gi", capacity: "2Gi" }), claim(2, { capacity: "512Mi" })],
    },
    want: "StorageShrinkRefused stuck: storage.size is 1Gi, but shard 1 has 2Gi",
  },
  {
    policy: "a volume is not of the spec's size",
    name: "because it grows",
    given: { ...READY, shardSet: larger },
    want: "StorageExpanding working: volumes of shards 0, 1, 2 grow to 2Gi",
  },
  {
    policy: "all is as it should be",
    name: "also with shards that own nothing and databases that are not made yet",
    given: {
      ...READY,
      shardSet: withSpec({ shards: 4 }),
      claims: [...READY.claims, claim(3)],
      pods: [...READY.pods, pod(3)],
      agents: [...READY.agents, agent(3)],
      requests: [requestSecret("r", "ledger_a", "2026-01-01T00:00:00Z")],
    },
    want: "Ready ready: 4 of 4 shards accept writes",
  },
  {
    policy: "all is as it should be",
    name: "also when growth that nobody wants any more was refused",
    given: READY,
    besides: { run: { asideError: refused } },
    want: "Ready ready: 3 of 3 shards accept writes",
  },
];

describe("where it stands", () => {
  test("is found by these checks, in this order", () => {
    expect(SHARD_SET_POLICIES.map(([name]) => name)).toEqual([
      "it is being deleted",
      "kept data does not fit",
      "the CA cannot be used",
      "the map cannot be read",
      "a volume is about to go",
      "PostgreSQL refuses a setting",
      "a shard is not ready",
      "a pod does not follow the spec",
      "the map is not in use everywhere",
      "a volume is not of the spec's size",
      "all is as it should be",
    ]);
    expect([...new Set(ROWS.map(({ policy }) => policy))]).toEqual(SHARD_SET_POLICIES.map(([name]) => name));
  });

  test.each(ROWS)("$policy: $name", ({ policy, given, besides, want }) => {
    expect(standing(given, besides)).toBe(want);
    const input = { ...assessment(given, besides?.made), growthError: besides?.run?.asideError };
    expect(SHARD_SET_POLICIES.find(([, check]) => check(input) !== undefined)?.[0]).toBe(policy);
  });

  test("every reason is documented", () => {
    for (const { want } of ROWS) expect(SHARD_SET_REASONS).toHaveProperty(want.split(" ")[0] ?? "");
  });
});

describe("the whole status", () => {
  test("of one that is ready", () => {
    const request = databaseRequest("ledger_a");
    const databases = [{ database: request.database, ready: true, requestHash: requestHash(request) }];
    const given = {
      ...READY,
      shardSet: fresh,
      requests: [requestSecret("r", request.database, "2026-01-01T00:00:00Z")],
      agents: READY.agents.map((answer) => ({ ...answer, databases })),
    };
    const condition = (type: string, ...[status, reason, message]: readonly [string, string, string]): unknown => ({
      type,
      status,
      reason,
      message,
      observedGeneration: 1,
      lastTransitionTime: NOW_TEXT,
    });
    expect(statusOf(given)).toEqual({
      observedGeneration: 1,
      caSecret: "bank-ca",
      conditions: [
        condition("Ready", "True", "Ready", "3 of 3 shards accept writes"),
        condition("Reconciling", "False", "Converged", ""),
        condition("Stalled", "False", "Converged", ""),
        condition("Available", "True", "ShardsAvailable", "3 of 3 shards that own buckets accept writes"),
        condition("MapPublished", "True", "MapPublished", "version 1 is published and in use"),
        condition("Balanced", "True", "Balanced", "4096 buckets on 3 shards"),
        condition("DatabasesReady", "True", "DatabasesReady", "1 of 1 requests are carried out on all shards"),
        condition(
          "AuthorityCurrent",
          "True",
          "AuthorityCurrent",
          "the CA is valid until 1970-01-01T00:00:00Z and is replaced by itself when a third of its life is left",
        ),
        condition("DiskPressure", "Unknown", "DiskUnknown", "3 of 3 agents have not said how full their volumes are"),
      ],
      shards: 3,
      shardsReady: 3,
      labelSelector: "shieldx.dev/kind=ShardSet,shieldx.dev/name=bank,shieldx.dev/component=shard",
      initialized: true,
      volumesBound: true,
      map: { version: 1, epoch: 1 },
      shardStatuses: [0, 1, 2].map((shard) => ({
        shard,
        ready: true,
        primary: `bank-${shard}-0`,
        bucketCount: proposeOwners(3).filter((owner) => owner === shard).length,
        epoch: 1,
        postgresVersion: "17.11",
        systemIdentifier: systemIdentifier(shard),
      })),
      databases: [{ name: "ledger_a", requestHash: requestHash(request), shardsReady: 3 }],
    });
  });

  test.each<[string, Seen]>([
    ["new", {}],
    ["ready", READY],
    ["ending", { ...READY, shardSet: ending() }],
    ["without its data", { ...READY, claims: [], pods: [], agents: [] }],
    ["told at length", { ...READY, agents: withShard(READY.agents, 0, { ready: false, message: "x".repeat(5_000) }) }],
  ])("of one that is %s fits the schema", (_name, given) => {
    expect(shardSetStatus.safeParse(statusOf(given)).error).toBeUndefined();
  });

  test("has every condition that is documented", () => {
    const types = statusOf(READY).conditions?.map(({ type }) => type);
    expect(types?.sort()).toEqual(Object.keys(SHARD_SET_CONDITIONS).sort());
  });

  test("remembers what a shard that is down has been", () => {
    const before = READY_STATUS.shardStatuses?.map((state) => ({ ...state, epoch: 7, postgresVersion: "17.10" }));
    const given = {
      ...READY,
      shardSet: withSpec({}, { status: { ...READY_STATUS, shardStatuses: before ?? [] } }),
      pods: withShard(READY.pods, 0, undefined),
      agents: withShard(READY.agents, 0, undefined),
    };
    expect(statusOf(given).shardStatuses?.[0]).toEqual({
      ...before?.[0],
      ready: false,
      message: "pod bank-0-0 does not exist yet",
    });
  });

  test("remembers a map that is lost, and who owned what", () => {
    const { map: known, shardStatuses } = statusOf({ ...READY, map: undefined });
    expect(known).toEqual({ version: 1, epoch: 1 });
    expect(shardStatuses?.map(({ bucketCount }) => bucketCount)).toEqual(
      READY_STATUS.shardStatuses?.map(({ bucketCount }) => bucketCount),
    );
  });

  test("takes no map for its own that an earlier ShardSet left and that does not fit", () => {
    const given = {
      ...READY,
      shardSet: shardSet({ spec: spec({ shards: 2 }) }),
      map: map(3, { createdFor: "uid-former" }),
    };
    expect(statusOf(given).map).toBeUndefined();
  });
});

describe("initialized", () => {
  test.each<[string, Seen, true | undefined]>([
    ["not before every shard was ready at once", { ...READY, shardSet: fresh, agents: down(1) }, undefined],
    ["once they are", { ...READY, shardSet: fresh }, true],
    ["and from then on", { ...READY, agents: down(1) }, true],
    ["also with more shards", { ...READY, shardSet: withSpec({ shards: 4 }) }, true],
    ["and while it ends", { ...READY, shardSet: ending(), pods: [], agents: [] }, true],
  ])("%s", (_name, given, want) => {
    expect(statusOf(given).initialized).toBe(want);
  });
});

describe("events", () => {
  const notes = (given: Seen): string[] =>
    tell(given).events.map((action) =>
      action.type === "event" ? `${action.eventType} ${action.reason}: ${action.note}` : "",
    );
  const bad = { ...requestSecret("r", "ledger_a", "2026-01-01T00:00:00Z"), data: {} };
  const after = (given: Seen): Seen => ({
    ...given,
    shardSet: { ...(given.shardSet ?? fresh), status: statusOf(given) },
  });

  test("warn of a request that cannot be carried out, beside Ready, once", () => {
    const given = { ...READY, requests: [bad] };
    expect(notes(given)).toEqual([
      "Normal Ready: 3 of 3 shards accept writes",
      "Warning DatabaseRequestInvalid: Secret r: it has no request.json",
    ]);
    expect(notes(after(given))).toEqual([]);
  });

  test("do not warn of requests that are on their way", () => {
    const given = { ...READY, requests: [requestSecret("r", "ledger_a", "2026-01-01T00:00:00Z")] };
    expect(notes(given)).toEqual(["Normal Ready: 3 of 3 shards accept writes"]);
  });

  test("tell of each ledger that a deletion waits for", () => {
    const given = { ...READY, shardSet: ending(), ledgers: ["a", "b"] };
    const before = after(given);
    expect(notes(before)).toEqual([]);
    expect(notes({ ...before, ledgers: ["b"] })).toEqual([
      "Warning DeletionBlocked: waits for the deletion of CreditLedger b",
    ]);
  });
});
