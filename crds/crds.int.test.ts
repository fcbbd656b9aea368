// The generated CRDs on a real API server: accepted, samples created, bad input refused with its sentence (asked through
// kubectl, as users do), and random objects accepted by the server exactly when zod accepts them.
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { parse } from "yaml";
import { systemClock } from "../lib/core/clock.ts";
import { isOperatorError } from "../lib/core/errors.ts";
import type { KubeClient } from "../lib/kube/client.ts";
import { type KubeObject, RESOURCES, type ResourceType } from "../lib/kube/types.ts";
import { startControlPlane, type TestControlPlane } from "../operator/testing/kube-apiserver.ts";
import { crdName, customResourceDefinition } from "./crd.ts";
import { CREDIT_LEDGER, creditLedgerSpec } from "./creditledger.ts";
import { API_VERSION } from "./group.ts";
import { KINDS, type KindDefinition } from "./kinds.ts";
import { SHARD_SET, type ShardSet, shardSetSpec } from "./shardset.ts";

const KUBECTL = join(import.meta.dirname, "../.build/bin/kubectl");
const SAMPLES = join(import.meta.dirname, "samples");
/** A CRD is served a moment after it was accepted. */
const ESTABLISHED_TIMEOUT_MS = 30_000;
/** Random objects of each kind. */
const RUNS = 300;

let plane: TestControlPlane;
let kube: KubeClient;

beforeAll(async () => {
  plane = await startControlPlane();
  kube = plane.client();
  for (const kind of KINDS) {
    await kube.create(RESOURCES.CustomResourceDefinition, customResourceDefinition(kind) as KubeObject);
  }
  const endsAt = systemClock.monotonic() + ESTABLISHED_TIMEOUT_MS;
  for (const kind of KINDS) {
    while (!(await isServed(kind))) {
      if (systemClock.monotonic() > endsAt) throw new Error(`${crdName(kind)} was not served in time`);
      await systemClock.sleep(50);
    }
  }
});

afterAll(async () => {
  await plane.stop();
});

async function isServed(kind: KindDefinition): Promise<boolean> {
  const crd = await kube.get(RESOURCES.CustomResourceDefinition, { name: crdName(kind) });
  const { conditions = [] } = (crd["status"] ?? {}) as {
    conditions?: { type: string; status: string; message: string }[];
  };
  const violation = conditions.find(({ type, status }) => type === "NonStructuralSchema" && status === "True");
  if (violation !== undefined) throw new Error(violation.message);
  try {
    await kube.list(kind.type as ResourceType);
    return true;
  } catch (error) {
    if (isOperatorError(error, "KUBE_NOT_FOUND")) return false;
    throw error;
  }
}

/** What a user sees: exit code and both streams together. */
function kubectl(args: readonly string[], input = ""): Promise<{ ok: boolean; output: string }> {
  return new Promise((resolve) => {
    const child = execFile(KUBECTL, ["--kubeconfig", plane.kubeconfig, ...args], (error, stdout, stderr) => {
      resolve({ ok: error === null, output: stdout + stderr });
    });
    // A program that ends without reading closes its input; its exit code tells the rest.
    child.stdin?.on("error", () => undefined).end(input);
  });
}

function apply(object: object): Promise<{ ok: boolean; output: string }> {
  return kubectl(["apply", "-f", "-"], JSON.stringify(object));
}

function shardSet(name: string, spec: object): object {
  return { apiVersion: API_VERSION, kind: "ShardSet", metadata: { name, namespace: "default" }, spec };
}

function ledger(name: string, spec: object): object {
  const complete = { shardSet: "bank", assets: [{ code: "CZK", scale: 2 }], ...spec };
  return { apiVersion: API_VERSION, kind: "CreditLedger", metadata: { name, namespace: "default" }, spec: complete };
}

async function expectApplied(object: object): Promise<void> {
  expect(await apply(object)).toMatchObject({ ok: true });
}

async function expectRefused(object: object, sentence: string): Promise<void> {
  const { ok, output } = await apply(object);
  expect(output).toContain(sentence);
  expect(ok).toBe(false);
}

