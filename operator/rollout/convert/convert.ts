/** Rollouts of other projects as Rollouts of ours, and a report of what is not the same. */
import { z } from "zod";
import { RESOURCE_NAME_MAX_LENGTH } from "../../../crds/common.ts";
import { ROLLOUT, rolloutSpec } from "../../../crds/rollout.ts";
import { OperatorError } from "../../../lib/core/errors.ts";
import { fromArgo } from "./argo.ts";
import { TEMPLATE_RULES } from "./argo-analysis.ts";
import { ARGO_RULES } from "./argo-rules.ts";
import type { Entry } from "./documents.ts";
import { fromFlagger } from "./flagger.ts";
import { METRIC_TEMPLATE_RULES } from "./flagger-analysis.ts";
import { FLAGGER_RULES } from "./flagger-rules.ts";
import { COMMON_RULES, type ConvertOptions, type Draft } from "./frame.ts";
import type { Finding, Rule } from "./reading.ts";
import { ROUTE_RULES } from "./routes.ts";

/** What is to be said of one document. */
export interface DocumentReport {
  readonly title: string;
  readonly isConverted: boolean;
  readonly findings: readonly Finding[];
  readonly notes: readonly string[];
}

export interface Conversion {
  /** The Rollouts. */
  readonly objects: readonly object[];
  readonly reports: readonly DocumentReport[];
}

interface KindOfOther {
  readonly rules: readonly Rule[];
  /** Absent for templates, which become parts of others. */
  readonly convert?: (entry: Entry, all: readonly Entry[], options: ConvertOptions) => Draft;
}

const TEMPLATE: KindOfOther = { rules: [...COMMON_RULES, ...TEMPLATE_RULES] };

const KINDS_OF_OTHERS: Readonly<Record<string, KindOfOther>> = {
  "argoproj.io Rollout": { rules: ARGO_RULES, convert: fromArgo },
  "argoproj.io AnalysisTemplate": TEMPLATE,
  "argoproj.io ClusterAnalysisTemplate": TEMPLATE,
  "gateway.networking.k8s.io HTTPRoute": { rules: ROUTE_RULES },
  "gateway.networking.k8s.io GRPCRoute": { rules: ROUTE_RULES },
  "flagger.app Canary": {
    rules: FLAGGER_RULES,
    convert: (entry, all, options) =>
      fromFlagger(
        entry,
        all.filter(({ kind }) => kind === "MetricTemplate"),
        options,
      ),
  },
  "flagger.app MetricTemplate": { rules: METRIC_TEMPLATE_RULES },
};

/** @throws OperatorError ROLLOUT_UNCONVERTIBLE with the document and what is wrong */
export function convert(entries: readonly Entry[], options: ConvertOptions): Conversion {
  const converted = entries.map((entry) => ({ entry, draft: kindOf(entry)?.convert?.(entry, entries, options) }));
  const objects = converted.flatMap(({ entry, draft }) => (draft === undefined ? [] : [objectOf(entry, draft)]));
  if (objects.length === 0) {
    throw new OperatorError(
      "ROLLOUT_UNCONVERTIBLE",
      "the documents hold neither a Rollout of argoproj.io nor a Canary of flagger.app",
    );
  }
  return { objects, reports: converted.map(({ entry, draft }) => reportOf(entry, draft)) };
}

function kindOf({ apiVersion, kind }: Entry): KindOfOther | undefined {
  return KINDS_OF_OTHERS[`${apiVersion.split("/")[0] ?? ""} ${kind}`];
}

const words = z.record(z.string(), z.string());
const metadataShape = z.object({
  namespace: z.string().optional(),
  labels: words.optional(),
  annotations: words.optional(),
});

/** The object, once its schema has taken it. */
function objectOf({ reading, name }: Entry, { metadata, spec }: Draft): object {
  const refuse = (what: string): OperatorError =>
    new OperatorError("ROLLOUT_UNCONVERTIBLE", `${reading.title}: ${what}`);
  if (name.length > RESOURCE_NAME_MAX_LENGTH || !/^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(name)) {
    throw refuse(
      `metadata.name: the name of a Rollout begins with a letter and has at most ${String(RESOURCE_NAME_MAX_LENGTH)} letters, digits and '-': rename it in the document`,
    );
  }
  const parsed = rolloutSpec.safeParse(spec);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw refuse(`the Rollout made of it is refused: spec.${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`);
  }
  const parsedMetadata = metadataShape.safeParse(metadata);
  if (!parsedMetadata.success) {
    const [issue] = parsedMetadata.error.issues;
    throw refuse(`metadata.${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`);
  }
  return { apiVersion: ROLLOUT.apiVersion, kind: ROLLOUT.kind, metadata, spec };
}

function reportOf(entry: Entry, draft: Draft | undefined): DocumentReport {
  const { title } = entry.reading;
  const kind = kindOf(entry);
  if (kind === undefined) {
    const why = "it is of a kind that is not converted, and stays as it is";
    return { title, isConverted: false, findings: [{ path: "", outcome: "dropped", why }], notes: [] };
  }
  if (kind.convert === undefined && !entry.reading.isUsed()) {
    const finding: Finding = { path: "spec", outcome: "dropped", why: "no document asks for it" };
    return { title, isConverted: false, findings: [finding], notes: [] };
  }
  const findings = entry.reading.findings(kind.rules);
  return { title, isConverted: draft !== undefined, findings, notes: draft?.notes ?? [] };
}
