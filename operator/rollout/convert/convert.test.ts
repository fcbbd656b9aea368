// Documents of other projects become Rollouts, and nothing of them is dropped in silence.
import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { parseAllDocuments } from "yaml";
import { type RolloutSpec, rolloutSpec } from "../../../crds/rollout.ts";
import { isOperatorError } from "../../../lib/core/errors.ts";
import { TEMPLATE_RULES } from "./argo-analysis.ts";
import { ARGO_RULES } from "./argo-rules.ts";
import { type Conversion, convert } from "./convert.ts";
import { entriesOf, objectsOf, yamlOf } from "./documents.ts";
import { METRIC_TEMPLATE_RULES } from "./flagger-analysis.ts";
import { FLAGGER_RULES } from "./flagger-rules.ts";
import { COMMON_RULES, type ConvertOptions } from "./frame.ts";
import { leavesOf, type Path, pathText } from "./reading.ts";
import { reportText } from "./report.ts";
import { ROUTE_RULES } from "./routes.ts";
import { EXAMPLES, OPTIONS } from "./testing/examples.ts";

const converted = (text: string, options: ConvertOptions = OPTIONS): Conversion =>
  convert(entriesOf([{ name: "test.yaml", text }]), options);
const convertedObjects = (documents: readonly unknown[]): Conversion =>
  convert(
    documents.flatMap((document) => objectsOf(document, "test.yaml")),
    OPTIONS,
  );
const specsOf = (text: string, options?: ConvertOptions): RolloutSpec[] =>
  parseAllDocuments(yamlOf(converted(text, options).objects)).map((document) =>
    rolloutSpec.parse((document.toJS() as { spec: unknown }).spec),
  );
const example = (name: string): string => EXAMPLES[name] ?? "";
const reported = (name: string): string => reportText(converted(example(name)).reports);
const ladder = ({ stages }: RolloutSpec) =>
  stages.map(({ weightBps, holdSeconds, maxErrorRateBps, approval }) => [
    weightBps,
    holdSeconds,
    maxErrorRateBps,
    ...(approval ? ["approval"] : []),
  ]);

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (isOperatorError(error)) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "converted";
}

describe("a canary of Argo Rollouts", () => {
  it("becomes a ladder with the limits of its analyses", () => {
    const [spec] = specsOf(example("argo-canary"));
    expect(spec).toMatchObject({
      target: { deployment: "checkout" },
      replicas: 6,
      service: { name: "checkout" },
      drainSeconds: 45,
      progressDeadlineSeconds: 300,
    });
    // The analysis of the step takes 20 s and three times 20 s; 0.98 beside it, from the third step on, is stricter than 3 %.
    expect(spec === undefined ? [] : ladder(spec)).toEqual([
      [500, 200, 200],
      [2_500, 0, 200, "approval"],
      [5_000, 600, 200],
      [7_500, 0, 200],
      [10_000, 0, 200],
    ]);
    expect(spec?.analysis.source.pods?.metrics).toEqual({
      requests: "http_server_requests_total",
      errors: { label: "status", pattern: "5.." },
    });
  });

  it("keeps labels and annotations that are not of a tool", () => {
    const [object] = converted(example("argo-canary")).objects;
    expect(object).toMatchObject({
      metadata: {
        name: "checkout",
        namespace: "shop",
        labels: { team: "payments" },
        annotations: { "team/contact": "payments@example.com" },
      },
    });
  });

  it("has its weights by the largest one there is", () => {
    const [spec] = specsOf(example("argo-ping-pong"));
    expect(spec?.stages.map(({ weightBps, maxHoldSeconds }) => [weightBps, maxHoldSeconds])).toEqual([
      [50, 90_000],
      [10_000, 3_600],
    ]);
    expect(spec?.service).toEqual({ name: "search-ping" });
  });

  it("takes Gateways, host names and the rule of the route that it moved weights in", () => {
    const [spec] = specsOf(example("argo-route"), { gateway: undefined, service: undefined });
    expect(spec?.traffic.gatewayAPI).toEqual({
      kind: "GRPCRoute",
      parentRefs: [{ name: "public", namespace: "infra", sectionName: "grpc" }],
      hostnames: ["prices.example.com"],
      matches: [{ method: { service: "shop.Prices" } }],
    });
    const text = example("argo-route").replace("    - matches:", "    - name: other\n    - matches:");
    expect(specsOf(text)[0]?.traffic.gatewayAPI.matches).toBeUndefined();
    expect(reportText(converted(text).reports)).toContain(
      "spec.rules: not translated: the route of a Rollout has one rule",
    );
  });

  it("without weights has the usual ladder", () => {
    const text = example("argo-ping-pong").replace(/ {6}steps:[\s\S]*/, "");
    expect(specsOf(text)[0]?.stages).toEqual(rolloutSpec.shape.stages.parse(undefined));
    expect(reportText(converted(text).reports)).toContain("note: it has no weights");
  });

  it("without any Service takes the ports of its template, or the Service of the command line", () => {
    const text = example("argo-blue-green").replaceAll(/ +(active|preview)Service: .*\n/g, "");
    expect(specsOf(text)[0]?.service).toEqual({ ports: [{ name: "http", port: 8_080 }] });
    expect(specsOf(text, { ...OPTIONS, service: "catalog" })[0]?.service).toEqual({ name: "catalog" });
  });

  it("with several ports in its template, without names and one of them twice, has names for them", () => {
    const text = example("argo-blue-green")
      .replaceAll(/ +(active|preview)Service: .*\n/g, "")
      .replace(
        /( +)- name: http\n +containerPort: 8080\n/,
        "$1- {containerPort: 8080}\n".repeat(2) + "$1- {containerPort: 9090}\n",
      );
    expect(specsOf(text)[0]?.service).toEqual({
      ports: [
        { name: "port-8080", port: 8_080 },
        { name: "port-9090", port: 9_090 },
      ],
    });
  });
});

