import { LABELS } from "../crds/group.ts";
import { type KubeObject, RESOURCES, type ResourceType } from "../lib/kube/types.ts";
import { mergeConditions } from "../operator/runtime/conditions.ts";
import { ensureFinalizer, removeFinalizer } from "../operator/runtime/finalizers.ts";
import type { Action, Condition, Controller, Watch } from "../operator/runtime/types.ts";
import { WIDGET, type Widget } from "./widget.ts";

/*
 * The smallest controller that does everything once: reads a widget and its children from memory, applies the children,
 * states a condition. The operator benchmark runs it beside a Go program of the same work (bench/peers), the chaos run
 * kills it.
 */

export interface WidgetControllerOptions {
  /** Another kind of the same shape; `WIDGET` unless told. */
  readonly resource?: ResourceType<Widget>;
  /** 1: a ConfigMap. 3: also a Secret and a Deployment of no replicas. */
  readonly children?: 1 | 3;
  /** Holds a widget's deletion with a finalizer until its children are deleted, where no garbage collector runs. */
  readonly cleansUp?: boolean;
  /** Widgets reconciled at once. */
  readonly concurrency?: number;
}

const CONCURRENCY = 10;
const { ConfigMap, Secret, Deployment } = RESOURCES;

/** A controller of widgets. Each child has the widget's name and goes with it (owner reference). */
export function createWidgetController(options: WidgetControllerOptions = {}): Controller<Widget> {
  const resource = options.resource ?? WIDGET;
  const kinds = options.children === 3 ? [ConfigMap, Secret, Deployment] : [ConfigMap];
  const watches = kinds.map(
    (kind): Watch => ({
      resource: kind,
      labelSelector: `${LABELS.kind}=${resource.kind}`,
      keys: ({ metadata }) => [{ namespace: metadata.namespace ?? "", name: metadata.labels?.[LABELS.name] ?? "" }],
    }),
  );
  return {
    name: resource.kind.toLowerCase(),
    resource,
    watches,
    concurrency: options.concurrency ?? CONCURRENCY,
    reconcile: async (key, context) => {
      const widget = context.cache.get(resource, key.namespace, key.name);
      if (widget === undefined) return {};
      if (widget.metadata.deletionTimestamp !== undefined) {
        // A child that memory does not show may still be there: the applier then looks at the server.
        const deletions = kinds.map(
          (kind): Action => ({
            type: "delete",
            resource: kind,
            ...key,
            uid: undefined,
            note: "clean up",
          }),
        );
        const { error } = await context.execute(widget, {
          actions: options.cleansUp === true ? [...deletions, ...removeFinalizer(widget, resource)] : [],
        });
        if (error !== undefined) throw error;
        return {};
      }
      const actions = [
        ...(options.cleansUp === true ? ensureFinalizer(widget, resource) : []),
        ...childrenOf(widget, kinds.length).map(
          (object): Action => ({ type: "apply", object, note: `text ${widget.spec?.text ?? ""}` }),
        ),
      ];
      const { error } = await context.execute(widget, { actions });
      const observedGeneration = widget.metadata.generation ?? 0;
      const conditions = mergeConditions(
        widget.status?.["conditions"] as readonly Condition[] | undefined,
        [
          error === undefined
            ? { type: "Ready", status: "True", reason: "Applied", message: "", observedGeneration }
            : { type: "Ready", status: "False", reason: "Failed", message: error.message, observedGeneration },
        ],
        context.clock.now(),
      );
      await context.patchStatus(widget, { observedGeneration, conditions });
      if (error !== undefined) throw error;
      return {};
    },
  };
}

/** The first `count` children of a widget; the text of its spec is in each. */
function childrenOf(widget: Widget, count: number): KubeObject[] {
  const { namespace = "", name, uid = "" } = widget.metadata;
  const metadata = {
    namespace,
    name,
    labels: { [LABELS.kind]: widget.kind, [LABELS.name]: name },
    ownerReferences: [
      { apiVersion: widget.apiVersion, kind: widget.kind, name, uid, controller: true, blockOwnerDeletion: true },
    ],
  };
  const text = widget.spec?.text ?? "";
  const size = String(widget.spec?.size ?? 0);
  const app = { app: name };
  const all: KubeObject[] = [
    { apiVersion: "v1", kind: "ConfigMap", metadata, data: { text, size } },
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata,
      type: "Opaque",
      data: { text: Buffer.from(text).toString("base64") },
    },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata,
      spec: {
        replicas: 0,
        selector: { matchLabels: app },
        template: {
          metadata: { labels: app },
          spec: { containers: [{ name: "main", image: "example/widget:1", env: [{ name: "TEXT", value: text }] }] },
        },
      },
    },
  ];
  return all.slice(0, count);
}
