import { LABELS } from "../../crds/group.ts";
import { type ConfigMapObject, type KubeObject, RESOURCES } from "../../lib/kube/types.ts";
import { apply, remove } from "../../operator/runtime/actions.ts";
import { owned } from "../../operator/runtime/mapping.ts";
import { createReconciler } from "../../operator/runtime/reconciler.ts";
import type { Report } from "../../operator/runtime/report.ts";
import { type ResourceState, working } from "../../operator/runtime/summary.ts";
import type { Controller, Key, Plan, ReconcileContext } from "../../operator/runtime/types.ts";
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

/** What a reconcile of a widget decides from. */
interface Scope {
  readonly widget: Widget;
  readonly child: ConfigMapObject | undefined;
  readonly stamp: Readonly<Record<string, string>>;
}

/**
 * A controller as the product's are, on the same reconcile: a finalizer, an owned object (a ConfigMap of the widget's
 * name), a status with conditions, an event, and a deletion that cleans up.
 */
export function createWidgetOperator(options: WidgetOperatorOptions = {}): Controller {
  const reconcile = createReconciler<Widget, Scope, Scope>({
    resource: WIDGET,
    observe: (widget, context) => ({
      widget,
      child: context.cache.get(ConfigMap, widget.metadata.namespace ?? "", widget.metadata.name),
      stamp: options.stamp?.(context) ?? {},
    }),
    assess: (scope) => scope,
    plan: planWidget,
    report: reportWidget,
  });
  return {
    name: "widget",
    resource: WIDGET,
    concurrency: options.concurrency ?? 2,
    watches: [owned(WIDGET)(ConfigMap)],
    reconcile: async (key, context) => {
      await options.before?.(key, context);
      return reconcile(key, context);
    },
  };
}

/** The child as wanted; at the end the child away, and with it gone from memory, the finalizer. */
function planWidget({ widget, child, stamp }: Scope): Plan {
  const { deletionTimestamp, namespace = "", name } = widget.metadata;
  if (deletionTimestamp === undefined) return { actions: [apply(childOf(widget, stamp), sizeOf(widget))] };
  if (child === undefined) return { actions: [], isCleanedUp: true };
  return { actions: [remove({ resource: ConfigMap, namespace, name, uid: child.metadata.uid }, "clean up")] };
}

function reportWidget({ widget }: Scope): Report {
  return { state: stateOf(widget), conditions: {}, status: {} };
}

function stateOf(widget: Widget): ResourceState<string> {
  if (widget.metadata.deletionTimestamp !== undefined) return working("Deleting", "the child is being removed");
  return {
    kind: "ready",
    tellsEachMessage: true,
    ready: { status: "True", reason: "Applied", message: sizeOf(widget) },
  };
}

function sizeOf(widget: Widget): string {
  return `size ${widget.spec?.size ?? 0}`;
}

/** The ConfigMap of a widget. */
export function childOf(widget: Widget, stamp: Readonly<Record<string, string>> = {}): KubeObject {
  const { namespace = "", name } = widget.metadata;
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { namespace, name, labels: { [LABELS.kind]: "Widget", [LABELS.name]: name } },
    data: { size: String(widget.spec?.size ?? 0), ...stamp },
  };
}
