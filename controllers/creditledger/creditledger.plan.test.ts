import { describe, expect, test } from "@jest/globals";
import { CREDIT_LEDGER } from "../../crds/creditledger.ts";
import { FINALIZER } from "../../crds/group.ts";
import { withFinalizer } from "../../operator/runtime/finalizers.ts";
import type { Action, Plan } from "../../operator/runtime/types.ts";
import { CERTIFICATE_CHECK_SECONDS } from "../kit/pki/objects.ts";
import { linesOf } from "../kit/testing/owner.ts";
import type { Assessment } from "./creditledger.assess.ts";
import type { ObservedJob } from "./creditledger.facts.ts";
import { MIGRATION_RETRY_SECONDS } from "./creditledger.migration.ts";
import { databaseRequest, migrationJob, migrationJobName } from "./creditledger.objects.ts";
import { planCreditLedger } from "./creditledger.plan.ts";
import {
  assessment,
  deployment,
  job as jobOf,
  kept,
  lease,
  ledger,
  NAMES,
  ROOTS,
  readyShardSet,
  type Seen,
  shardSet,
  spec,
  target,
  VERIFIERS,
} from "./testing/builders.ts";

// The plan as a table: what is observed, and the actions with their notes, in order.

const NOW = 1_750_000_000_000;
const JOB = migrationJobName(target(), "sxk_1");

/** Everything there and ready, certificate included. */
const READY: Seen = {
  ...ROOTS,
  shardSet: readyShardSet(),
  ca: kept("bank-ca", "CA\n"),
  tls: kept("bank-tls", { certPem: "cert", keyPem: "key" }),
  jobs: [job()],
  leases: [0, 1, 2].map((shard) => lease(shard)),
};

const ALWAYS = [
  "apply Secret bank-ca: clients trust the CA that signs now",
  "apply Secret bank-tls: the server certificate is good",
  "apply ServiceAccount bank-ledger: identity of the pods",
  "apply Role bank-ledger: 3 writer Leases and the shard map, by name",
  "apply RoleBinding bank-ledger: the pods' identity gets the Role",
  "apply Service bank: address of the API",
];
const REQUEST = "apply Secret bank-database: database ledger_bank on 3 shards of ShardSet main";
const SERVE = [
  "apply PodDisruptionBudget bank: a drain takes one pod at a time",
  "apply Deployment bank: 2 pods of shieldx:1 for 3 shards",
];

interface Row {
  readonly name: string;
  readonly given: Seen;
  readonly want: readonly string[];
}

