import { describe, expect, test } from "@jest/globals";
import { RESOURCES } from "../../lib/kube/types.ts";
import type { KeyPair } from "../kit/pki/certificates.ts";
import type { MadePki } from "../kit/pki/make.ts";
import { linesOf } from "../kit/testing/owner.ts";
import {
  ENDED_POD_LIFETIME_MS,
  POLL_READY_SECONDS,
  POLL_UNREADY_SECONDS,
  planGrowth,
  planShardSet,
} from "./shardset.plan.ts";
import {
  agent,
  assessment,
  claim,
  ending,
  kept,
  map,
  NAMES,
  pod,
  READY,
  READY_STATUS,
  ROOTS,
  requestSecret,
  type Seen,
  shardSet,
  withShard,
  withSpec,
} from "./testing/builders.ts";

// The plan as a table: what is observed, and the actions with their notes, in order.

const NOW = 1_750_000_000_000;
const SHARDS = [0, 1, 2];

const BUNDLE = "apply Secret bank-ca: clients trust the CA that signs now";
const ACCESS = [
  "apply ServiceAccount bank-shard: identity of the agents",
  "apply Role bank-shard: Leases of 3 shards, map and databases, by name",
  "apply RoleBinding bank-shard: the agents' identity gets the Role",
];
const LEASES = SHARDS.map((n) => `create Lease bank-${n}: shard ${n} has no Lease yet`);
const DATABASES = "apply Secret bank-databases: 0 database requests";
const VOLUMES = SHARDS.map((n) => `create PersistentVolumeClaim bank-${n}-0: shard ${n} has no volume yet: 1Gi`);
const MAP = "create ConfigMap bank-map: there is no shard map yet: version 1, epoch 1";
const CERTIFICATES = [
  "apply Secret bank-operator-tls: the client certificate of the controller is good",
  ...SHARDS.map((n) => `apply Secret bank-${n}-tls: the certificate of shard ${n} is good`),
];
const PODS = SHARDS.map((n) => `create Pod bank-${n}-0: shard ${n} has no pod`);
const SERVICES = SHARDS.map((n) => `apply Service bank-${n}: address of shard ${n}`);

/** What is written whatever else is to be done; the server has it already at rest. */
const around = (...between: readonly string[]): string[] => [
  BUNDLE,
  ...ACCESS,
  DATABASES,
  ...CERTIFICATES,
  ...between,
  ...SERVICES,
];

const plan = (given: Seen, made?: MadePki): string[] => linesOf(planShardSet(assessment(given, made), NOW).actions);
/** The pods that are made and removed. */
const pods = (given: Seen): string[] => plan(given).filter((line) => / Pod /.test(line));

