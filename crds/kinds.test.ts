// The kinds as programs see them: defaults, rules, samples, and pages in step with the catalogues.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { parse } from "yaml";
import { ERRORS } from "../lib/core/errors.ts";
import { METRICS } from "../lib/core/metric-names.ts";
import { crdName, customResourceDefinition } from "./crd.ts";
import { creditLedgerSpec } from "./creditledger.ts";
import { KINDS } from "./kinds.ts";
import { FORBIDDEN_PARAMETER_PREFIXES, FORBIDDEN_PARAMETERS } from "./postgres-parameters.ts";
import { rolloutSpec } from "./rollout.ts";
import { shardSetSpec } from "./shardset.ts";
import { REFUSED_ROLLOUTS, TAKEN_ROLLOUTS } from "./testing/rollout-parts.ts";

const ROOT = join(import.meta.dirname, "..");
const SAMPLES = join(import.meta.dirname, "samples");

function messages(result: { success: boolean; error?: { issues: readonly { message: string }[] } }): string[] {
  return result.error?.issues.map(({ message }) => message) ?? [];
}

const ledger = { shardSet: "bank", assets: [{ code: "CZK", scale: 2 }] };

describe("ShardSet", () => {
  test("a count of shards is enough: the rest is defaulted", () => {
    expect(shardSetSpec.parse({ shards: 3 })).toEqual({
      shards: 3,
      instancesPerShard: 1,
      storage: { size: "1Gi" },
      postgres: { parameters: {} },
      resources: shardSetSpec.shape.resources.parse(undefined),
      scheduling: {},
      deletionPolicy: "Retain",
    });
  });

  test.each([
    ["zero shards", { shards: 0 }, ">=1"],
    ["too many shards", { shards: 65 }, "<=64"],
    ["a fraction", { shards: 1.5 }, "int"],
    ["two instances", { shards: 1, instancesPerShard: 2 }, "replicas and failover are not available yet"],
    ["an unknown field", { shards: 1, sharts: 2 }, "sharts"],
    ["too small a volume", { shards: 1, storage: { size: "10Mi" } }, "at least 256Mi"],
    ["no quantity", { shards: 1, storage: { size: "much" } }, "pattern"],
    ["upper case in a parameter", { shards: 1, postgres: { parameters: { Work_Mem: "1MB" } } }, "in lower case"],
    ["trial 6: a unit in small letters", { shards: 1, postgres: { parameters: { work_mem: "8mb" } } }, "kB, MB"],
    ["a size in seconds", { shards: 1, postgres: { parameters: { shared_buffers: "1s" } } }, "capital letters count"],
    ["a time in bytes", { shards: 1, postgres: { parameters: { statement_timeout: "5MB" } } }, "min, h or d"],
    ["trial 6: huge pages", { shards: 1, postgres: { parameters: { huge_pages: "on" } } }, "cannot ask for huge pages"],
    ["a line break in a value", { shards: 1, postgres: { parameters: { work_mem: "1MB\nfsync = off" } } }, "pattern"],
    [
      "a request above its limit",
      { shards: 1, resources: { requests: { memory: "2Gi" }, limits: { memory: "1Gi" } } },
      "requests.memory must not exceed limits.memory",
    ],
  ])("refuses %s", (_, input, fragment) => {
    expect(messages(shardSetSpec.safeParse(input)).join("\n")).toContain(fragment);
  });

  test.each([...FORBIDDEN_PARAMETERS, ...FORBIDDEN_PARAMETER_PREFIXES.map((prefix) => `${prefix}x`)])(
    "refuses the parameter %s, which the agent owns",
    (name) => {
      const result = shardSetSpec.safeParse({ shards: 1, postgres: { parameters: { [name]: "on" } } });
      expect(messages(result).join("\n")).toContain("what the shard agent owns");
    },
  );
});

describe("CreditLedger", () => {
  test("a ShardSet and one asset are enough", () => {
    const spec = creditLedgerSpec.parse(ledger);
    expect(spec).toMatchObject({ replicas: 2, snapshotEveryEvents: 100, deletionPolicy: "Retain" });
  });

  test.each([
    ["no asset", { ...ledger, assets: [] }, ">=1"],
    ["an asset twice", { ...ledger, assets: [...ledger.assets, ...ledger.assets] }, "once only"],
    ["an asset in lower case", { ...ledger, assets: [{ code: "czk", scale: 2 }] }, "pattern"],
    ["a scale of 10", { ...ledger, assets: [{ code: "CZK", scale: 10 }] }, "<=9"],
    ["no replicas", { ...ledger, replicas: 0 }, ">=1"],
    ["too frequent snapshots", { ...ledger, snapshotEveryEvents: 9 }, ">=10"],
    ["no ShardSet", { assets: ledger.assets }, "expected string"],
  ])("refuses %s", (_, input, fragment) => {
    expect(messages(creditLedgerSpec.safeParse(input)).join("\n")).toContain(fragment);
  });
});

