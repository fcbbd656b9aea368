import { describe, expect, test } from "@jest/globals";
import { requestHash } from "../../crds/database-request.ts";
import { BUCKET_COUNT, proposeOwners } from "../../lib/core/ring.ts";
import type { MadePki } from "../kit/pki/make.ts";
import type { ShardSetConditions } from "./shardset.conditions.ts";
import { mergeRequests } from "./shardset.databases.ts";
import { PARAMETERS_VARIABLE } from "./shardset.pod.ts";
import {
  agent,
  assessment,
  claim,
  databaseRequest,
  ending,
  map,
  NAMES,
  pod,
  READY,
  READY_STATUS,
  requestSecret,
  type Seen,
  shardSet,
  spec,
  withShard,
  withSpec,
} from "./testing/builders.ts";

// What is so, as tables: what is observed, and what is made of it.

const COUNTS = [0, 1, 2].map((shard) => proposeOwners(3).filter((owner) => owner === shard).length);
const OWNERS = new Map(COUNTS.map((count, shard) => [shard, count]));
const FORMER = "uid-former";

/** A ShardSet that has published no map yet. */
const fresh = (shards = 3) => shardSet({ spec: spec({ shards }) });

describe("the map", () => {
  const mapOf = (given: Seen) => assessment(given).map;

  test("that is published says who owns what", () => {
    expect(mapOf(READY)).toEqual({ counts: OWNERS, owners: OWNERS, wanted: undefined });
  });

  test("of a new ShardSet is the ring's", () => {
    const wanted = { version: 1, epoch: 1, owners: proposeOwners(3) };
    expect(mapOf({})).toEqual({ counts: new Map(), owners: new Map(), wanted });
  });

  test("that is lost is remembered by the status, and wanted with a higher epoch", () => {
    const wanted = { version: 1, epoch: 2, owners: proposeOwners(3) };
    expect(mapOf({ ...READY, map: undefined })).toEqual({ counts: new Map(), owners: OWNERS, wanted });
  });

  test("that is lost is that of the shards that owned buckets, however many the spec has now", () => {
    const given = { ...READY, map: undefined, shardSet: withSpec({ shards: 5 }) };
    expect(mapOf(given).wanted?.owners).toEqual(proposeOwners(3));
  });

  test("that cannot be read is remembered, and nobody writes over it", () => {
    expect(mapOf({ ...READY, map: map(3, { value: undefined }) })).toEqual({
      counts: new Map(),
      owners: OWNERS,
      wanted: undefined,
    });
  });

  test.each<[string, readonly { shard: number; bucketCount: number }[]]>([
    ["nobody remembers", []],
    [
      "was not the ring's",
      [
        { shard: 0, bucketCount: BUCKET_COUNT - 1 },
        { shard: 1, bucketCount: 1 },
      ],
    ],
    ["is remembered in part", COUNTS.slice(0, 2).map((bucketCount, shard) => ({ shard, bucketCount }))],
  ])("that %s is not guessed", (_name, remembered) => {
    const shardStatuses = remembered.map((state) => ({ ...state, ready: true }));
    const given = { ...READY, map: undefined, shardSet: withSpec({}, { status: { ...READY_STATUS, shardStatuses } }) };
    expect(mapOf(given).wanted).toBeUndefined();
  });
});

/** A container whose image is denied. */
const WITHOUT_IMAGE = {
  name: "postgres",
  image: "shieldx-postgres:1",
  restarts: 0,
  isRunning: false,
  waits: { reason: "ImagePullBackOff", message: "denied" },
  lastEnd: undefined,
};