describe("a living ShardSet", () => {
  const newPair = { pair: { certPem: "new\n", keyPem: "key\n" }, why: "there is none" };
  const certificates = new Map([NAMES.operatorTls, ...SHARDS.map(NAMES.shardTls)].map((name) => [name, newPair]));

  test("that is new gets its CA; nothing is signed, and no pod is made, before the cache holds it", () => {
    const made = { ca: { certPem: "CA\n", keyPem: "key" }, leaves: new Map() };
    expect(plan({}, made)).toEqual([
      "create Secret bank-ca-key: there is no CA yet",
      ...ACCESS,
      ...LEASES,
      DATABASES,
      ...VOLUMES,
      MAP,
      ...SERVICES,
    ]);
  });

  test("with its CA gets everything else at once, volumes before the map, pods after their certificates", () => {
    expect(plan({ caKey: ROOTS.caKey }, { leaves: certificates })).toEqual([
      BUNDLE,
      ...ACCESS,
      ...LEASES,
      DATABASES,
      ...VOLUMES,
      MAP,
      "apply Secret bank-operator-tls: new client certificate of the controller: there is none",
      ...SHARDS.map((n) => `apply Secret bank-${n}-tls: new certificate of shard ${n}: there is none`),
      ...PODS,
      ...SERVICES,
    ]);
  });

  test("at rest has nothing but what the server has already", () => {
    expect(plan(READY)).toEqual(around());
  });

  test("makes no pod without its certificate", () => {
    const given = { ...READY, pods: [], agents: [], certificates: [NAMES.operatorTls, NAMES.shardTls(1)] };
    expect(pods(given)).toEqual(["create Pod bank-1-0: shard 1 has no pod"]);
  });

  test("counts its database requests", () => {
    const requests = ["a", "b"].map((name) => requestSecret(name, `ledger_${name}`, "2026-01-01T00:00:00Z"));
    expect(plan({ ...READY, requests })).toContain("apply Secret bank-databases: 2 database requests");
  });

  test("makes its lost map anew as it was, with a higher epoch", () => {
    expect(plan({ ...READY, map: undefined })).toContain(
      "create ConfigMap bank-map: the shard map is gone and is made anew: version 1, epoch 2",
    );
  });

  test.each<[string, Seen]>([
    ["cannot be read", { ...READY, map: map(3, { value: undefined }) }],
    [
      "cannot be told from the status any more",
      {
        ...READY,
        map: undefined,
        shardSet: withSpec(
          {},
          { status: { ...READY_STATUS, shardStatuses: [{ shard: 0, ready: true, bucketCount: 7 }] } },
        ),
      },
    ],
  ])("makes no map in place of one that %s", (_name, given) => {
    expect(plan(given).filter((line) => line.includes("ConfigMap"))).toEqual([]);
  });

  test("that grows gets what the new shards need, and no other map", () => {
    const made = { leaves: new Map([[NAMES.shardTls(3), newPair]]) };
    expect(plan({ ...READY, shardSet: withSpec({ shards: 4 }) }, made)).toEqual([
      BUNDLE,
      "apply ServiceAccount bank-shard: identity of the agents",
      "apply Role bank-shard: Leases of 4 shards, map and databases, by name",
      "apply RoleBinding bank-shard: the agents' identity gets the Role",
      "create Lease bank-3: shard 3 has no Lease yet",
      DATABASES,
      "create PersistentVolumeClaim bank-3-0: shard 3 has no volume yet: 1Gi",
      "patch ConfigMap bank-map: shard 3 never had data",
      ...CERTIFICATES,
      "apply Secret bank-3-tls: new certificate of shard 3: there is none",
      "create Pod bank-3-0: shard 3 has no pod",
      ...SERVICES,
      "apply Service bank-3: address of shard 3",
    ]);
  });

  test("with a CA that cannot be used goes on with all that is not signed with it", () => {
    const made = { problem: "Secret bank-ca-key holds no usable CA", leaves: new Map() };
    const given = { ...READY, pods: withShard(READY.pods, 1, undefined) };
    expect(plan(given, made)).toEqual([...ACCESS, DATABASES, "create Pod bank-1-0: shard 1 has no pod", ...SERVICES]);
  });

  test("whose kept data does not fit gets nothing, and nothing is removed", () => {
    const foreign = {
      ...READY,
      map: map(3, { createdFor: "uid-former" }),
      shardSet: shardSet({ spec: withSpec({ shards: 2 }).spec }),
    };
    expect(planShardSet(assessment(foreign), NOW)).toEqual({ actions: [] });
    expect(planGrowth(assessment(foreign))).toEqual({ actions: [] });
  });
});

