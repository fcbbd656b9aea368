// No two resources share an object: for names of both kinds, close to each other on purpose, in every order of arrival.
// What stands for a namespace here is the set of objects that each resource has made.
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { CreditLedger } from "../crds/creditledger.ts";
import { API_VERSION } from "../crds/group.ts";
import type { ShardSet } from "../crds/shardset.ts";
import { chooseLedgerNames, type LedgerNames, ledgerNames } from "./creditledger/creditledger.names.ts";
import { objectKey } from "./kit/names.ts";
import { chooseShardSetNames, type ShardSetNames, shardSetNames } from "./shardset/shardset.names.ts";

const SHARDS = [0, 1, 63];
const HASHES = ["0123456789", "9f0e1d2c3b"];

/** Every object of a ShardSet, by kind and name. */
function objectsOfShardSet(names: ShardSetNames): string[] {
  const of = (kind: string, ...called: readonly string[]): string[] => called.map((name) => objectKey(kind, name));
  return [
    ...of(
      "Secret",
      names.ca,
      names.caKey,
      names.caNext,
      names.operatorTls,
      names.databases,
      ...SHARDS.map(names.shardTls),
    ),
    ...of("ConfigMap", names.map),
    ...of("Lease", ...SHARDS.map(names.lease)),
    ...of("Service", ...SHARDS.map(names.shard)),
    ...of("Pod", ...SHARDS.map(names.instance)),
    ...of("PersistentVolumeClaim", ...SHARDS.map(names.instance)),
    ...["ServiceAccount", "Role", "RoleBinding", "NetworkPolicy"].flatMap((kind) => of(kind, names.access)),
  ];
}

/** Every object of a ledger, by kind and name. */
function objectsOfLedger(names: LedgerNames): string[] {
  const of = (kind: string, ...called: readonly string[]): string[] => called.map((name) => objectKey(kind, name));
  return [
    ...of("Secret", names.ca, names.caKey, names.caNext, names.tls, names.adminKey, names.roles, names.databaseRequest),
    ...of("Lease", ...SHARDS.map(names.writerLease)),
    ...of("Job", ...HASHES.map(names.migration)),
    ...of("Service", names.service),
    ...of("Deployment", names.deployment),
    ...of("PodDisruptionBudget", names.disruptionBudget),
    ...["ServiceAccount", "Role", "RoleBinding", "NetworkPolicy"].flatMap((kind) => of(kind, names.access)),
  ];
}

interface Resource {
  readonly kind: "ShardSet" | "CreditLedger";
  readonly name: string;
  /** Of a ledger. */
  readonly shardSet: string;
}

const idOf = ({ kind, name }: Pick<Resource, "kind" | "name">): string => objectKey(kind, name);

/** A namespace: who is in it, and who made which object. */
type Namespace = ReadonlyMap<string, ReadonlySet<string>>;

/** The objects that a resource makes when it looks at the namespace as it is. */
function objectsOf({ kind, name, shardSet }: Resource, namespace: Namespace): string[] {
  const made = (other: Resource["kind"]): ReadonlySet<string> =>
    namespace.get(idOf({ kind: other, name })) ?? new Set();
  const metadata = { name, namespace: "bank" };
  if (kind === "ShardSet") {
    const object = { apiVersion: API_VERSION, kind, metadata, spec: { shards: 64 } } as unknown as ShardSet;
    return objectsOfShardSet(chooseShardSetNames(object, { ours: made(kind), theirs: made("CreditLedger") }));
  }
  const object = { apiVersion: API_VERSION, kind, metadata, spec: { shardSet } } as unknown as CreditLedger;
  const hasNamesake = namespace.has(idOf({ kind: "ShardSet", name }));
  return objectsOfLedger(chooseLedgerNames(object, { ours: made(kind), theirs: made("ShardSet") }, hasNamesake));
}

/** Names that lead into each other's objects: made of few parts at a time, so that they meet. */
const PARTS = [
  "0",
  "1",
  "63",
  "64",
  "007",
  "ca",
  "ca-key",
  "ca-next",
  "tls",
  "map",
  "shard",
  "shardset",
  "ledger",
  "lease",
];
const MORE = [
  "writer",
  "operator",
  "operator-tls",
  "migrate-0123456789",
  "admin-key",
  "roles",
  "database",
  "databases",
];
const arrivals = fc.subarray([...PARTS, ...MORE], { minLength: 1, maxLength: 3 }).chain((parts) => {
  const name = fc.array(fc.constantFrom(...parts), { maxLength: 3 }).map((rest) => ["x", ...rest].join("-"));
  const resource = fc.record({
    kind: fc.constantFrom<Resource["kind"]>("ShardSet", "CreditLedger"),
    name,
    shardSet: name,
  });
  return fc.uniqueArray(resource, { selector: idOf, minLength: 2, maxLength: 12 });
});