describe("volumes", () => {
  const volumesOf = (given: Seen, made?: MadePki) => assessment(given, made).volumes;
  const rest = {
    lost: [],
    wrong: [],
    worthless: [],
    ending: [],
    toGrow: [],
    larger: [],
    growing: [],
    isForeign: false,
    conflict: undefined,
  };
  const [first, second, third] = [claim(0), claim(1), claim(2)];

  test.each<[string, Seen, object]>([
    ["at rest are nobody's concern", READY, {}],
    ["of a new ShardSet are not lost: they were never there", { shardSet: fresh() }, {}],
    ["that own buckets are lost when they are gone", { ...READY, claims: [second] }, { lost: [0, 2] }],
    ["are lost also with the map", { ...READY, map: undefined, claims: [first, third] }, { lost: [1] }],
    [
      "are lost also with the map broken",
      { ...READY, map: map(3, { value: undefined }), claims: [] },
      { lost: [0, 1, 2] },
    ],
    ["of shards without buckets may be made", { ...READY, shardSet: withSpec({ shards: 4 }) }, {}],
    [
      "that somebody deleted are about to go, in order",
      { ...READY, claims: [claim(2, { deleting: true }), second, claim(0, { deleting: true })] },
      { ending: [0, 2] },
    ],
    [
      "smaller than the spec grow once they are bound",
      {
        ...READY,
        shardSet: withSpec({ storage: { size: "2Gi" } }),
        claims: [first, claim(1, { capacity: undefined }), claim(2, { requested: "2Gi" })],
      },
      { toGrow: [0], growing: [0, 1, 2] },
    ],
    [
      "of the spec's size in another notation do not",
      { ...READY, shardSet: withSpec({ storage: { size: "1024Mi" } }) },
      {},
    ],
    [
      "larger than the spec stay",
      { ...READY, claims: [first, claim(1, { requested: "2Gi", capacity: "2Gi" }), third] },
      { larger: [1] },
    ],
    [
      "whose node has not grown them yet are growing",
      { ...READY, claims: [first, second, claim(2, { capacity: "512Mi" })] },
      { growing: [2] },
    ],
  ])("%s", (_name, given, want) => {
    expect(volumesOf(given)).toEqual({ ...rest, ...want });
  });

  const kept: Seen = {
    ...READY,
    shardSet: fresh(),
    map: map(3, { createdFor: FORMER }),
    claims: [0, 1, 2].map((shard) => claim(shard, { createdFor: FORMER })),
  };
  test.each<[string, Seen, string | undefined]>([
    ["that fits", kept, undefined],
    ["that fits more shards", { ...kept, shardSet: fresh(5) }, undefined],
    [
      "of more shards",
      { ...kept, shardSet: fresh(2) },
      "ConfigMap bank-map is kept and names 3 shards, but spec.shards is 2",
    ],
    [
      "without a map",
      { ...kept, map: undefined },
      "volumes bank-0-0, bank-1-0, bank-2-0 are kept, but ConfigMap bank-map is missing; restore it, or delete the volumes",
    ],
    [
      "with a broken map",
      { ...kept, map: map(3, { createdFor: FORMER, value: undefined }) },
      "ConfigMap bank-map is kept, but cannot be read; restore it from a good copy",
    ],
    [
      "without the CA",
      { ...kept, caKey: undefined },
      "ConfigMap bank-map is kept, but Secret bank-ca-key is missing; restore it",
    ],
    [
      "without its bundle",
      { ...kept, ca: undefined },
      "ConfigMap bank-map is kept, but Secret bank-ca is missing; restore it",
    ],
    [
      "without volumes",
      { ...kept, claims: [claim(1, { createdFor: FORMER })] },
      "ConfigMap bank-map is kept, but volumes bank-0-0, bank-2-0 are missing; restore them, or, if there never was data on them, delete ConfigMap bank-map to begin without",
    ],
  ])("of an earlier ShardSet: data %s", (_name, given, conflict) => {
    expect(volumesOf(given)).toMatchObject({ conflict, isForeign: true });
  });

  test("of an earlier ShardSet: data with a CA that cannot be used", () => {
    expect(volumesOf(kept, { problem: "it is RSA", leaves: new Map() }).conflict).toBe(
      "ConfigMap bank-map is kept, but Secret bank-ca-key holds no usable CA; restore it",
    );
  });

  test("of an earlier ShardSet are this one's once it has published their map", () => {
    expect(volumesOf({ ...kept, shardSet: withSpec({ shards: 2 }) })).toMatchObject({
      conflict: undefined,
      isForeign: false,
    });
  });

  test("that this ShardSet itself has begun to make are no conflict", () => {
    const begun = { claims: [claim(0)], map: undefined, shardSet: fresh() };
    expect(volumesOf(begun)).toMatchObject({ conflict: undefined, isForeign: false });
    expect(volumesOf({ ...begun, map: map(3) })).toMatchObject({ conflict: undefined, isForeign: false });
  });
});

