// The generated CRDs on a real API server: accepted, samples created, the reference pages say what `kubectl explain` says,
// bad input refused with its sentence (asked through kubectl, as users do). Random objects: agreement.int.test.ts.
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { parse } from "yaml";
import type { KubeClient } from "../lib/kube/client.ts";
import type { KubeObject } from "../lib/kube/types.ts";
import { startControlPlane, type TestControlPlane } from "../testkit/kube-apiserver.ts";
import { CREDIT_LEDGER, creditLedgerSpec } from "./creditledger.ts";
import { API_VERSION } from "./group.ts";
import { KINDS } from "./kinds.ts";
import { fieldsOf } from "./reference-fields.ts";
import { ROLLOUT } from "./rollout.ts";
import { rolloutVerify } from "./rollout-verify.ts";
import { SHARD_SET, type ShardSet, shardSetSpec } from "./shardset.ts";
import { structural } from "./structural.ts";
import { REFUSED_ROLLOUTS, TAKEN_ROLLOUTS } from "./testing/rollout-parts.ts";
import { serveKinds } from "./testing/served.ts";

const KUBECTL = join(import.meta.dirname, "../.build/bin/kubectl");
const SAMPLES = join(import.meta.dirname, "samples");

let plane: TestControlPlane;
let kube: KubeClient;

beforeAll(async () => {
  plane = await startControlPlane();
  kube = plane.client();
  await serveKinds(kube, KINDS);
});

afterAll(async () => {
  await plane.stop();
});

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

/** By way of a Gateway. */
function rollout(analysis: object, kind = "HTTPRoute"): object {
  const traffic = { gatewayAPI: { kind, parentRefs: [{ name: "web" }] } };
  const spec = { target: { deployment: "web" }, service: { name: "web" }, traffic, analysis };
  return { apiVersion: API_VERSION, kind: "Rollout", metadata: { name: "bad", namespace: "default" }, spec };
}

const GATEWAY = { service: { namespace: "infra", name: "metrics" }, port: 9_100, path: "/metrics" };

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

/** A node of the OpenAPI document of the server. */
interface Published {
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Published>>;
  readonly items?: Published;
}