describe("pods", () => {
  const parameters = { postgres: { parameters: { work_mem: "8MB" } } };
  const updated: Seen = { ...READY, shardSet: withSpec(parameters) };
  const down = (shard: number) => withShard(READY.agents, shard, { ready: false, reason: "PostgresFailed" });

  test.each<{ readonly name: string; readonly given: Seen; readonly want: readonly string[] }>([
    { name: "that follow the spec stay", given: READY, want: [] },
    { name: "that are missing are made, all at once", given: { ...READY, pods: [], agents: [] }, want: PODS },
    {
      name: "that are missing are made also while others do not follow the spec",
      given: { ...updated, pods: withShard(READY.pods, 2, undefined) },
      want: ["create Pod bank-2-0: shard 2 has no pod"],
    },
    {
      name: "that do not follow the spec go one by one, for what is named",
      given: updated,
      want: ["delete Pod bank-0-0: pod of shard 0 is replaced: work_mem"],
    },
    {
      name: "go on with the next that does not follow once all are ready",
      given: { ...updated, pods: [pod(0, {}, parameters), pod(1), pod(2)] },
      want: ["delete Pod bank-1-0: pod of shard 1 is replaced: work_mem"],
    },
    {
      name: "wait while one that follows the spec is not ready",
      given: { ...updated, pods: [pod(0, {}, parameters), pod(1), pod(2)], agents: down(0) },
      want: [],
    },
    {
      name: "wait while one is ending",
      given: { ...updated, pods: withShard(READY.pods, 2, { deleting: true }) },
      want: [],
    },
    {
      name: "that are down anyway go first",
      given: { ...updated, agents: down(2) },
      want: ["delete Pod bank-2-0: pod of shard 2 is replaced: work_mem"],
    },
    {
      name: "that are down go all at once: nobody loses anything",
      given: { ...updated, agents: [agent(0), ...down(1).slice(1, 2), ...down(2).slice(2)] },
      want: [
        "delete Pod bank-1-0: pod of shard 1 is replaced: work_mem",
        "delete Pod bank-2-0: pod of shard 2 is replaced: work_mem",
      ],
    },
    {
      name: "stay, all of them, while an agent does not answer: out of reach is not down",
      given: { ...updated, agents: [agent(0)] },
      want: [],
    },
    {
      name: "stay also while the last answer of an agent is an earlier one",
      given: { ...updated, agents: [agent(0), agent(1), { ...agent(2), isRemembered: true }] },
      want: [],
    },
    {
      name: "stay while PostgreSQL recovers in one of them",
      given: { ...updated, agents: withShard(READY.agents, 1, { ready: false, reason: "PostgresStarting" }) },
      want: [],
    },
    {
      name: "stay, all of them, for settings that PostgreSQL refuses",
      given: {
        ...updated,
        agents: down(2),
        settings: { outcome: "refused", setting: "work_mem", message: "it says so" },
      },
      want: [],
    },
    {
      name: "that accept writes stay for settings that could not be tried",
      given: { ...updated, settings: { outcome: "unknown", message: "no answer" } },
      want: [],
    },
    {
      name: "that are down go for such settings too: nobody loses anything",
      given: { ...updated, agents: down(2), settings: { outcome: "unknown", message: "no answer" } },
      want: ["delete Pod bank-2-0: pod of shard 2 is replaced: work_mem"],
    },
    {
      name: "that never started (trial 9: an image that does not exist) go at once when the spec is corrected",
      given: {
        ...updated,
        pods: withShard(READY.pods, 1, { phase: "Pending", ready: false, isStarted: false }),
        agents: [agent(0), agent(2)],
      },
      want: ["delete Pod bank-1-0: pod of shard 1 is replaced: work_mem"],
    },
    {
      name: "that ended right after they were made go at once when the spec is corrected",
      given: {
        ...updated,
        pods: withShard(READY.pods, 1, { phase: "Failed", isStarted: false, createdAt: NOW - 1 }),
        agents: [agent(0), agent(2)],
      },
      want: ["delete Pod bank-1-0: pod of shard 1 is replaced: work_mem"],
    },
    {
      name: "that are the last on a deleted volume stay, whatever the spec",
      given: { ...updated, claims: withShard(READY.claims, 0, { deleting: true }) },
      want: ["delete Pod bank-1-0: pod of shard 1 is replaced: work_mem"],
    },
    {
      name: "that have ended on a deleted volume stay too: it would go with them",
      given: {
        ...READY,
        claims: withShard(READY.claims, 0, { deleting: true }),
        pods: withShard(READY.pods, 0, { phase: "Failed" }),
      },
      want: [],
    },
    {
      name: "are not made on a deleted volume",
      given: {
        ...READY,
        claims: withShard(READY.claims, 0, { deleting: true }),
        pods: withShard(READY.pods, 0, undefined),
      },
      want: [],
    },
    {
      name: "are not made without a volume that holds data",
      given: { ...READY, claims: withShard(READY.claims, 0, undefined), pods: withShard(READY.pods, 0, undefined) },
      want: [],
    },
    {
      name: "that have ended are made anew, all of them",
      given: { ...READY, pods: [pod(0), pod(1, { phase: "Failed" }), pod(2, { phase: "Succeeded" })] },
      want: [
        "delete Pod bank-1-0: pod of shard 1 has ended (Failed) and is made anew",
        "delete Pod bank-2-0: pod of shard 2 has ended (Succeeded) and is made anew",
      ],
    },
    {
      name: "that have ended and are going already are left alone",
      given: { ...READY, pods: withShard(READY.pods, 1, { phase: "Failed", deleting: true }) },
      want: [],
    },
    {
      name: "that ended right after they were made are left for a while: the next would end too",
      given: {
        ...READY,
        pods: withShard(READY.pods, 1, { phase: "Failed", createdAt: NOW - ENDED_POD_LIFETIME_MS + 1 }),
      },
      want: [],
    },
    {
      name: "that ended later than that are made anew",
      given: { ...READY, pods: withShard(READY.pods, 1, { phase: "Failed", createdAt: NOW - ENDED_POD_LIFETIME_MS }) },
      want: ["delete Pod bank-1-0: pod of shard 1 has ended (Failed) and is made anew"],
    },
    {
      name: "from the future are not waited for",
      given: { ...READY, pods: withShard(READY.pods, 1, { phase: "Failed", createdAt: NOW + 1 }) },
      want: ["delete Pod bank-1-0: pod of shard 1 has ended (Failed) and is made anew"],
    },
  ])("$name", ({ given, want }) => {
    expect(pods(given)).toEqual(want);
  });
});