describe("a living ledger", () => {
  test.each<Row>([
    {
      name: "without its ShardSet gets a finalizer and nothing else",
      given: { shardSet: undefined, ledger: ledger({ metadata: { name: "bank", finalizers: ["other/finalizer"] } }) },
      want: ["patch CreditLedger bank: hold the deletion until the clean-up is done"],
    },
    { name: "without its ShardSet, later", given: { shardSet: undefined }, want: [] },
    {
      name: "that is new gets its roots; nothing is derived from them before the cache holds them",
      given: {},
      want: [
        "create Secret bank-ca-key: there is no CA yet",
        "create Secret bank-admin-key: there is no admin key yet",
        "create Secret bank-roles: there are no passwords yet",
        ...ALWAYS.slice(2),
        "create Lease bank-writer-0: shard 0 has no writer Lease yet",
        "create Lease bank-writer-1: shard 1 has no writer Lease yet",
        "create Lease bank-writer-2: shard 2 has no writer Lease yet",
      ],
    },
    {
      name: "with roots and no database waits before it migrates",
      given: { ...READY, jobs: [], shardSet: shardSet() },
      want: [...ALWAYS, REQUEST],
    },
    {
      name: "whose shards are not ready waits before it migrates, database or not",
      given: { ...READY, jobs: [], shardSet: readyShardSet({ shardsReady: 2 }) },
      want: [...ALWAYS, REQUEST],
    },
    {
      name: "with its database migrates",
      given: { ...READY, jobs: [] },
      want: [...ALWAYS, REQUEST, `create Job ${JOB}: 3 shards to migrate with shieldx:1`],
    },
    {
      name: "whose migration runs waits",
      given: { ...READY, jobs: [job({ state: "running" })] },
      want: [...ALWAYS, REQUEST],
    },
    {
      name: "whose migration succeeded serves",
      given: READY,
      want: [...ALWAYS, REQUEST, ...SERVE],
    },
    {
      name: "whose migration succeeded removes older Jobs",
      given: { ...READY, jobs: [job(), job({ name: "bank-migrate-old", uid: "uid-old", state: "failed" })] },
      want: [...ALWAYS, REQUEST, `delete Job bank-migrate-old: followed by Job ${JOB}`, ...SERVE],
    },
    {
      name: "removes a Job of another version that did not succeed before it makes its own",
      given: { ...READY, jobs: [job({ name: "bank-migrate-old", state: "running" })] },
      want: [
        ...ALWAYS,
        REQUEST,
        `delete Job bank-migrate-old: followed by Job ${JOB}`,
        `create Job ${JOB}: 3 shards to migrate with shieldx:1`,
      ],
    },
    {
      name: "keeps older Jobs and leaves the pods alone until the new migration succeeded",
      given: {
        ...READY,
        deployment: deployment(),
        jobs: [job({ name: "bank-migrate-old" }), job({ state: "running" })],
      },
      want: [...ALWAYS, REQUEST],
    },
    {
      name: "keeps serving while a shard is down",
      given: { ...READY, shardSet: readyShardSet({ shardsReady: 2 }) },
      want: [...ALWAYS, REQUEST, ...SERVE],
    },
    {
      name: "whose ShardSet grew gets Leases at once, and waits for the new shards",
      given: { ...READY, shardSet: readyShardSet({ shards: 5, shardsReady: 3 }) },
      want: [
        ...ALWAYS.slice(0, 3),
        "apply Role bank-ledger: 5 writer Leases and the shard map, by name",
        ...ALWAYS.slice(4),
        "create Lease bank-writer-3: shard 3 has no writer Lease yet",
        "create Lease bank-writer-4: shard 4 has no writer Lease yet",
        "apply Secret bank-database: database ledger_bank on 5 shards of ShardSet main",
      ],
    },
    {
      name: "whose migration waits for what the spec says otherwise by now (a node, a pull secret, a limit) makes it anew",
      given: { ...READY, jobs: [job({ state: "running", configHash: "before" })] },
      want: [...ALWAYS, REQUEST, `delete Job ${JOB}: made anew: the spec wants its pods otherwise`],
    },
    {
      name: "whose migration runs as the spec says waits",
      given: {
        ...READY,
        jobs: [
          job({
            state: "running",
            configHash: migrationJob(target(), JOB, []).metadata.annotations?.["shieldx.dev/config-hash"],
          }),
        ],
      },
      want: [...ALWAYS, REQUEST],
    },
    {
      name: "keeps a migration that is done, however its pods were",
      given: { ...READY, jobs: [job({ configHash: "before" })] },
      want: [...ALWAYS, REQUEST, ...SERVE],
    },
    {
      name: "whose migration failed waits for its turn",
      given: { ...READY, jobs: [failedJob(NOW - (MIGRATION_RETRY_SECONDS - 1) * 1_000)] },
      want: [...ALWAYS, REQUEST],
    },
    {
      name: "whose migration failed long ago makes it anew",
      given: { ...READY, jobs: [failedJob(NOW - MIGRATION_RETRY_SECONDS * 1_000)] },
      want: [
        ...ALWAYS,
        REQUEST,
        `delete Job ${JOB}: made anew after 60 s: Job ${JOB} failed: backoff limit (failed attempts: 21, last: no shard)`,
      ],
    },
    {
      name: "whose migration failed long ago waits for its shards",
      given: { ...READY, shardSet: readyShardSet({ shardsReady: 1 }), jobs: [failedJob(0)] },
      want: [...ALWAYS, REQUEST],
    },
    {
      name: "with a kept database on another ShardSet does nothing",
      given: {
        ...READY,
        request: kept("bank-database", { shardSet: "other", request: databaseRequest(NAMES, VERIFIERS) }),
      },
      want: [],
    },
    {
      name: "whose database somebody else asks for does not migrate",
      given: { ...READY, jobs: [], databaseTakenBy: "foreign" },
      want: [...ALWAYS, REQUEST],
    },
  ])("$name", ({ given, want }) => {
    expect(linesOf(plan(given).actions)).toEqual(want);
  });

  test("a broken kept Secret stops everything", () => {
    const given = assessment(READY, { problem: "Secret bank-roles lacks a key" });
    expect(planFor(given).actions).toEqual([]);
  });

  test("a CA that cannot be used stops what is signed with it, and nothing else", () => {
    const pki = { problem: "Secret bank-ca-key holds no usable CA", leaves: new Map() };
    expect(linesOf(planFor(assessment(READY, { verifiers: VERIFIERS, pki })).actions)).toEqual([
      ...ALWAYS.slice(2),
      REQUEST,
      ...SERVE,
    ]);
  });

  test("a new certificate is applied with its reason; a CA that is trusted already stays in the bundle", () => {
    const renewed = { pair: { certPem: "new", keyPem: "key" }, why: "the old one ends" };
    const given = assessment(
      { ...READY, ca: kept("bank-ca", "FIRST ROOT\n") },
      { verifiers: VERIFIERS, pki: { leaves: new Map([["bank-tls", renewed]]) } },
    );
    const [ca, tls] = planFor(given).actions;
    expect(secretText(ca, "ca.crt")).toBe("FIRST ROOT\nCA\n");
    expect(tls).toMatchObject({ type: "apply", note: "new server certificate: the old one ends" });
    expect(secretText(tls, "ca.crt")).toBe("FIRST ROOT\nCA\n");
  });

  test.each([
    ["at rest", READY, CERTIFICATE_CHECK_SECONDS],
    ["after a failed migration", { ...READY, jobs: [failedJob(NOW - 10_000)] }, MIGRATION_RETRY_SECONDS - 10],
    [
      "when a retry is due but a gate is closed",
      { ...READY, shardSet: shardSet(), jobs: [failedJob(0)] },
      CERTIFICATE_CHECK_SECONDS,
    ],
  ])("it looks again %s", (_name, given, seconds) => {
    expect(plan(given).requeueAfterSeconds).toBe(seconds);
  });
});

