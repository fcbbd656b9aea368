import type { KubeObject, ResourceType } from "../lib/kube/types.ts";

/** A kind of no meaning, for tests of the machinery. */
export interface Widget extends KubeObject {
  spec?: { size?: number; text?: string };
  status?: Record<string, unknown>;
}

export const WIDGET: ResourceType<Widget> = {
  group: "test.shieldx.dev",
  version: "v1",
  kind: "Widget",
  plural: "widgets",
  namespaced: true,
};

/** The definition that a real API server needs before it knows widgets. */
export const WIDGET_CRD: KubeObject = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "widgets.test.shieldx.dev" },
  spec: {
    group: WIDGET.group,
    scope: "Namespaced",
    names: { kind: WIDGET.kind, plural: WIDGET.plural, singular: "widget", listKind: "WidgetList" },
    versions: [
      {
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
      },
    ],
  },
};

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