describe("volumes", () => {
  const growth = (given: Seen): string[] => linesOf(planGrowth(assessment(given)).actions);
  const larger = withSpec({ storage: { size: "2Gi" } });

  test("grow aside from the plan, and only once they are bound", () => {
    const claims = [claim(0), claim(1, { capacity: undefined }), claim(2, { requested: "2Gi", capacity: "1Gi" })];
    expect(growth({ ...READY, shardSet: larger, claims })).toEqual([
      "patch PersistentVolumeClaim bank-0-0: volume of shard 0 grows from 1Gi to 2Gi",
    ]);
    expect(plan({ ...READY, shardSet: larger, claims })).toEqual(around());
  });

  test("never shrink", () => {
    expect(growth({ ...READY, claims: [claim(0, { requested: "2Gi", capacity: "2Gi" }), claim(1), claim(2)] })).toEqual(
      [],
    );
  });

  test("of a ShardSet that is ending do not grow", () => {
    expect(growth({ ...READY, shardSet: ending({ storage: { size: "2Gi" } }) })).toEqual([]);
  });

  test("that hold data and are lost are never made anew, also when the map is lost with them", () => {
    const claims = withShard(READY.claims, 1, undefined);
    expect(plan({ ...READY, claims }).filter((line) => line.includes("PersistentVolumeClaim"))).toEqual([]);
    expect(plan({ ...READY, claims, map: undefined }).filter((line) => line.includes("PersistentVolumeClaim"))).toEqual(
      [],
    );
  });
});