it("a blue-green release becomes one stage of all requests", () => {
  const [spec] = specsOf(example("argo-blue-green"));
  expect(spec === undefined ? [] : ladder(spec)).toEqual([[10_000, 600, 200, "approval"]]);
  expect(spec?.target.template).toMatchObject({ spec: { containers: [{ image: "catalog:1" }] } });
  expect(spec?.drainSeconds).toBe(60);
});

describe("a Canary of Flagger", () => {
  it("becomes a ladder on its own Gateways, with ports in place of its Service", () => {
    const [spec] = specsOf(example("flagger-gateway"), { ...OPTIONS, gateway: undefined });
    expect(spec?.traffic.gatewayAPI).toEqual({
      kind: "HTTPRoute",
      parentRefs: [{ name: "public", namespace: "infra", sectionName: "https" }],
      hostnames: ["podinfo.example.com"],
      matches: [{ path: { type: "PathPrefix", value: "/api" } }],
    });
    expect(spec?.service).toEqual({ ports: [{ name: "web", port: 80, targetPort: 9_898, appProtocol: "http" }] });
    expect(spec === undefined ? [] : ladder(spec)).toEqual([
      [100, 90, 40],
      [1_000, 90, 40],
      [4_000, 90, 40],
      [10_000, 0, 40],
    ]);
    expect(spec?.analysis.source.pods?.metrics.requests).toBe("app_requests_total");
  });

  it("with more stages than there can be has fewer and longer ones", () => {
    const [orders, invoices] = specsOf(example("flagger-istio"));
    expect(orders?.stages).toHaveLength(19);
    expect(orders === undefined ? [] : ladder(orders).slice(0, 2)).toEqual([
      [200, 120, 100],
      [600, 120, 100],
    ]);
    expect(invoices === undefined ? [] : ladder(invoices)).toEqual([[10_000, 600, 100]]);
  });
});