describe("samples", () => {
  test.each(readdirSync(SAMPLES))("%s is created as it is", async (file) => {
    const { ok, output } = await kubectl(["create", "-f", join(SAMPLES, file)]);
    expect(output).toMatch(/created/);
    expect(ok).toBe(true);
  });

  test("the server fills in the same defaults as zod", async () => {
    const sample = parse(readFileSync(join(SAMPLES, "shardset-minimal.yaml"), "utf8")) as KubeObject;
    const object: KubeObject = { ...sample, metadata: { name: "defaults", namespace: "default" } };
    const created = await kube.create(SHARD_SET, object as ShardSet);
    expect(created.spec).toEqual(shardSetSpec.parse(object["spec"]));
    expect(created.status).toEqual({ observedGeneration: -1 });
    const credit = await kube.create(CREDIT_LEDGER, ledger("defaults", {}) as never);
    expect(credit.spec).toEqual(creditLedgerSpec.parse((ledger("x", {}) as KubeObject)["spec"]));
  });
});

describe("what users see", () => {
  test("kubectl explain shows the sentences of the schema", async () => {
    const { output } = await kubectl(["explain", "shardset.spec.storage.size"]);
    expect(output).toContain("It may grow later, never");
  });

  test("short names, the category and columns", async () => {
    await expectApplied(shardSet("columns", { shards: 2 }));
    const short = await kubectl(["get", "shset", "columns"]);
    expect(short.output).toMatch(/NAME +READY +REASON +SHARDS +SHARDS READY +MAP +AGE/);
    const wide = await kubectl(["get", "shset", "columns", "-o", "wide"]);
    expect(wide.output).toMatch(/BALANCED +STORAGE +AGE +MESSAGE/);
    const all = await kubectl(["get", "shieldx"]);
    expect(all.output).toContain("shardset.shieldx.dev/columns");
  });

  test("kubectl scale changes spec.shards, upwards only", async () => {
    await expectApplied(shardSet("scaled", { shards: 2 }));
    expect(await kubectl(["scale", "shset/scaled", "--replicas=3"])).toMatchObject({ ok: true });
    const { spec } = await kube.get(SHARD_SET, { name: "scaled", namespace: "default" });
    expect(spec.shards).toBe(3);
    const down = await kubectl(["scale", "shset/scaled", "--replicas=1"]);
    expect(down.output).toContain("shards may only grow: moving data away from a shard is not available yet");
  });

  test("ledgers of a ShardSet by field selector", async () => {
    await expectApplied(ledger("selected", { shardSet: "somewhere" }));
    const { output } = await kubectl(["get", "cledger", "--field-selector", "spec.shardSet=somewhere", "-o", "name"]);
    expect(output.trim()).toBe("creditledger.shieldx.dev/selected");
  });
});

describe("a new object is refused, with a sentence", () => {
  const long = "a".repeat(37);
  test.each([
    ["an unknown field", shardSet("bad", { shards: 1, sharts: 1 }), 'unknown field "spec.sharts"'],
    [
      "an unknown field below",
      shardSet("bad", { shards: 1, storage: { siez: "1Gi" } }),
      'unknown field "spec.storage.siez"',
    ],
    ["no spec", { apiVersion: API_VERSION, kind: "ShardSet", metadata: { name: "bad" } }, "spec: Required value"],
    ["no shards", shardSet("bad", {}), "spec.shards: Required value"],
    ["zero shards", shardSet("bad", { shards: 0 }), "spec.shards in body should be greater than or equal to 1"],
    ["65 shards", shardSet("bad", { shards: 65 }), "spec.shards in body should be less than or equal to 64"],
    ["text for shards", shardSet("bad", { shards: "3" }), "spec.shards in body must be of type integer"],
    [
      "two instances",
      shardSet("bad", { shards: 1, instancesPerShard: 2 }),
      "replicas and failover are not available yet",
    ],
    ["a tiny volume", shardSet("bad", { shards: 1, storage: { size: "10Mi" } }), "storage.size must be at least 256Mi"],
    [
      "no quantity",
      shardSet("bad", { shards: 1, storage: { size: "much" } }),
      "spec.storage.size in body should match",
    ],
    [
      "a policy that does not exist",
      shardSet("bad", { shards: 1, deletionPolicy: "Keep" }),
      'supported values: "Retain", "Delete"',
    ],
    ["too long a name", shardSet(long, { shards: 1 }), "metadata.name must have at most 36 characters"],
    ["a name with a dot", shardSet("a.b", { shards: 1 }), "metadata.name must be a DNS label"],
    ["a name that starts with a digit", ledger("1st", {}), "metadata.name must be a DNS label"],
    [
      "a setting that the agent owns",
      shardSet("bad", { shards: 1, postgres: { parameters: { fsync: "off" } } }),
      "must not set what the shard agent owns",
    ],
    [
      "a setting of a family that the agent owns",
      shardSet("bad", { shards: 1, postgres: { parameters: { log_statement: "all" } } }),
      "must not set what the shard agent owns",
    ],
    [
      "a setting in upper case",
      shardSet("bad", { shards: 1, postgres: { parameters: { FSYNC: "off" } } }),
      "postgres.parameters must be named like 'work_mem'",
    ],
    [
      "a request above its limit",
      shardSet("bad", { shards: 1, resources: { requests: { cpu: "2" }, limits: { cpu: "500m" } } }),
      "requests.cpu must not exceed limits.cpu",
    ],
    ["a ledger without assets", ledger("bad", { assets: [] }), "spec.assets in body should have at least 1 items"],
    [
      "an asset twice",
      ledger("bad", {
        assets: [
          { code: "CZK", scale: 2 },
          { code: "CZK", scale: 2 },
        ],
      }),
      "Duplicate value",
    ],
    ["a scale of 10", ledger("bad", { assets: [{ code: "CZK", scale: 10 }] }), "should be less than or equal to 9"],
    ["no replicas", ledger("bad", { replicas: 0 }), "spec.replicas in body should be greater than or equal to 1"],
    ["snapshots at each event", ledger("bad", { snapshotEveryEvents: 1 }), "should be greater than or equal to 10"],
  ])("%s", async (_, object, sentence) => {
    await expectRefused(object, sentence);
    expect(await kube.find(SHARD_SET, { name: "bad", namespace: "default" })).toBeUndefined();
    expect(await kube.find(CREDIT_LEDGER, { name: "bad", namespace: "default" })).toBeUndefined();
  });
});