describe("a shard", () => {
  const stateOf = (given: Seen, shard = 1) => {
    const { ready, reason, message } = assessment(given).shards[shard] ?? { ready: false, reason: "", message: "" };
    return { ready, reason, message };
  };
  const withPod = (changes: Parameters<typeof pod>[1]): Seen => ({
    ...READY,
    agents: withShard(READY.agents, 1, undefined),
    pods: withShard(READY.pods, 1, changes ?? {}),
  });

  test.each<[string, Seen, string, string | undefined]>([
    ["that its agent calls ready", READY, "Ready", undefined],
    [
      "without a pod",
      { ...READY, pods: withShard(READY.pods, 1, undefined) },
      "Provisioning",
      "pod bank-1-0 does not exist yet",
    ],
    [
      "whose pod is ending, whatever its agent says",
      { ...READY, pods: withShard(READY.pods, 1, { deleting: true }) },
      "ShardNotReady",
      "pod bank-1-0 is ending",
    ],
    [
      "whose pod does not end, since its node does not answer",
      { ...READY, pods: withShard(READY.pods, 1, { deleting: true, endsBy: -60_000 }) },
      "ShardNotReady",
      "pod bank-1-0 should have ended at 1969-12-31T23:59:00.000Z, but node node has not said so: it goes on when the node answers; if the node is gone for good: kubectl delete pod bank-1-0 -n demo --force",
    ],
    [
      "in the words of its agent",
      {
        ...READY,
        agents: withShard(READY.agents, 1, { ready: false, reason: "WaitingForLease", message: "held by x" }),
      },
      "ShardNotReady",
      "WaitingForLease: held by x",
    ],
    [
      "in the words of scheduler and kubelet",
      withPod({ phase: "Pending", ready: false, unscheduled: { reason: "Unschedulable", message: "no node" } }),
      "Provisioning",
      "pod bank-1-0: Unschedulable: no node",
    ],
    ["whose pod does not run", withPod({ phase: "Failed" }), "Provisioning", "pod bank-1-0 is Failed"],
    [
      "whose agent does not answer",
      withPod({}),
      "AgentUnreachable",
      "the agent of pod bank-1-0 on node node does not answer",
    ],
    [
      "whose volume is lost, whatever its agent says",
      { ...READY, claims: withShard(READY.claims, 1, undefined) },
      "VolumeLost",
      "volume bank-1-0 is gone; restore it under this name with labels shieldx.dev/kind=ShardSet, shieldx.dev/name=bank, shieldx.dev/shard=1; if it is there, it lacks them: kubectl label --overwrite pvc bank-1-0 -n demo shieldx.dev/kind=ShardSet shieldx.dev/name=bank shieldx.dev/shard=1",
    ],
  ])("%s", (_name, given, reason, message) => {
    expect(stateOf(given)).toEqual({ ready: message === undefined, reason, message });
  });

  test("owns its buckets of the map", () => {
    expect(
      assessment({ ...READY, shardSet: withSpec({ shards: 4 }) }).shards.map(({ bucketCount }) => bucketCount),
    ).toEqual([...COUNTS, 0]);
  });

  const PULLED = { imagePullSecrets: [{ name: "registry" }] };
  const differenceOf = (given: Seen): string | undefined => assessment(given).shards[0]?.difference;
  const parameters = (values: Record<string, string>) => ({ postgres: { parameters: values } });
  /** A pod whose settings are this text. */
  const settings = (value: string): NonNullable<Seen["pods"]> => {
    const made = pod(0).spec as {
      readonly containers: readonly [{ readonly env: readonly { readonly name: string }[] }];
    };
    const [container] = made.containers;
    const env = container.env.map((item) => (item.name === PARAMETERS_VARIABLE ? { name: item.name, value } : item));
    return [pod(0, { configHash: "other", spec: { ...made, containers: [{ ...container, env }] } })];
  };

  test.each<[string, Seen, string | undefined]>([
    ["is none", READY, undefined],
    ["is none without a pod", { ...READY, pods: [] }, undefined],
    [
      "of settings has their names",
      { ...READY, shardSet: withSpec(parameters({ work_mem: "8MB", jit: "off" })) },
      "jit, work_mem",
    ],
    [
      "of a setting that was taken out has its name",
      {
        ...READY,
        pods: [pod(0, {}, parameters({ work_mem: "8MB", jit: "off" }))],
        shardSet: withSpec(parameters({ jit: "off" })),
      },
      "work_mem",
    ],
    [
      "of much has the first three and a number",
      { ...READY, shardSet: withSpec(parameters({ a: "1", b: "1", c: "1", d: "1", e: "1" })) },
      "a, b, c, 2 more",
    ],
    [
      "of a node has its label",
      { ...READY, shardSet: withSpec({ scheduling: { nodeSelector: { disk: "fast" } } }) },
      "nodeSelector",
    ],
    [
      "of a priority has its name",
      { ...READY, shardSet: withSpec({ scheduling: { priorityClassName: "databases" } }) },
      "priorityClassName",
    ],
    ["in pull secrets is none for a pod that runs", { ...READY, shardSet: withSpec(PULLED) }, undefined],
    [
      "in pull secrets counts for a pod that has no image yet",
      { ...READY, pods: [pod(0, { phase: "Pending" })], shardSet: withSpec(PULLED) },
      "imagePullSecrets",
    ],
    [
      "in pull secrets counts for a pod whose image is gone from its node",
      { ...READY, pods: [pod(0, { containers: [WITHOUT_IMAGE] })], shardSet: withSpec(PULLED) },
      "imagePullSecrets",
    ],
    [
      "in pull secrets is none for a pod that has them",
      { ...READY, pods: [pod(0, { phase: "Pending" }, PULLED)], shardSet: withSpec(PULLED) },
      undefined,
    ],
    [
      "in pull secrets is none where those of the ServiceAccount are in force",
      { ...READY, pods: [pod(0, { phase: "Pending" }, PULLED)] },
      undefined,
    ],
    [
      "in the spelling of a quantity is none",
      {
        ...READY,
        pods: [pod(0, {}, { resources: { requests: { cpu: "1" } } })],
        shardSet: withSpec({ resources: { requests: { cpu: 1 } } }),
      },
      undefined,
    ],
    [
      "that cannot be seen beside defaults is told as such",
      { ...READY, pods: [pod(0, { configHash: "other" })] },
      "a field that was taken out of the spec",
    ],
    [
      "from settings that are no settings is every one of them",
      {
        ...READY,
        shardSet: withSpec(parameters({ jit: "off" })),
        pods: settings("null"),
      },
      "jit",
    ],
    [
      "from settings that cannot be read is every one of them",
      {
        ...READY,
        shardSet: withSpec(parameters({ jit: "off" })),
        pods: settings("{"),
      },
      "jit",
    ],
  ])("its difference from the spec %s", (_name, given, want) => {
    expect(differenceOf(given)).toBe(want);
  });
});