describe("what is refused", () => {
  it.each<[string, string, ConvertOptions, string]>([
    [
      "no Gateway",
      example("argo-canary"),
      { gateway: undefined, service: undefined },
      "Rollout shop/checkout: no document says which Gateway serves the route: give --gateway NAMESPACE/NAME",
    ],
    [
      "a StatefulSet",
      example("argo-canary").replace("kind: Deployment", "kind: StatefulSet"),
      OPTIONS,
      "spec.workloadRef names a StatefulSet",
    ],
    [
      "a DaemonSet",
      example("flagger-gateway").replace("kind: Deployment", "kind: DaemonSet"),
      OPTIONS,
      "spec.targetRef names a DaemonSet",
    ],
    [
      "neither template nor reference",
      "{apiVersion: argoproj.io/v1alpha1, kind: Rollout, metadata: {name: x}, spec: {}}",
      OPTIONS,
      "Rollout x: it has neither spec.template nor spec.workloadRef",
    ],
    [
      "no Service at all",
      example("argo-ping-pong").replace(/ {6}pingPong:[\s\S]*?trafficRouting/, "      trafficRouting"),
      OPTIONS,
      "give --service NAME",
    ],
    [
      "a name that is too long",
      example("argo-blue-green").replace("name: catalog", `name: ${"c".repeat(37)}`),
      OPTIONS,
      "metadata.name: the name of a Rollout begins with a letter and has at most 36",
    ],
    [
      "a value that the schema refuses",
      example("argo-blue-green").replace("replicas: 2", "paused: maybe"),
      OPTIONS,
      "Rollout catalog: the Rollout made of it is refused: spec.paused: ",
    ],
    [
      "nothing to convert",
      "{apiVersion: v1, kind: Service, metadata: {name: x}}",
      OPTIONS,
      "the documents hold neither a Rollout of argoproj.io nor a Canary of flagger.app",
    ],
    ["no object", "just a word", OPTIONS, "test.yaml: a document has no apiVersion, kind or metadata.name"],
    ["no YAML", "{a: [", OPTIONS, "test.yaml: "],
    [
      "aliases without end",
      `a: &a [x, x, x, x, x, x, x, x, x, x]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]
c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]
d: [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]
`,
      OPTIONS,
      "test.yaml: Excessive alias count",
    ],
    [
      "labels that are none",
      example("argo-canary").replace("    team: payments", "    team: {a: b}"),
      OPTIONS,
      "Rollout shop/checkout: metadata.labels.team: ",
    ],
  ])("%s", (_, text, options, reason) => {
    expect(codeOf(() => converted(text, options))).toContain(`ROLLOUT_UNCONVERTIBLE: `);
    expect(codeOf(() => converted(text, options))).toContain(reason);
  });
});

describe("the report", () => {
  it.each<[string, readonly string[]]>([
    [
      "argo-canary",
      [
        "spec.strategy.canary.steps[0].setHeaderRoute: not translated",
        "spec.strategy.canary.steps[1].pause: not translated: there is no stage before the first weight",
        "spec.strategy.canary.steps[10].setWeight: not translated: weights only rise",
        "spec.metrics[1]: not translated: it is not recognised",
        "note: a last stage of 100 % was added",
      ],
    ],
    ["argo-blue-green", ["spec.strategy.blueGreen.prePromotionAnalysis: not translated"]],
    [
      "flagger-gateway",
      [
        "spec.analysis.webhooks: not translated: webhooks are not translated yet",
        "spec.service.match[1]: not translated",
      ],
    ],
    ["flagger-istio", ["Service orders-extra: makes no Rollout of its own", "note: of 35 stages one in 2 is left"]],
  ])("of %s says what a person has to do", (name, lines) => {
    for (const line of lines) expect(reported(name)).toContain(line);
  });

  it("names templates that are not there, and those that nobody asks for", () => {
    const [rollout = "", ...templates] = example("argo-canary").split("---\n");
    expect(reportText(converted(rollout).reports)).toContain(
      "spec.strategy.canary.analysis.templates[0]: not translated: AnalysisTemplate success-rate is not among the documents",
    );
    const lonely = [example("argo-blue-green"), templates[0]].join("---\n");
    expect(reportText(converted(lonely).reports)).toContain(
      "AnalysisTemplate shop/success-rate: makes no Rollout of its own\n  spec: not translated: no document asks for it\n",
    );
  });

  it("leaves metrics of a dry run out", () => {
    const text = example("argo-canary").replace(
      "        startingStep: 2\n",
      "        dryRun: [{metricName: success-rate}]\n",
    );
    expect(reportText(converted(text).reports)).toContain(
      "spec.metrics[0]: not translated: it is a metric of a dry run",
    );
    expect(specsOf(text)[0]?.stages[1]?.maxErrorRateBps).toBe(200);
    expect(specsOf(text)[0]?.stages[0]?.maxErrorRateBps).toBe(300);
  });
});

/** Fields of which the converter says in its list that they need nothing here. */
const NOTHING_TO_DO = [
  ...COMMON_RULES,
  ...ARGO_RULES,
  ...TEMPLATE_RULES,
  ...FLAGGER_RULES,
  ...METRIC_TEMPLATE_RULES,
  ...ROUTE_RULES,
]
  .filter(({ why }) => why === undefined)
  .map(({ pattern }) => pattern);