/** The node at a path of the reference page, for example `spec.assets[].code`, below the node of `spec`. */
function at(part: Published | undefined, path: string): Published | undefined {
  const [, ...steps] = path.replaceAll("[]", ".[]").split(".");
  return steps.reduce((node, step) => (step === "[]" ? node?.items : node?.properties?.[step]), part);
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

/** The smallest Rollout with other parts. */
function rolloutWith(name: string, part: object): object {
  const sample = parse(readFileSync(join(SAMPLES, "rollout-minimal.yaml"), "utf8")) as KubeObject;
  return {
    ...sample,
    metadata: { name, namespace: "default" },
    spec: { ...(sample["spec"] as object), ...part },
  };
}

describe("parts of a Rollout that belong together", () => {
  test.each(TAKEN_ROLLOUTS)("takes %s", async (_, part) => {
    await expectApplied(rolloutWith("parts", part));
  });

  test.each(REFUSED_ROLLOUTS)("refuses %s", async (_, part, sentence) => {
    await expectRefused(rolloutWith("bad-parts", part), sentence);
  });
});

describe("checks of a Rollout", () => {
  const rollout = (name: string, verify: object): object => rolloutWith(name, { verify });
  const http = { path: "/ok" };

  test("are defaulted as zod does", async () => {
    const verify = {
      health: { http },
      smoke: [
        { name: "a", http },
        { name: "b", job: { template: { spec: { x: 1 } } } },
      ],
    };
    const created = await kube.create(ROLLOUT, rollout("verified", verify) as never);
    expect(created.spec.verify).toEqual(rolloutVerify.parse(verify));
  });

  test.each<[string, object, string]>([
    ["neither http nor job", {}, "a smoke test is either http or job"],
    ["both", { http, job: { template: {} } }, "a smoke test is either http or job"],
    ["the name of the health check", { name: "health", http }, "'health' is the name of the health check"],
    ["a body of a GET", { http: { ...http, body: "x" } }, "only a POST has a body"],
    [
      "a text in the answer to HEAD",
      { http: { ...http, method: "HEAD", expectBody: "x" } },
      "the answer to HEAD has no body",
    ],
    [
      "a header that frames",
      { http: { ...http, headers: [{ name: "Connection", value: "x" }] } },
      "are the controller's",
    ],
    ["a status in words", { http: { ...http, expectStatus: ["2xx"] } }, "expectStatus[0]"],
    ["a path that is a URL", { http: { path: "http://elsewhere" } }, "path"],
  ])("refuses %s", async (_, smoke, sentence) => {
    await expectRefused(rollout("bad-check", { smoke: [{ name: "a", ...smoke }] }), sentence);
  });

  test("refuses a name twice", async () => {
    await expectRefused(
      rollout("bad-check", {
        smoke: [
          { name: "a", http },
          { name: "a", http },
        ],
      }),
      "Duplicate value",
    );
  });
});

describe("trial 10: numbers without quotes are taken as a Pod takes them", () => {
  const amounts = { requests: { cpu: 1, memory: 268_435_456 }, limits: { cpu: 2, memory: "1Gi" } };

  test("in both kinds, and in the size of a volume", async () => {
    await expectApplied(shardSet("numbers", { shards: 1, resources: amounts, storage: { size: 1_073_741_824 } }));
    await expectApplied(ledger("numbers", { resources: amounts }));
    // The other spelling of the same amounts is no smaller volume.
    await expectApplied(shardSet("numbers", { shards: 1, resources: amounts, storage: { size: "1Gi" } }));
  });

  test("rules hold for them too", async () => {
    const above = { requests: { cpu: 2 }, limits: { cpu: "500m" } };
    await expectRefused(shardSet("bad", { shards: 1, resources: above }), "requests.cpu must not exceed limits.cpu");
    await expectRefused(shardSet("bad", { shards: 1, storage: { size: 1 } }), "storage.size must be at least 256Mi");
    await expectApplied(shardSet("shrunk", { shards: 1, storage: { size: 1_073_741_824 } }));
    await hasVolumes("shrunk");
    await expectRefused(
      shardSet("shrunk", { shards: 1, storage: { size: 536_870_912 } }),
      "storage.size must not shrink",
    );
    // A fraction is a number to YAML, and the server takes whole numbers and texts.
    await expectRefused(
      shardSet("bad", { shards: 1, resources: { limits: { cpu: 1.5 } } }),
      'spec.resources.limits.cpu in body must be of type integer,string: "number"',
    );
  });
});

describe("what users see", () => {
  test("kubectl explain shows the sentences of the schema", async () => {
    const { output } = await kubectl(["explain", "shardset.spec.storage.size"]);
    expect(output).toContain("It may grow later, never");
  });

  test.each(KINDS.map((kind) => [kind.type.kind, kind] as const))(
    "%s: the reference page has the fields of kubectl explain --recursive, no more and no less",
    async (_, kind) => {
      for (const part of ["spec", "status"] as const) {
        const { output } = await kubectl(["explain", `${kind.type.plural}.${part}`, "--recursive"]);
        const explained = [...output.matchAll(/^ +(\w+)\t<[^>]+>( -required-)?/gm)].map(
          ([, name = "", required]) => `${name}${required ?? ""}`,
        );
        const listed = fieldsOf(structural(kind[part]), part).map(
          ({ name, required }) => `${name}${required ? " -required-" : ""}`,
        );
        expect(explained.toSorted()).toEqual(listed.toSorted());
      }
    },
  );

  test("the published schema, which kubectl explain reads, has every sentence and default of the reference page", async () => {
    const document = (await kube.getPath(`/openapi/v3/apis/${API_VERSION}`)) as {
      components: { schemas: Record<string, { properties: Record<string, Published> }> };
    };
    for (const kind of KINDS) {
      const published = document.components.schemas[`dev.shieldx.v1alpha1.${kind.type.kind}`]?.properties;
      for (const part of ["spec", "status"] as const) {
        for (const { path, schema } of fieldsOf(structural(kind[part]), part)) {
          const field = at(published?.[part], path);
          expect({ path, text: field?.description, default: field?.default }).toEqual({
            path,
            text: schema.description,
            default: schema.default,
          });
        }
      }
    }
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
    ["no source of counts", rollout({ source: {} }), "counts come from exactly one of pods, gateway and prometheus"],
    [
      "two sources of counts",
      rollout({ source: { pods: {}, prometheus: { url: "http://prometheus" } } }),
      "counts come from exactly one of pods, gateway and prometheus",
    ],
    [
      "a Prometheus at a port that there is not",
      rollout({ source: { prometheus: { url: "http://prometheus:65536" } } }),
      "spec.analysis.source.prometheus.url in body should match",
    ],
    [
      "latency that pods are not asked for",
      rollout({ latency: {} }),
      "latency and source.pods.metrics.latency go together",
    ],
    [
      "latency that a Prometheus is not asked for",
      rollout({ source: { prometheus: { url: "http://prometheus" } }, latency: {} }),
      "latency and source.prometheus.metrics.latency go together",
    ],
    [
      "gRPC that Envoy counts",
      rollout({ source: { gateway: { ...GATEWAY, flavour: "Envoy" } } }, "GRPCRoute"),
      "take analysis.source.pods for a GRPCRoute",
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
    [
      "a name one past the limit (trial 14)",
      shardSet(long, { shards: 1 }),
      "metadata.name must have at most 36 characters",
    ],
    ["a name with a dot", shardSet("a.b", { shards: 1 }), "metadata.name must be a DNS label"],
    ["a name that starts with a digit", ledger("1st", {}), "metadata.name must be a DNS label"],
    [
      "a setting that the agent owns",
      shardSet("bad", { shards: 1, postgres: { parameters: { fsync: "off" } } }),
      "must not set what the shard agent owns",
    ],
    [
      "trial 6: a unit in small letters",
      shardSet("bad", { shards: 1, postgres: { parameters: { work_mem: "8mb" } } }),
      "must be numbers with a unit, B, kB, MB, GB or TB",
    ],
    [
      "a time with the unit of a size",
      shardSet("bad", { shards: 1, postgres: { parameters: { statement_timeout: "5MB" } } }),
      "must be numbers with a unit, us, ms, s, min, h or d",
    ],
    [
      "trial 6: huge pages",
      shardSet("bad", { shards: 1, postgres: { parameters: { huge_pages: "on" } } }),
      "cannot ask for huge pages",
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
    [
      "a pull secret without a name",
      shardSet("bad", { shards: 1, imagePullSecrets: ["registry"] }),
      "spec.imagePullSecrets[0] in body must be of type object",
    ],
    [
      "an unknown field of affinity",
      ledger("bad", { scheduling: { affinity: { nodeAfinity: {} } } }),
      'unknown field "spec.scheduling.affinity.nodeAfinity"',
    ],
    ["no replicas", ledger("bad", { replicas: 0 }), "spec.replicas in body should be greater than or equal to 1"],
    ["snapshots at each event", ledger("bad", { snapshotEveryEvents: 1 }), "should be greater than or equal to 10"],
  ])("%s", async (_, object, sentence) => {
    await expectRefused(object, sentence);
    expect(await kube.find(SHARD_SET, { name: "bad", namespace: "default" })).toBeUndefined();
    expect(await kube.find(CREDIT_LEDGER, { name: "bad", namespace: "default" })).toBeUndefined();
  });
});

/** A shard of the ShardSet has its volume. */
async function hasVolumes(name: string): Promise<void> {
  await setStatus(name, { observedGeneration: 1, volumesBound: true });
}

async function setStatus(name: string, status: object): Promise<void> {
  const ref = { name, namespace: "default" };
  await kube.patch(SHARD_SET, ref, { format: "merge", patch: { status }, subresource: "status" });
}

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
    if (first.kind === "ShardSet") await hasVolumes(first.metadata.name);
    const kept = await stored();
    await expectRefused(build(after), sentence);
    expect(await stored()).toEqual(kept);
  });

  test("trial 4: until the first volume is there, class and size can be corrected; other rules hold", async () => {
    await expectApplied(shardSet("typo", { shards: 1, storage: { size: "100Gi", storageClassName: "stanard" } }));
    await expectApplied(shardSet("typo", { shards: 1, storage: { size: "10Gi", storageClassName: "standard" } }));
    await expectApplied(shardSet("typo", { shards: 1, storage: { size: "10Gi" } }));
    await expectApplied(shardSet("typo", { shards: 1, storage }));
    await expectRefused(shardSet("typo", { shards: 1, storage: { size: "1Mi" } }), "storage.size must be at least");
    await hasVolumes("typo");
    await expectRefused(shardSet("typo", { shards: 1, storage: { size: "2Gi" } }), "storageClassName is immutable");
  });

  test("a ShardSet that an earlier version brought up keeps its class", async () => {
    await expectApplied(shardSet("earlier", { shards: 1, storage }));
    await setStatus("earlier", { observedGeneration: 1, initialized: true });
    await expectRefused(shardSet("earlier", { shards: 1, storage: { size: "2Gi" } }), "storageClassName is immutable");
  });

  test("what may change does: more shards, a larger volume, another asset", async () => {
    await expectApplied(shardSet("grows", { shards: 1, storage }));
    await expectApplied(shardSet("grows", { shards: 4, storage: { ...storage, size: "2.5Gi" } }));
    await expectApplied(ledger("grows", { assets: [assets[0]] }));
    await expectApplied(ledger("grows", { assets: [assets[1], assets[0]], replicas: 3 }));
  });
});