describe("a change is refused, with a sentence, and the object stays as it was", () => {
  const storage = { size: "2Gi", storageClassName: "fast" };
  const assets = [
    { code: "CZK", scale: 2 },
    { code: "EUR", scale: 2 },
  ];
  const cases: readonly (readonly [string, (spec: object) => object, object, object, string])[] = [
    ["fewer shards", (spec) => shardSet("shards", spec), { shards: 3 }, { shards: 2 }, "shards may only grow"],
    [
      "a smaller volume",
      (spec) => shardSet("size", spec),
      { shards: 1, storage },
      { shards: 1, storage: { ...storage, size: "2047Mi" } },
      "storage.size must not shrink",
    ],
    [
      "another storage class",
      (spec) => shardSet("class", spec),
      { shards: 1, storage },
      { shards: 1, storage: { ...storage, storageClassName: "slow" } },
      "storage.storageClassName is immutable",
    ],
    [
      "no storage class any more",
      (spec) => shardSet("class-removed", spec),
      { shards: 1, storage },
      { shards: 1, storage: { size: "2Gi" } },
      "storage.storageClassName is immutable",
    ],
    [
      "a storage class where none was",
      (spec) => shardSet("class-added", spec),
      { shards: 1, storage: { size: "2Gi" } },
      { shards: 1, storage },
      "storage.storageClassName is immutable",
    ],
    ["another ShardSet", (spec) => ledger("moved", spec), {}, { shardSet: "other" }, "shardSet is immutable"],
    [
      "an asset less",
      (spec) => ledger("removed", spec),
      { assets },
      { assets: [assets[0]] },
      "an asset may not be removed",
    ],
    [
      "another scale",
      (spec) => ledger("rescaled", spec),
      { assets },
      { assets: [assets[0], { code: "EUR", scale: 3 }] },
      "the scale of an asset is immutable",
    ],
  ];

  test.each(cases)("%s", async (_, build, before, after, sentence) => {
    const first = build(before) as KubeObject;
    const stored = (): Promise<KubeObject> =>
      kube.get<KubeObject>(first.kind === "ShardSet" ? SHARD_SET : CREDIT_LEDGER, {
        name: first.metadata.name,
        namespace: "default",
      });
    await expectApplied(first);
    const kept = await stored();
    await expectRefused(build(after), sentence);
    expect(await stored()).toEqual(kept);
  });

  test("what may change does: more shards, a larger volume, another asset", async () => {
    await expectApplied(shardSet("grows", { shards: 1, storage }));
    await expectApplied(shardSet("grows", { shards: 4, storage: { ...storage, size: "2.5Gi" } }));
    await expectApplied(ledger("grows", { assets: [assets[0]] }));
    await expectApplied(ledger("grows", { assets: [assets[1], assets[0]], replicas: 3 }));
  });
});