/** True where the list, a report or the result has the field, or the document is refused for it. */
function isAccountedFor(
  before: Conversion,
  documents: readonly unknown[],
  [index, path]: readonly [number, Path],
): boolean {
  try {
    const after = convertedObjects(documents);
    if (
      JSON.stringify(after.objects) !== JSON.stringify(before.objects) ||
      reportText(after.reports) !== reportText(before.reports)
    )
      return true;
    const field = pathText(path);
    const told = after.reports[index]?.findings.some((one) => one.path === "" || isWithin(field, one.path));
    const plain = field.replaceAll(/\[\d+\]/g, "[]");
    return told === true || NOTHING_TO_DO.some((pattern) => isWithin(plain, pattern));
  } catch (error) {
    if (isOperatorError(error, "ROLLOUT_UNCONVERTIBLE")) return true;
    throw error;
  }
}

function isWithin(field: string, whole: string): boolean {
  return field === whole || field.startsWith(`${whole}.`) || field.startsWith(`${whole}[`);
}

function withChange(
  documents: readonly unknown[],
  [index, path]: readonly [number, Path],
  change: (old: unknown) => unknown,
) {
  const copy = structuredClone(documents) as Record<string | number, unknown>[];
  const parent = path.slice(0, -1).reduce<unknown>((value, part) => (value as never)[part], copy[index]) as Record<
    string | number,
    unknown
  >;
  const last = path.at(-1) ?? "";
  parent[last] = change(parent[last]);
  return copy;
}

/** Other values: some of them may come to the same, not all. */
function others(value: unknown): readonly unknown[] {
  if (typeof value === "number") return [value + 1, 0, value * 1_000 + 7];
  if (typeof value === "boolean") return [!value];
  return [`${String(value)}x`, ""];
}

/** Lists of Kubernetes as their items: paths of findings begin at an object. */
function documentsOf(text: string): unknown[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as { readonly kind: string; readonly items?: unknown[] })
    .flatMap((document) => document.items ?? [document]);
}

/** Paths of all values, inner ones too. */
function pathsOf(document: unknown): Path[] {
  return leavesOf(document).flatMap((leaf) => leaf.map((_, depth) => leaf.slice(0, depth + 1)));
}

const WRONG: readonly unknown[] = [null, 5, -1, true, "x", [], [null], {}, [[]], { x: null }];

it("values of any shape are refused with a sentence, or reported", () => {
  const seed = 20_260_301;
  const all = Object.values(EXAMPLES).map(documentsOf);
  const place = fc.constantFrom(
    ...all.flatMap((documents) =>
      documents.flatMap((document, index) => pathsOf(document).map((path) => ({ documents, index, path }))),
    ),
  );
  const check = ({ documents, index, path }: { documents: unknown[]; index: number; path: Path }, wrong: unknown) => {
    const changed = withChange(documents, [index, path], () => wrong);
    expect(codeOf(() => convertedObjects(changed))).toMatch(/^(converted|ROLLOUT_UNCONVERTIBLE: .+)/);
  };
  fc.assert(fc.property(place, fc.constantFrom(...WRONG), check), { seed, numRuns: 400 });
});

describe.each(Object.keys(EXAMPLES))("of %s", (name) => {
  const documents = documentsOf(example(name));
  const before = convertedObjects(documents);

  it("every value is in the result, in the report, or in the list of those that need nothing", () => {
    const lost = documents.flatMap((document, index) =>
      leavesOf(document)
        .filter((path) => {
          const old = path.reduce<unknown>((part, step) => (part as never)[step], document);
          const changed = others(old).map((value) => withChange(documents, [index, path], () => value));
          return !changed.some((copy) => isAccountedFor(before, copy, [index, path]));
        })
        .map(pathText),
    );
    expect(lost).toEqual([]);
  });

  it("every member that is added anywhere is too", () => {
    const parents = documents.flatMap((document, index) => {
      const paths = leavesOf(document).flatMap((leaf) => leaf.map((_, depth) => leaf.slice(0, depth)));
      return [...new Map(paths.map((path) => [pathText(path), path])).values()].map((path) => [index, path] as const);
    });
    const lost = parents.flatMap(([index, parent]) => {
      const value = parent.reduce<unknown>((part, step) => (part as never)[step], documents[index]);
      const added: Path = [...parent, Array.isArray(value) ? value.length : "unheardOf"];
      const isLost = !isAccountedFor(
        before,
        withChange(documents, [index, added], () => "added"),
        [index, added],
      );
      return isLost ? [pathText(added)] : [];
    });
    expect(lost).toEqual([]);
  });
});
