import { type KubeObject, type ResourceType, resourceType } from "../lib/kube/types.ts";

/** A kind of no meaning, for tests of the machinery. */
export interface Widget extends KubeObject {
  spec?: { size?: number; text?: string };
  status?: Record<string, unknown>;
}

export const WIDGET: ResourceType<Widget> = resourceType("test.shieldx.dev/v1", ["Widget", "widgets"]);

const WIDGET_VERSION = {
  name: WIDGET.version,
  served: true,
  storage: true,
  subresources: { status: {} },
  schema: {
    openAPIV3Schema: {
      type: "object",
      properties: {
        spec: { type: "object", properties: { size: { type: "integer" }, text: { type: "string" } } },
        status: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
      },
    },
  },
};

/**
 * The definition that a real API server needs before it knows widgets, or another kind that is named like them.
 * @param parts other versions than that of widgets, and how they are converted
 */
export function definitionOf(
  { group, kind, plural, namespaced }: ResourceType = WIDGET,
  parts: { readonly versions?: readonly object[]; readonly conversion?: object } = {},
): KubeObject {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: namespaced ? "Namespaced" : "Cluster",
      names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: [WIDGET_VERSION],
      ...parts,
    },
  };
}

/** The definition of widgets. */
export const WIDGET_CRD = definitionOf();

/** A widget with a spec. */
export function widget(
  name: string,
  spec: Widget["spec"] = { size: 1 },
  metadata: Partial<KubeObject["metadata"]> = {},
): Widget {
  return {
    apiVersion: "test.shieldx.dev/v1",
    kind: "Widget",
    metadata: { namespace: "default", name, ...metadata },
    spec,
  };
}

/** A ConfigMap with labels. */
export function configMap(name: string, data: Record<string, string>, labels: Record<string, string> = {}): KubeObject {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace: "default", name, labels }, data };
}