describe("Rollout", () => {
  const { spec: minimal } = parse(readFileSync(join(SAMPLES, "rollout-minimal.yaml"), "utf8")) as { spec: object };

  test.each(TAKEN_ROLLOUTS)("takes %s", (_, part) => {
    expect(messages(rolloutSpec.safeParse({ ...minimal, ...part }))).toEqual([]);
  });

  test.each(REFUSED_ROLLOUTS)("refuses %s", (_, part, sentence) => {
    expect(messages(rolloutSpec.safeParse({ ...minimal, ...part }))).toEqual([expect.stringContaining(sentence)]);
  });
});

describe("samples", () => {
  test.each(readdirSync(SAMPLES))("%s is valid", (file) => {
    const sample = parse(readFileSync(join(SAMPLES, file), "utf8")) as { kind: string; spec: unknown };
    const kind = KINDS.find(({ type }) => type.kind === sample.kind);
    expect(kind?.spec.safeParse(sample.spec)).toMatchObject({ success: true });
  });

  test("each kind has a minimal and a full one, and the full one shows every field of the spec", () => {
    for (const { type, spec } of KINDS) {
      const name = type.kind.toLowerCase();
      expect(readdirSync(SAMPLES)).toEqual(expect.arrayContaining([`${name}-minimal.yaml`, `${name}-full.yaml`]));
      const full = parse(readFileSync(join(SAMPLES, `${name}-full.yaml`), "utf8")) as { spec: object };
      expect(Object.keys(full.spec).sort()).toEqual(Object.keys(spec.parse(full.spec) as object).sort());
    }
  });
});

describe("defaults", () => {
  test("parsing twice gives the same: a defaulted object stays as it is", () => {
    const input = fc.record({ shards: fc.integer({ min: 1, max: 64 }) });
    fc.assert(
      fc.property(input, (spec) => {
        const once = shardSetSpec.parse(spec);
        expect(shardSetSpec.parse(once)).toEqual(once);
      }),
    );
  });
});

describe("reference pages", () => {
  const page = (name: string): string => readFileSync(join(ROOT, "docs/reference", name), "utf8");
  const listed = (text: string): string[] => [...text.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1] ?? "");

  test("errors.md lists exactly the codes of the catalogue", () => {
    expect(listed(page("errors.md"))).toEqual(Object.keys(ERRORS));
  });

  test("metrics.md lists exactly the metrics of the catalogue", () => {
    expect(listed(page("metrics.md")).sort()).toEqual(Object.keys(METRICS).sort());
  });

  test("conditions.md lists exactly the conditions and reasons of each kind", () => {
    const wanted = KINDS.flatMap(({ conditions, reasons }) => [...Object.keys(conditions), ...Object.keys(reasons)]);
    expect(listed(page("conditions.md"))).toEqual(wanted);
  });

  test("every condition and reason of a kind is used by its controller, or by what all controllers share", () => {
    const shared = ["summary.ts", "report.ts"]
      .map((file) => readFileSync(join(ROOT, "operator", "runtime", file), "utf8"))
      .concat(readFileSync(join(ROOT, "controllers", "kit", "pki", "conditions.ts"), "utf8"))
      .join("\n");
    for (const { type, conditions, reasons } of KINDS) {
      const folder = join(ROOT, "controllers", type.kind.toLowerCase());
      const sources = readdirSync(folder, { recursive: true, encoding: "utf8" })
        .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
        .map((file) => readFileSync(join(folder, file), "utf8"))
        .concat(shared)
        .join("\n");
      const unused = [...Object.keys(conditions), ...Object.keys(reasons)].filter(
        (name) => !sources.includes(`"${name}"`) && !sources.includes(`${name}:`),
      );
      expect({ kind: type.kind, unused }).toEqual({ kind: type.kind, unused: [] });
    }
  });

  test("reasons are CamelCase words with a sentence", () => {
    for (const { reasons, conditions } of KINDS) {
      for (const [name, text] of Object.entries({ ...conditions, ...reasons })) {
        expect(name).toMatch(/^[A-Z][A-Za-z]+$/);
        expect(text).toMatch(/^[A-Z][\s\S]*\.$/);
      }
    }
  });
});

describe("chart", () => {
  test("its entry in Artifact Hub's catalogue names exactly the kinds", () => {
    const { annotations } = parse(readFileSync(join(ROOT, "charts/operator/Chart.yaml"), "utf8")) as {
      annotations: Record<string, string>;
    };
    const listed = parse(annotations["artifacthub.io/crds"] ?? "") as { kind: string; name: string }[];
    expect(listed.map(({ kind, name }) => ({ kind, name }))).toEqual(
      KINDS.map((kind) => ({ kind: kind.type.kind, name: crdName(kind) })),
    );
  });
});

describe("CRD", () => {
  test.each(KINDS.map((kind) => [kind.type.kind, kind] as const))("%s: the parts that users meet", (_, kind) => {
    const { metadata, spec } = customResourceDefinition(kind) as {
      metadata: { name: string };
      spec: { names: { categories: string[] }; versions: { subresources: object }[] };
    };
    expect(metadata.name).toBe(`${kind.type.plural}.shieldx.dev`);
    expect(spec.names.categories).toEqual(["shieldx"]);
    expect(spec.versions[0]?.subresources).toHaveProperty("status");
  });
});