describe("databases", () => {
  const OLD = "2026-01-01T00:00:00Z";
  const NEW = "2026-01-02T00:00:00Z";

  test("are merged by name; what is second, unreadable or too much is left out and named", () => {
    const merged = mergeRequests([
      requestSecret("younger", "ledger_a", NEW),
      requestSecret("z", "ledger_b", OLD),
      requestSecret("older", "ledger_a", OLD),
      requestSecret("broken", "ledger_c", OLD, "{"),
      { ...requestSecret("empty", "ledger_d", OLD), data: {} },
    ]);
    expect(merged.accepted.map(({ database }) => database)).toEqual(["ledger_a", "ledger_b"]);
    expect(merged.problems).toEqual([
      expect.stringMatching(/^Secret broken: the database request is not/),
      "Secret empty: it has no request.json",
      "Secret younger: database ledger_a is requested by the older Secret older",
    ]);
  });

  test("of the same age are told apart by their names", () => {
    const { problems } = mergeRequests([requestSecret("b", "ledger_a", OLD), requestSecret("a", "ledger_a", OLD)]);
    expect(problems).toEqual(["Secret b: database ledger_a is requested by the older Secret a"]);
  });

  test("beyond what a ShardSet keeps are refused, the youngest first", () => {
    const many = Array.from({ length: 257 }, (_, index) =>
      requestSecret(`r${String(index).padStart(3, "0")}`, `ledger_${index}`, index === 0 ? NEW : OLD),
    );
    const { accepted, problems } = mergeRequests(many);
    expect(accepted).toHaveLength(256);
    expect(problems).toEqual(["Secret r000: a ShardSet keeps at most 256 databases"]);
  });

  test("count the shards that have carried out this very request", () => {
    const hash = requestHash(databaseRequest("ledger_a"));
    const answer = (changes: object) => ({ database: "ledger_a", ready: true, requestHash: hash, ...changes });
    const given = {
      ...READY,
      shardSet: withSpec({ shards: 6 }),
      requests: [requestSecret("r", "ledger_a", OLD)],
      agents: [
        agent(0, { databases: [answer({})] }),
        agent(1, { databases: [answer({ requestHash: "older" })] }),
        agent(2, { databases: [answer({ ready: false, message: "the disk is full" })] }),
        agent(3, { databases: [answer({ ready: false })] }),
        agent(4),
      ],
    };
    expect(assessment(given).databases).toEqual([
      {
        name: "ledger_a",
        requestHash: hash,
        shardsReady: 1,
        missing: [
          { shard: 1, why: "has not answered to it yet" },
          { shard: 2, why: "the disk is full" },
          { shard: 3, why: "is working on it" },
          { shard: 4, why: "has not answered to it yet" },
          { shard: 5, why: "has not answered to it yet" },
        ],
      },
    ]);
  });
});