describe("it looks again", () => {
  test.each<[string, Seen, number]>([
    ["at rest", READY, POLL_READY_SECONDS],
    ["while a shard is not ready", { ...READY, agents: READY.agents.slice(1) }, POLL_UNREADY_SECONDS],
    ["while a pod does not follow the spec", { ...READY, shardSet: withSpec({ resources: {} }) }, POLL_UNREADY_SECONDS],
    ["while pods are ending", { ...READY, shardSet: ending() }, POLL_READY_SECONDS],
  ])("%s", (_name, given, seconds) => {
    expect(planShardSet(assessment(given), NOW).requeueAfterSeconds).toBe(seconds);
  });
});

describe("deletion", () => {
  const owned = [
    { resource: RESOURCES.Service, namespace: "demo", name: "bank-0", uid: "uid-service" },
    { resource: RESOURCES.Lease, namespace: "demo", name: "bank-0", uid: "uid-lease" },
  ];
  const note = "the ShardSet is being deleted";
  const workload = [`delete Service bank-0: ${note}`, `delete Lease bank-0: ${note}`];
  const data = [
    ...SHARDS.map((n) => `delete PersistentVolumeClaim bank-${n}-0: deletionPolicy is Delete`),
    "delete ConfigMap bank-map: deletionPolicy is Delete",
    "delete Secret bank-ca: deletionPolicy is Delete",
    "delete Secret bank-ca-key: deletionPolicy is Delete",
  ];
  const gone: Seen = { ...READY, owned, pods: [], agents: [] };
  const never = ending({ deletionPolicy: "Delete" }, { status: { observedGeneration: 1 } });

  test.each<{ readonly name: string; readonly given: Seen; readonly want: readonly string[]; readonly ends?: true }>([
    {
      name: "with a ledger on it goes on as ever",
      given: { ...READY, owned, shardSet: ending({ deletionPolicy: "Delete" }), ledgers: ["credits"] },
      want: around(),
    },
    {
      name: "takes the pods first, and everything else stays for them",
      given: { ...READY, owned, shardSet: ending({ deletionPolicy: "Delete" }) },
      want: SHARDS.map((n) => `delete Pod bank-${n}-0: ${note}`),
    },
    {
      name: "waits for pods that are ending, also those that the spec has no more",
      given: { ...gone, shardSet: ending({ shards: 2 }), pods: [pod(2, { deleting: true })] },
      want: [],
    },
    { name: "with Retain keeps data and CA", given: { ...gone, shardSet: ending() }, want: workload, ends: true },
    {
      name: "with Delete removes them last",
      given: { ...gone, shardSet: ending({ deletionPolicy: "Delete" }) },
      want: [...workload, ...data],
      ends: true,
    },
    {
      name: "with Delete removes what there is",
      given: {
        shardSet: ending({ deletionPolicy: "Delete" }),
        claims: [claim(1)],
        caKey: kept<KeyPair>(NAMES.caKey, undefined),
      },
      want: [
        "delete PersistentVolumeClaim bank-1-0: deletionPolicy is Delete",
        "delete Secret bank-ca-key: deletionPolicy is Delete",
      ],
      ends: true,
    },
    {
      name: "with Delete leaves alone what it never took over",
      given: { ...gone, shardSet: never, map: map(3, { createdFor: "uid-former" }) },
      want: workload,
      ends: true,
    },
    {
      name: "with Delete leaves alone the volumes of an earlier one without a map",
      given: { ...gone, shardSet: never, map: undefined, claims: [claim(0, { createdFor: "uid-former" })] },
      want: workload,
      ends: true,
    },
    {
      name: "with Delete removes what it began to make itself",
      given: { ...gone, shardSet: never },
      want: [...workload, ...data],
      ends: true,
    },
  ])("$name", ({ given, want, ends }) => {
    const { actions, isCleanedUp } = planShardSet(assessment(given), NOW);
    expect(linesOf(actions)).toEqual(want);
    expect(isCleanedUp).toBe(ends);
  });
});
