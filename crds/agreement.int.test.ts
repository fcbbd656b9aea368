// zod and the API server agree: for random specs of every kind, and of a kind made of every construct, zod accepts what
// the server accepts (dry-run creates with strict fields), and both fill in the same defaults. Where they differ on
// purpose, a test says so and why.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { z } from "zod";
import { isOperatorError } from "../lib/core/errors.ts";
import type { KubeClient } from "../lib/kube/client.ts";
import { type KubeObject, RESOURCES, type ResourceType } from "../lib/kube/types.ts";
import { startControlPlane, type TestControlPlane } from "../testkit/kube-apiserver.ts";
import { customResourceDefinition } from "./crd.ts";
import { API_VERSION } from "./group.ts";
import type { KindDefinition } from "./kind.ts";
import { KINDS } from "./kinds.ts";
import { houseProblems } from "./structural-rules.ts";
import { nearValuesOf, type Overrides, withoutNulls } from "./testing/arbitraries.ts";
import { BROKEN_SCHEMAS, rootWith } from "./testing/broken-schemas.ts";
import { ROLLOUT_VALUES } from "./testing/rollout-values.ts";
import { serveKinds } from "./testing/served.ts";
import { TORTURE_KIND } from "./testing/torture.ts";

/** Random objects of each kind. */
const RUNS = 400;

/** Values that rules over several fields, or rules over the names in a map, would nearly never let through. */
const names = fc.constantFrom(
  ...[
    "work_mem",
    "jit",
    "pg_x.y",
    "max_wal_size",
    "fsync",
    "log_statement",
    "log_min_duration_statement",
    "ssl_x",
    "a-b",
  ],
);
const sizes = fc.constantFrom("256Mi", "1Gi", "1.5Gi", "2G", "255Mi", "1");
const amounts = fc.constantFrom("1", "100m", "0.5", "256Mi", "1Gi");
const resources: Overrides = {
  "resources.requests.cpu": amounts,
  "resources.requests.memory": amounts,
  "resources.limits.cpu": amounts,
  "resources.limits.memory": amounts,
};
const OVERRIDES: Readonly<Record<string, Overrides>> = {
  ShardSet: {
    ...resources,
    instancesPerShard: fc.constantFrom(1, 1, 1, 1, 2),
    "storage.size": sizes,
    "postgres.parameters": fc.dictionary(
      fc.oneof(names, fc.constantFrom("work_mem", "lock_timeout", "huge_pages")),
      fc.constantFrom("on", "4MB", "4mb", "5s", "0x10 kB", ""),
      {
        maxKeys: 2,
      },
    ),
  },
  CreditLedger: resources,
  Rollout: ROLLOUT_VALUES,
};

let plane: TestControlPlane;
let kube: KubeClient;

beforeAll(async () => {
  plane = await startControlPlane();
  kube = plane.client();
  await serveKinds(kube, [...KINDS, TORTURE_KIND]);
});

afterAll(async () => {
  await plane.stop();
});

/** The spec as the server would store it, or `undefined` when it refuses the object. */
async function storedBy(kind: KindDefinition, spec: unknown): Promise<{ readonly spec: unknown } | undefined> {
  const object = {
    apiVersion: API_VERSION,
    kind: kind.type.kind,
    metadata: { name: "random", namespace: "default" },
    spec,
  };
  try {
    return await kube.create(kind.type as ResourceType<KubeObject & { spec: unknown }>, object, {
      dryRun: true,
      fieldValidation: "Strict",
    });
  } catch (error) {
    if (isOperatorError(error, "KUBE_INVALID")) return undefined;
    throw error;
  }
}

function parsed(schema: z.ZodType, spec: unknown): { readonly spec: unknown } | undefined {
  const { success, data } = schema.safeParse(spec);
  return success ? { spec: data } : undefined;
}

describe("for random specs zod and the server accept the same, and default the same", () => {
  test.each([...KINDS, TORTURE_KIND].map((kind) => [kind.type.kind, kind] as const))("%s", async (name, kind) => {
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(nearValuesOf(kind.spec, OVERRIDES[name] ?? {}), async (spec) => {
        // A null where none may be is left out by the server before it validates; programs never see it.
        const wanted = parsed(kind.spec, withoutNulls(kind.spec, spec) ?? null);
        accepted += wanted === undefined ? 0 : 1;
        const stored = await storedBy(kind, spec);
        expect({ given: spec, result: stored?.spec }).toEqual({ given: spec, result: wanted?.spec });
      }),
      { numRuns: RUNS },
    );
    // Otherwise the property says little.
    expect(accepted).toBeGreaterThan(RUNS / 10);
    expect(accepted).toBeLessThan(RUNS - RUNS / 10);
  });
});

describe("where zod and the server differ on purpose", () => {
  const spec = { text: "ab" };

  test("null for a field that cannot be null: the server takes its default, a program's own null is a mistake", async () => {
    expect(await storedBy(TORTURE_KIND, { ...spec, count: null })).toMatchObject({ spec: { count: 3 } });
    expect(parsed(TORTURE_KIND.spec, { ...spec, count: null })).toBeUndefined();
  });

  test("unknown fields: refused by both; pruned by a server that is asked by old clients", async () => {
    const object = {
      apiVersion: API_VERSION,
      kind: "Torture",
      metadata: { name: "pruned", namespace: "default" },
      spec: { ...spec, unheardOf: 1 },
    };
    const pruned = await kube.create(TORTURE_KIND.type as ResourceType, object, {
      dryRun: true,
      fieldValidation: "Ignore",
    });
    expect(pruned["spec"]).not.toHaveProperty("unheardOf");
    expect(parsed(TORTURE_KIND.spec, object.spec)).toBeUndefined();
  });
});

describe("the server about schemas that our validator of printed schemas refuses", () => {
  test.each(BROKEN_SCHEMAS)("$name", async ({ node, tolerated }) => {
    const crd = customResourceDefinition({ ...TORTURE_KIND, selectableFields: [] });
    const { versions } = crd["spec"] as { versions: { schema: object }[] };
    for (const version of versions) version.schema = { openAPIV3Schema: rootWith(node) };
    const answer = await kube
      .create(RESOURCES.CustomResourceDefinition, crd as KubeObject, { dryRun: true, fieldValidation: "Strict" })
      .catch((error: unknown) => String(error));
    // The name is taken, so what is in order is refused for that, after everything else.
    expect(answer).toMatch(tolerated === true ? /already exists/ : /openAPIV3Schema|unknown field/);
  });
});

test("why lists with rules are bounded: the server refuses a rule that could become too expensive, and so do we before", async () => {
  const rule = { rule: "self.all(a, self.exists_one(b, a == b))", message: "each once" };
  const text = { type: "string", maxLength: 64 };
  const unbounded = { type: "array", items: text, "x-kubernetes-validations": [rule] };
  const answerTo = async (node: Readonly<Record<string, unknown>>): Promise<string> => {
    const crd = customResourceDefinition({ ...TORTURE_KIND, selectableFields: [] });
    const { versions } = crd["spec"] as { versions: { schema: object }[] };
    for (const version of versions) version.schema = { openAPIV3Schema: rootWith(node) };
    return kube
      .create(RESOURCES.CustomResourceDefinition, crd as KubeObject, { dryRun: true })
      .then(() => "accepted", String);
  };
  expect(await answerTo(unbounded)).toMatch(/estimated rule cost exceeds budget/);
  expect(await answerTo({ ...unbounded, maxItems: 32 })).toMatch(/already exists/);
  expect(houseProblems(rootWith(unbounded))).toContain("spec.f: a list needs a maximal length");
});