describe("conditions", () => {
  const says = (given: Seen, type: keyof ShardSetConditions): string => {
    const { status, reason, message } = assessment(given).conditions[type];
    return `${status} ${reason}: ${message}`;
  };
  const down = withShard(READY.agents, 1, { ready: false, reason: "Starting", message: "soon" });
  const grown = { ...READY, shardSet: withSpec({ shards: 4 }) };
  const asked = { ...READY, requests: [requestSecret("r", "ledger_a", "2026-01-01T00:00:00Z")] };

  const disk = (level: string, message = "") => ({ disk: { level, message, totalBytes: 1, freeBytes: 1 } });
  const volumes = (...levels: readonly [level: string, message?: string][]): Seen => ({
    ...READY,
    agents: levels.map(([level, message], shard) => agent(shard, disk(level, message))),
  });
  const filling = "92% of 1.0 GiB used, 81 MiB free; below 32 MiB writes are refused";

  const rows: readonly (readonly [found: () => string, want: string])[] = [
    [() => says(READY, "Available"), "True ShardsAvailable: 3 of 3 shards that own buckets accept writes"],
    [
      () => says({ ...READY, agents: down }, "Available"),
      `False ShardUnavailable: ${COUNTS[1]} of 4096 buckets cannot be written: shard 1: Starting: soon`,
    ],
    [() => says(grown, "Available"), "True ShardsAvailable: 3 of 3 shards that own buckets accept writes"],
    [() => says({}, "Available"), "False MapPending: no shard owns buckets yet"],
    [() => says(READY, "MapPublished"), "True MapPublished: version 1 is published and in use"],
    [() => says({}, "MapPublished"), "False MapPending: ConfigMap bank-map does not exist yet"],
    [
      () => says({ ...READY, map: map(3, { value: undefined }) }, "MapPublished"),
      "False MapInvalid: ConfigMap bank-map cannot be read; restore it from a good copy",
    ],
    [
      () =>
        says(
          { ...READY, map: undefined, shardSet: withSpec({}, { status: { ...READY_STATUS, shardStatuses: [] } }) },
          "MapPublished",
        ),
      "False MapInvalid: ConfigMap bank-map is gone, and the status does not tell which shard owns how many buckets; restore it from a good copy, or from a shard's database (docs/operations.md)",
    ],
    [
      () => says({ ...READY, agents: withShard(READY.agents, 2, { mapVersion: 0 }) }, "MapPublished"),
      "False MapPending: version 1 is published; shard 2 has version 0",
    ],
    [
      () => says({ ...READY, agents: withShard(down, 1, { mapVersion: 0 }) }, "MapPublished"),
      "True MapPublished: version 1 is published and in use",
    ],
    [() => says(READY, "Balanced"), "True Balanced: 4096 buckets on 3 shards"],
    [
      () => says(grown, "Balanced"),
      "False MoveUnavailable: shard 3 owns no bucket, because moving data between shards is not available yet",
    ],
    [
      () => says({ ...READY, shardSet: withSpec({ shards: 5 }) }, "Balanced"),
      "False MoveUnavailable: shards 3, 4 own no bucket, because moving data between shards is not available yet",
    ],
    [() => says(READY, "DatabasesReady"), "True NoDatabases: no database is requested"],
    [
      () => says(asked, "DatabasesReady"),
      "False DatabasesPending: ledger_a: shard 0 has not answered to it yet, shard 1 has not answered to it yet, shard 2 has not answered to it yet",
    ],
    [
      () => says(volumes(["enough"], ["enough"], ["enough"]), "DiskPressure"),
      "False DiskSpaceEnough: none of 3 volumes is nearly full",
    ],
    [
      () => says(volumes(["low", filling], ["enough"], ["enough"]), "DiskPressure"),
      `True DiskFilling: shard 0: ${filling}`,
    ],
    [
      () => says(volumes(["low", filling], ["full", "the volume is full"], ["enough"]), "DiskPressure"),
      `True DiskFull: shard 0: ${filling}; shard 1: the volume is full`,
    ],
    [
      () => says({ ...READY, agents: [agent(0, disk("enough")), agent(1)] }, "DiskPressure"),
      "Unknown DiskUnknown: 2 of 3 agents have not said how full their volumes are",
    ],
    [
      () => says({ ...asked, requests: [{ ...asked.requests[0], data: {} } as never] }, "DatabasesReady"),
      "False DatabaseRequestInvalid: Secret r: it has no request.json",
    ],
  ];
  test.each(rows.map(([found, want]) => [want, found] as const))("%s", (want, found) => {
    expect(found()).toBe(want);
  });
});

test("of a ShardSet that is ending is what it was", () => {
  expect(assessment({ ...READY, shardSet: ending() }).volumes.lost).toEqual([]);
  expect(assessment({ ...READY, shardSet: ending() }).world.isEnding).toBe(true);
  expect(assessment({ ...READY, shardSet: ending(), ledgers: [NAMES.map] }).world.isEnding).toBe(false);
});