describe("deletion", () => {
  const deleting = (deletionPolicy: "Retain" | "Delete", finalizers: string[] = [FINALIZER]): Seen => ({
    ...READY,
    deployment: deployment(),
    request: kept("bank-database", { shardSet: "main", request: databaseRequest(NAMES, VERIFIERS) }),
    ledger: ledger({
      metadata: { name: "bank", namespace: "bank-ns", finalizers, deletionTimestamp: "2025-01-01T00:00:00Z" },
      spec: spec({ deletionPolicy }),
    }),
  });
  const workload = [
    "delete Deployment bank: the ledger is being deleted",
    `delete Job ${JOB}: the ledger is being deleted`,
    "delete Secret bank-tls: the ledger is being deleted",
  ];
  const keys = [
    "delete Lease bank-writer-0: deletionPolicy is Delete",
    "delete Lease bank-writer-1: deletionPolicy is Delete",
    "delete Lease bank-writer-2: deletionPolicy is Delete",
    "delete Secret bank-ca: deletionPolicy is Delete",
    "delete Secret bank-ca-key: deletionPolicy is Delete",
    "delete Secret bank-admin-key: deletionPolicy is Delete",
    "delete Secret bank-roles: deletionPolicy is Delete",
    "delete Secret bank-database: deletionPolicy is Delete",
    "patch CreditLedger bank: clean-up is done: let the deletion go on",
  ];
  const drop = { ...databaseRequest(NAMES, VERIFIERS), drop: true };

  test.each<Row>([
    {
      name: "Retain removes the workload and lets go",
      given: deleting("Retain"),
      want: [...workload, "patch CreditLedger bank: clean-up is done: let the deletion go on"],
    },
    {
      name: "Retain takes back a drop that was asked for before",
      given: { ...deleting("Retain"), request: kept("bank-database", { shardSet: "main", request: drop }) },
      want: [
        ...workload,
        "apply Secret bank-database: deletionPolicy is Retain now: the drop is taken back",
        "patch CreditLedger bank: clean-up is done: let the deletion go on",
      ],
    },
    {
      name: "Delete asks for the drop and holds on",
      given: deleting("Delete"),
      want: [...workload, "apply Secret bank-database: database ledger_bank is to be dropped"],
    },
    {
      name: "Delete takes no older answer for the answer to its drop",
      given: { ...deleting("Delete"), shardSet: readyShardSet() },
      want: [...workload, "apply Secret bank-database: database ledger_bank is to be dropped"],
    },
    {
      name: "Delete holds on while one shard has not dropped",
      given: { ...deleting("Delete"), shardSet: readyShardSet({ request: drop, done: 2 }) },
      want: [...workload, "apply Secret bank-database: database ledger_bank is to be dropped"],
    },
    {
      name: "Delete removes keys and lets go once every shard has dropped",
      given: { ...deleting("Delete"), shardSet: readyShardSet({ request: drop }) },
      want: [...workload, ...keys],
    },
    {
      name: "Delete does not wait for a ShardSet that is gone",
      given: { ...deleting("Delete"), shardSet: undefined },
      want: [...workload, ...keys],
    },
    {
      name: "Delete leaves alone what an earlier ledger keeps on another ShardSet",
      given: {
        ...deleting("Delete"),
        request: kept("bank-database", { shardSet: "other", request: databaseRequest(NAMES, VERIFIERS) }),
      },
      want: [...workload, "patch CreditLedger bank: clean-up is done: let the deletion go on"],
    },
    {
      name: "Delete neither drops nor waits for a database that somebody else's request is served for",
      given: { ...deleting("Delete"), databaseTakenBy: "foreign" },
      want: [...workload, ...keys],
    },
  ])("$name", ({ given, want }) => {
    expect(linesOf(plan(given).actions)).toEqual(want);
  });

  test.each([
    {
      name: "was refused on kept data keeps it",
      used: {},
      want: "patch CreditLedger bank: clean-up is done: let the deletion go on",
    },
    {
      name: "has used its data drops it, also with a broken Secret",
      used: { schemaVersion: 1 },
      want: "apply Secret bank-database: database ledger_bank is to be dropped",
    },
  ])("Delete of a ledger that $name", ({ used, want }) => {
    const going = deleting("Delete");
    const status = { observedGeneration: 1, ...used };
    const given = assessment(
      { ...going, deployment: undefined, jobs: [], ledger: { ...(going.ledger ?? ledger()), status } },
      { problem: "Secret bank-roles lacks a key or its value" },
    );
    expect(linesOf(planFor(given).actions)).toEqual(["delete Secret bank-tls: the ledger is being deleted", want]);
  });

  test("Delete of a ledger that never made anything lets go at once", () => {
    const { ledger: going } = deleting("Delete");
    const given = assessment({ ledger: going ?? ledger() });
    expect(linesOf(planFor(given).actions)).toEqual([
      "patch CreditLedger bank: clean-up is done: let the deletion go on",
    ]);
  });

  test("only our finalizer is taken off, against the version that was read", () => {
    const { actions } = plan(deleting("Retain", ["other/finalizer", FINALIZER]));
    expect(actions.at(-1)).toMatchObject({
      type: "patch",
      namespace: "bank-ns",
      name: "bank",
      patch: { metadata: { finalizers: ["other/finalizer"], resourceVersion: "7" } },
    });
  });

  test("it ends when the database is gone, or at once when it is kept", () => {
    expect(plan(deleting("Retain")).isCleanedUp).toBe(true);
    expect(plan(deleting("Delete")).isCleanedUp).toBeUndefined();
  });
});

/** As the runtime carries it out: with the finalizer around it. */
function planFor(given: Assessment): Plan {
  return withFinalizer(given.world.ledger, CREDIT_LEDGER, planCreditLedger(given, NOW));
}

function plan(given: Seen): Plan {
  const pair = { certPem: "CA\n", keyPem: "key" };
  const fresh = {
    pki: { ca: pair, leaves: new Map() },
    adminKey: "sxk_1",
    passwords: { owner: "o", writer: "w", reader: "r" },
  };
  return planFor(assessment(given, given.caKey === undefined ? fresh : { verifiers: VERIFIERS }));
}

function secretText(action: Action | undefined, key: string): string {
  const { data } = (action as unknown as { object: { data: Record<string, string> } }).object;
  return Buffer.from(data[key] ?? "", "base64").toString();
}

function job(changes: Partial<ObservedJob> = {}): ObservedJob {
  return jobOf(JOB, changes);
}

function failedJob(failedAt: number): ObservedJob {
  return job({ state: "failed", failedAt, message: "backoff limit", podMessage: "no\n shard\n", failures: 21 });
}
