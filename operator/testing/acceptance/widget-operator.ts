import { FINALIZER, LABELS } from "../../../crds/group.ts";
import { type KubeObject, RESOURCES } from "../../../lib/kube/types.ts";
import { mergeConditions } from "../../runtime/conditions.ts";
import { ensureFinalizer, hasFinalizer, removeFinalizer } from "../../runtime/finalizers.ts";
import type { Action, Condition, Controller, Key, ReconcileContext, Result } from "../../runtime/types.ts";
import { WIDGET, type Widget } from "../widget.ts";

const { ConfigMap } = RESOURCES;

export interface WidgetOperatorOptions {
  /** Awaited at the beginning of each reconcile; what it throws is the reconcile's failure. */
  readonly before?: (key: Key, context: ReconcileContext) => Promise<void> | void;
  /** Further data of the child, for example under which epoch it was written. */
  readonly stamp?: (context: ReconcileContext) => Readonly<Record<string, string>>;
  /** 2 unless told. */
  readonly concurrency?: number;
}

/**
 * A controller with everything that a controller of the product has: a finalizer, an owned object (a ConfigMap of the
 * widget's name), an event, a status with conditions, and a deletion that cleans up.
 */
export function createWidgetOperator(options: WidgetOperatorOptions = {}): Controller {
  return {
    name: "widget",
    resource: WIDGET,
    concurrency: options.concurrency ?? 2,
    watches: [
      {
        resource: ConfigMap,
        labelSelector: `${LABELS.kind}=Widget`,
        keys: ({ metadata }) => [{ namespace: metadata.namespace ?? "", name: metadata.labels?.[LABELS.name] ?? "" }],
      },
    ],
    reconcile: async (key, context): Promise<Result> => {
      await options.before?.(key, context);
      const owner: Widget | undefined = context.cache.get(WIDGET, key.namespace, key.name);
      if (owner === undefined) return {};
      if (owner.metadata.deletionTimestamp !== undefined) return cleanUp(owner, context);
      const note = `size ${owner.spec?.size ?? 0}`;
      const { error } = await context.execute(owner, {
        actions: [
          ...ensureFinalizer(owner, WIDGET),
          { type: "apply", object: childOf(owner, options.stamp?.(context) ?? {}), note },
          { type: "event", eventType: "Normal", reason: "Applied", note },
        ],
      });
      await context.patchStatus(owner, statusOf(owner, error, context.clock.now()));
      if (error !== undefined) throw error;
      return {};
    },
  };
}

/** Removes the child, then, with the child gone from memory, lets the deletion go on. */
async function cleanUp(owner: Widget, context: ReconcileContext): Promise<Result> {
  if (!hasFinalizer(owner)) return {};
  const { namespace = "", name } = owner.metadata;
  const child = context.cache.get(ConfigMap, namespace, name);
  const actions: readonly Action[] =
    child === undefined
      ? removeFinalizer(owner, WIDGET)
      : [{ type: "delete", resource: ConfigMap, namespace, name, uid: child.metadata.uid, note: "clean up" }];
  const { error } = await context.execute(owner, { actions });
  if (error !== undefined) throw error;
  return {};
}

/** The status, of failures too. */
function statusOf(owner: Widget, error: Error | undefined, now: number): Record<string, unknown> {
  const observedGeneration = owner.metadata.generation ?? 0;
  const ready =
    error === undefined
      ? ({ status: "True", reason: "Applied", message: `size ${owner.spec?.size ?? 0}` } as const)
      : ({ status: "False", reason: "Failed", message: error.message } as const);
  const previous = owner.status?.["conditions"] as readonly Condition[] | undefined;
  const conditions = mergeConditions(previous, [{ type: "Ready", ...ready, observedGeneration }], now);
  return { conditions, observedGeneration };
}

/** The ConfigMap of a widget. */
export function childOf(owner: KubeObject, stamp: Readonly<Record<string, string>> = {}): KubeObject {
  const { namespace = "", name } = owner.metadata;
  const spec = owner["spec"] as Widget["spec"];
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { namespace, name, labels: { [LABELS.kind]: "Widget", [LABELS.name]: name } },
    data: { size: String(spec?.size ?? 0), ...stamp },
  };
}

/** The finalizer that the controller sets. */
export const WIDGET_FINALIZER = FINALIZER;
