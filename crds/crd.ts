import { GROUP, VERSION } from "./group.ts";
import type { KindDefinition, PrinterColumn } from "./kind.ts";
import { schemaPathProblems } from "./schema-paths.ts";
import { StructuralError, type StructuralSchema, structural } from "./structural.ts";
import { structuralProblems } from "./structural-rules.ts";

/** Sentences of the members that every Kubernetes object has. */
const API_VERSION_DESCRIPTION = `Group and version of the API: ${GROUP}/${VERSION}.`;
const KIND_DESCRIPTION = "Kind of the resource.";

/** Category of all kinds: `kubectl get shieldx` lists them together. */
export const CATEGORY = "shieldx";

/** Name of the CustomResourceDefinition of a kind. */
export function crdName(kind: KindDefinition): string {
  return `${kind.type.plural}.${GROUP}`;
}

/**
 * The CustomResourceDefinition of a kind, as a plain object with members in the order in which they are printed.
 * @throws StructuralError when the kind's schemas cannot be expressed
 */
export function customResourceDefinition(kind: KindDefinition): Record<string, unknown> {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: {
      name: crdName(kind),
      labels: { "app.kubernetes.io/name": "shieldx", "app.kubernetes.io/component": "crd" },
    },
    spec: {
      group: GROUP,
      scope: kind.type.namespaced ? "Namespaced" : "Cluster",
      names: {
        kind: kind.type.kind,
        listKind: `${kind.type.kind}List`,
        plural: kind.type.plural,
        singular: kind.type.kind.toLowerCase(),
        shortNames: [kind.shortName],
        categories: [CATEGORY],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          additionalPrinterColumns: kind.columns.map(printerColumn),
          ...(kind.selectableFields.length === 0
            ? {}
            : { selectableFields: kind.selectableFields.map((jsonPath) => ({ jsonPath })) }),
          subresources: { status: {}, ...(kind.scale === undefined ? {} : { scale: kind.scale }) },
          schema: { openAPIV3Schema: rootSchema(kind) },
        },
      ],
    },
  };
}

function printerColumn({ name, type, jsonPath, description, priority }: PrinterColumn): Record<string, unknown> {
  return { name, type, jsonPath, description, ...(priority === undefined ? {} : { priority }) };
}

function rootSchema(kind: KindDefinition): StructuralSchema {
  const root: StructuralSchema = {
    description: kind.description,
    type: "object",
    required: ["spec"],
    properties: {
      apiVersion: { description: API_VERSION_DESCRIPTION, type: "string" },
      kind: { description: KIND_DESCRIPTION, type: "string" },
      metadata: { type: "object" },
      spec: { description: "What you ask for.", ...structural(kind.spec) },
      status: {
        description: "What the controller last observed.",
        // kstatus calls a resource without status "current": a wait would end before the first reconcile.
        default: { observedGeneration: -1 },
        ...structural(kind.status),
      },
    },
    ...(kind.rules.length === 0
      ? {}
      : { "x-kubernetes-validations": kind.rules.map(({ rule, message }) => ({ rule, message })) }),
  };
  const problems = [...structuralProblems(root as never), ...schemaPathProblems(kind, root)];
  if (problems.length > 0) throw new StructuralError(problems.map((problem) => `${kind.type.kind}: ${problem}`));
  return root;
}