describe("the server and zod accept the same objects", () => {
  /** Valid values eight times in nine, so that whole objects are valid often enough. */
  const mostly = (valid: readonly unknown[], invalid: readonly unknown[]): fc.Arbitrary<unknown> =>
    fc.oneof(
      { arbitrary: fc.constantFrom(...valid), weight: 8 },
      { arbitrary: fc.constantFrom(...invalid), weight: 1 },
    );
  const optional = (value: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> => fc.option(value, { nil: undefined });
  const badQuantities = ["", "much", "-1", "1e3", "1 Gi"];
  const quantity = mostly(["1", "100m", "0.5", "256Mi", "1Gi", "1.5Gi", "2G"], badQuantities);
  const amounts = fc.record({ cpu: quantity, memory: quantity }, { requiredKeys: [] });
  const toleration = fc.record(
    {
      key: mostly(["a", "b/c"], [1]),
      operator: mostly(["Exists", "Equal"], ["In"]),
      effect: mostly(["NoSchedule", "NoExecute"], ["Never"]),
      tolerationSeconds: mostly([0, 30], [-1, 1.5]),
    },
    { requiredKeys: [] },
  );
  const labels = fc.dictionary(fc.constantFrom("a", "b", "c/d"), mostly(["x", ""], ["y".repeat(64)]), { maxKeys: 3 });
  const common = {
    resources: optional(fc.record({ requests: amounts, limits: amounts }, { requiredKeys: [] })),
    scheduling: optional(
      fc.record({ nodeSelector: labels, tolerations: fc.array(toleration, { maxLength: 3 }) }, { requiredKeys: [] }),
    ),
    deletionPolicy: mostly(["Retain", "Delete", undefined], ["Keep"]),
  };
  const parameterName = fc.constantFrom(
    "work_mem",
    "jit",
    "pg_x.y",
    "max_wal_size",
    "fsync",
    "log_statement",
    "ssl_x",
    "Upper",
    "a-b",
  );
  const parameters = fc.dictionary(parameterName, mostly(["on", "4MB", ""], ["a\nb", "v".repeat(257)]), { maxKeys: 2 });
  const storage = fc.record({
    size: optional(mostly(["256Mi", "1Gi", "1.5Gi"], [...badQuantities, "255Mi", "1"])),
    storageClassName: mostly([undefined, "standard"], [""]),
  });
  const shardSets = fc.record({
    shards: mostly([1, 3, 64], [0, 65, 1.5, "3", undefined]),
    instancesPerShard: mostly([1, undefined], [2, 0]),
    storage: optional(storage),
    postgres: optional(fc.record({ parameters: optional(parameters) })),
    ...common,
  });
  const asset = fc.record({
    code: mostly(["CZK", "EUR", "A1_"], ["A", "czk", "TOO_LONG_A_CODE_X"]),
    scale: mostly([0, 2, 9], [10, -1, undefined]),
  });
  const ledgers = fc.record({
    shardSet: mostly(["bank", "bank-2"], ["Bank", "", "a.b", undefined]),
    assets: fc.array(asset, { maxLength: 2 }),
    replicas: mostly([undefined, 1, 5], [6]),
    snapshotEveryEvents: mostly([undefined, 10], [9]),
    ...common,
  });

  async function serverAccepts(type: typeof SHARD_SET | typeof CREDIT_LEDGER, spec: object): Promise<boolean> {
    const object = {
      apiVersion: API_VERSION,
      kind: type.kind,
      metadata: { generateName: "random-", namespace: "default" },
      spec,
    };
    try {
      await kube.create(type as never, object as never);
      return true;
    } catch (error) {
      if (isOperatorError(error, "KUBE_INVALID")) return false;
      throw error;
    }
  }

  test.each([
    ["ShardSet", SHARD_SET, shardSetSpec, shardSets],
    ["CreditLedger", CREDIT_LEDGER, creditLedgerSpec, ledgers],
  ] as const)("%s", async (_, type, schema, arbitrary) => {
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(arbitrary as fc.Arbitrary<object>, async (raw) => {
        // The server never sees a member that is undefined.
        const spec = JSON.parse(JSON.stringify(raw)) as object;
        const wanted = schema.safeParse(spec).success;
        accepted += wanted ? 1 : 0;
        expect({ spec, accepted: await serverAccepts(type, spec) }).toEqual({ spec, accepted: wanted });
      }),
      { numRuns: RUNS },
    );
    // Otherwise the property says little.
    expect(accepted).toBeGreaterThan(RUNS / 20);
    expect(accepted).toBeLessThan(RUNS - RUNS / 20);
  });
});