describe("two resources never want one object", () => {
  test("whoever is first, of any names of both kinds", () => {
    fc.assert(
      fc.property(arrivals, (coming) => {
        const namespace = new Map<string, ReadonlySet<string>>();
        const holders = new Map<string, string>();
        for (const resource of coming) {
          const objects = objectsOf(resource, namespace);
          const taken = objects.filter((key) => holders.has(key));
          expect(taken.map((key) => `${key} of ${holders.get(key) ?? ""} for ${idOf(resource)}`)).toEqual([]);
          for (const key of objects) holders.set(key, idOf(resource));
          expect(new Set(objects).size).toBe(objects.length);
          namespace.set(idOf(resource), new Set(objects));
        }
        // Whoever looks again, with everybody there, has the names that it had.
        for (const resource of coming) {
          expect(new Set(objectsOf(resource, namespace))).toEqual(namespace.get(idOf(resource)));
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test.each([
    ["x", "x"],
    ["x", "x-0"],
    ["x", "x-operator"],
    ["x-writer", "x"],
    ["x", "x-0-ledger"],
    ["x", "x-ca"],
    ["x", "x-map"],
  ])("ShardSet %s and CreditLedger %s, in both orders", (shardSet, ledger) => {
    const pair: Resource[] = [
      { kind: "ShardSet", name: shardSet, shardSet: "" },
      { kind: "CreditLedger", name: ledger, shardSet: "other" },
    ];
    for (const [first, second] of [pair, pair.toReversed()] as [Resource, Resource][]) {
      const taken = objectsOf(first, new Map());
      const wanted = objectsOf(second, new Map([[idOf(first), new Set(taken)]]));
      expect(wanted.filter((key) => taken.includes(key))).toEqual([]);
    }
  });
});

describe("names stay", () => {
  test("a resource whose name nobody else wants has the names that it always had", () => {
    const alone = (resource: Resource): string[] => objectsOf(resource, new Map());
    const bank = alone({ kind: "ShardSet", name: "bank", shardSet: "" });
    expect(bank).toEqual(objectsOfShardSet(shardSetNames("bank")));
    const credits = alone({ kind: "CreditLedger", name: "credits", shardSet: "bank" });
    expect(credits).toEqual(objectsOfLedger(ledgerNames("credits")));
  });

  test("what an earlier version made under a name that is left to others now keeps it", () => {
    const before = objectsOfLedger(ledgerNames("bank-0"));
    const ledger: Resource = { kind: "CreditLedger", name: "bank-0", shardSet: "bank-0" };
    for (const remaining of [before, before.filter((key) => key !== "Service bank-0")]) {
      const namespace = new Map([
        [idOf(ledger), new Set(remaining)],
        ["ShardSet bank-0", new Set<string>()],
      ]);
      expect(objectsOf(ledger, namespace)).toEqual(before);
    }
    const writers: Resource = { kind: "ShardSet", name: "bank-writer", shardSet: "" };
    const made = objectsOfShardSet(shardSetNames("bank-writer"));
    expect(objectsOf(writers, new Map([[idOf(writers), new Set(made)]]))).toEqual(made);
  });

  test("what somebody deleted comes back under the name that the status tells", () => {
    const there = { ours: new Set<string>(), theirs: new Set<string>() };
    const ledger = {
      metadata: { name: "x", namespace: "bank" },
      spec: { shardSet: "x" },
      status: { observedGeneration: 1, caSecret: "x-ca" },
    } as unknown as CreditLedger;
    expect(chooseLedgerNames(ledger, there, true)).toMatchObject({ ca: "x-ca", caKey: "x-ca-key" });
    const numbered = {
      metadata: { name: "x-1", namespace: "bank" },
      spec: { shardSet: "x" },
      status: { observedGeneration: 1, url: "https://x-1.bank.svc" },
    } as unknown as CreditLedger;
    expect(chooseLedgerNames(numbered, there, false)).toMatchObject({ service: "x-1", tls: "x-1-tls" });
    const shardSet = {
      metadata: { name: "x", namespace: "bank" },
      spec: { shards: 1 },
      status: { observedGeneration: 1, caSecret: "x-ca-shardset" },
    } as unknown as ShardSet;
    expect(chooseShardSetNames(shardSet, there)).toMatchObject({ ca: "x-ca-shardset", caKey: "x-ca-key-shardset" });
  });
});

test("trial 14: the longest names lead to names that Kubernetes takes", () => {
  const longest = `${"a".repeat(34)}-0`;
  const apart = { authority: true, leases: true, address: true };
  const all = [
    ...objectsOfShardSet(shardSetNames(longest, apart)),
    ...objectsOfLedger(ledgerNames(longest, apart)),
    // A name of a pod of a Job: five characters more, and of a Deployment: eleven and five.
    ...HASHES.map((hash) => `Pod ${ledgerNames(longest).migration(hash)}-abcde`),
    `Pod ${ledgerNames(longest).deployment}-5d4f8c7b9-abcde`,
  ];
  expect(longest).toHaveLength(36);
  for (const key of all) expect(key.split(" ")[1]).toMatch(/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/);
});
