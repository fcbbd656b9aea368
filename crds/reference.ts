/** The reference pages, printed from the catalogues. Pure: text out, no files. */
import { ERRORS } from "../lib/core/errors.ts";
import { METRICS } from "../lib/core/metric-names.ts";
import { CATEGORY } from "./crd.ts";
import { API_VERSION } from "./group.ts";
import type { KindDefinition } from "./kind.ts";
import { type FieldRow, fieldsOf, typeText } from "./reference-fields.ts";
import { structural } from "./structural.ts";

const NOTICE = "<!-- Printed by 'make generate'; do not edit. -->";

/** Advice of the catalogue's `retry` member, in words. */
const RETRY_WORDS: Readonly<Record<string, string>> = {
  backoff: "heals by itself; tried again with growing pauses",
  after: "heals by itself; send it again after Retry-After",
  terminal: "needs a change of input",
};

/** `docs/reference/api.md`: every field of every kind. */
export function apiReference(kinds: readonly KindDefinition[]): string {
  const intro = [
    "# API reference",
    NOTICE,
    `All kinds belong to \`${API_VERSION}\` and are namespaced. \`kubectl get ${CATEGORY}\` lists them together; \`kubectl explain\` shows the same sentences as this page. A rule stands at the field that it is about, with the sentence that the API server answers when an object breaks it.`,
  ];
  return page([...intro, ...kinds.flatMap(kindSection)]);
}

function kindSection(kind: KindDefinition): string[] {
  const columns = kind.columns.map(
    ({ name, description, priority }) => `| ${name} | ${description}${priority === 1 ? " (`-o wide`)" : ""} |`,
  );
  const selectable = kind.selectableFields.map((path) => code(path.slice(1)));
  return [
    `## ${kind.type.kind}`,
    kind.description,
    [
      `Plural \`${kind.type.plural}\`, short name \`${kind.shortName}\`.`,
      kind.scale === undefined ? "" : `\`kubectl scale\` changes \`${kind.scale.specReplicasPath.slice(1)}\`.`,
      selectable.length === 0 ? "" : `\`--field-selector\` knows ${selectable.join(", ")}.`,
    ]
      .filter((sentence) => sentence !== "")
      .join(" "),
    "### Spec",
    fieldTable(fieldsOf(structural(kind.spec), "spec")),
    "Rules on the resource as a whole:",
    kind.rules.map(({ message }) => `- ${message}`).join("\n"),
    "### Status",
    fieldTable(fieldsOf(structural(kind.status), "status")),
    "### Columns of kubectl get",
    ["| column | meaning |", "|---|---|", ...columns].join("\n"),
  ];
}

function fieldTable(rows: readonly FieldRow[]): string {
  const lines = rows.map(({ path, required, immutable, rules, schema }) => {
    const fallback = schema.default === undefined ? (required ? "required" : "") : code(JSON.stringify(schema.default));
    const meaning = [
      cell(schema.description ?? ""),
      ...(immutable ? ["**Immutable.**"] : []),
      ...(rules.length === 0 ? [] : [`Refused otherwise: ${rules.map((message) => `*${cell(message)}*`).join("; ")}.`]),
    ].join(" ");
    return `| ${code(path)} | ${cell(typeText(schema))} | ${fallback} | ${meaning} |`;
  });
  return ["| field | type and bounds | default | meaning |", "|---|---|---|---|", ...lines].join("\n");
}

/** `docs/reference/conditions.md`: condition types and reasons of every kind. */
export function conditionsReference(kinds: readonly KindDefinition[]): string {
  return page([
    "# Conditions and reasons",
    NOTICE,
    "`Ready`, `Reconciling` and `Stalled` follow the rules of kstatus, by which Flux and Helm 4 wait (a test asks them about statuses from whole lives of both kinds); `kubectl wait` takes any of them. Argo CD needs a health script: [operations](../operations.md#gitops). `observedGeneration` of the status is always the generation that the conditions describe, failures included.",
    ...kinds.flatMap((kind) => [
      `## ${kind.type.kind}`,
      dictionary(["condition", "True means"], kind.conditions),
      dictionary(["reason", "meaning"], kind.reasons),
    ]),
  ]);
}

/** `docs/reference/errors.md`: every error code. */
export function errorsReference(): string {
  const rows = Object.entries(ERRORS).map(
    ([name, { status, retry, title, action }]) =>
      `| ${code(name)} | ${String(status)} | ${cell(title)}. | ${RETRY_WORDS[retry] ?? retry} | ${cell(action)} |`,
  );
  return page([
    "# Error codes",
    NOTICE,
    "Every failure carries one of these codes: in the problem+json answers of the ledger's API (`code`), in the messages of conditions, in logs and in the exit line of command-line programs. A code never changes its meaning.",
    ["| code | HTTP status | meaning | retry | what to do |", "|---|---|---|---|---|", ...rows].join("\n"),
  ]);
}

/** `docs/reference/metrics.md`: every metric, by process. */
export function metricsReference(): string {
  const sections = (["controller", "shard-agent", "ledger"] as const).flatMap((process) => {
    const rows = Object.entries(METRICS)
      .filter(([, metric]) => metric.process === process)
      .map(
        ([name, { type, labels, help }]) =>
          `| ${code(name)} | ${type} | ${labels.map(code).join(", ")} | ${cell(help)} |`,
      );
    if (rows.length === 0) return [];
    return [`## ${process}`, ["| metric | type | labels | meaning |", "|---|---|---|---|", ...rows].join("\n")];
  });
  return page([
    "# Metrics",
    NOTICE,
    "Prometheus text format at `/metrics` of each process, beside the standard `process_*` and `nodejs_*` metrics; those of webhooks as soon as a kind has one. No label holds an account, an amount or a secret.",
    ...sections,
  ]);
}

function dictionary([left, right]: readonly [string, string], entries: Readonly<Record<string, string>>): string {
  const rows = Object.entries(entries).map(([name, text]) => `| ${code(name)} | ${cell(text)} |`);
  return [`| ${left} | ${right} |`, "|---|---|", ...rows].join("\n");
}

function page(blocks: readonly string[]): string {
  return `${blocks.join("\n\n")}\n`;
}

function code(text: string): string {
  return `\`${text.replaceAll("|", "\\|")}\``;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("<", "&lt;");
}
