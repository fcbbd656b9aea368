import { LABELS } from "../crds/group.ts";
import { type KubeObject, RESOURCES, type ResourceType } from "../lib/kube/types.ts";
import { apply, remove } from "../operator/runtime/actions.ts";
import { owned } from "../operator/runtime/mapping.ts";
import { createReconciler } from "../operator/runtime/reconciler.ts";
import type { Report } from "../operator/runtime/report.ts";
import { type ResourceState, working } from "../operator/runtime/summary.ts";
import type { Controller, Key, Plan, ReconcileContext } from "../operator/runtime/types.ts";
import { ownerReferenceOf } from "./builders.ts";
import { WIDGET, type Widget } from "./widget.ts";

const { ConfigMap, Secret, Deployment } = RESOURCES;

export interface WidgetOperatorOptions {
  /** Another kind of the same shape; `WIDGET` unless told. */
  readonly resource?: ResourceType<Widget>;
  /** 1, unless told: a ConfigMap. 3: also a Secret and a Deployment of no replicas. */
  readonly children?: 1 | 3;
  /** Holds a widget's deletion with a finalizer until its children are deleted; true unless told. */
  readonly cleansUp?: boolean;
  /**
   * Tells by its conditions alone, without events: then a widget costs one request a child and one for its status, as in
   * the Go program of the operator benchmark (bench/peers). False unless told.
   */
  readonly isTerse?: boolean;
  /** Awaited at the beginning of each reconcile; what it throws is the reconcile's failure. */
  readonly before?: (key: Key, context: ReconcileContext) => Promise<void> | void;
  /** Further data of the ConfigMap, for example under which epoch it was written. */
  readonly stamp?: (context: ReconcileContext) => Readonly<Record<string, string>>;
  /** Widgets reconciled at once; 2 unless told. */
  readonly concurrency?: number;
}

/** What a reconcile of a widget decides from. */
interface Scope {
  readonly widget: Widget;
  readonly stamp: Readonly<Record<string, string>>;
}

/**
 * The controller of the test kit, as the product's are and on the same reconcile: a finalizer, owned objects of the
 * widget's name, a status with conditions, an event, and a deletion that cleans up. The acceptance list asks it for
 * everything, the operator benchmark measures it, the chaos run kills it.
 */
export function createWidgetOperator(options: WidgetOperatorOptions = {}): Controller<Widget> {
  const { resource = WIDGET, cleansUp = true, isTerse = false } = options;
  const kinds = options.children === 3 ? [ConfigMap, Secret, Deployment] : [ConfigMap];
  const reconcile = createReconciler<Widget, Scope, Scope>({
    resource,
    holdsDeletion: cleansUp,
    observe: (widget, context) => ({ widget, stamp: options.stamp?.(context) ?? {} }),
    assess: (scope) => scope,
    plan: (scope) => planWidget(scope, kinds),
    report: ({ widget }, { error }) => reportWidget(widget, error, isTerse),
  });
  return {
    name: resource.kind.toLowerCase(),
    resource,
    concurrency: options.concurrency ?? 2,
    watches: kinds.map((kind) => owned(resource)(kind)),
    reconcile: async (key, context) => {
      await options.before?.(key, context);
      return reconcile(key, context);
    },
  };
}

/** The children as wanted; at the end the children away, and after them the finalizer. */
function planWidget({ widget, stamp }: Scope, kinds: readonly ResourceType[]): Plan {
  const { deletionTimestamp, namespace = "", name } = widget.metadata;
  if (deletionTimestamp === undefined) {
    const children = [childOf(widget, stamp), secretOf(widget), deploymentOf(widget)].slice(0, kinds.length);
    return { actions: children.map((child) => apply(child, sizeOf(widget))) };
  }
  // Without a uid: a child that memory does not show may still be there, so the applier looks at the server.
  const deletions = kinds.map((resource) => remove({ resource, namespace, name, uid: undefined }, "clean up"));
  return { actions: deletions, isCleanedUp: true };
}

function reportWidget(widget: Widget, error: Error | undefined, isTerse: boolean): Report {
  const news = isTerse ? "none" : "message";
  return { state: { ...stateOf(widget, error), news }, conditions: {}, status: {} };
}

function stateOf(widget: Widget, error: Error | undefined): ResourceState<string> {
  if (widget.metadata.deletionTimestamp !== undefined) return working("Deleting", "the children are being removed");
  // A failure that is over with the next run.
  if (error !== undefined) return working("Applying", sizeOf(widget));
  return { kind: "ready", ready: { status: "True", reason: "Applied", message: sizeOf(widget) } };
}

function sizeOf(widget: Widget): string {
  return `size ${widget.spec?.size ?? 0}`;
}

function metadataOf(widget: Widget): KubeObject["metadata"] {
  const { namespace = "", name } = widget.metadata;
  return {
    namespace,
    name,
    labels: { [LABELS.kind]: widget.kind, [LABELS.name]: name },
    ownerReferences: [ownerReferenceOf(widget)],
  };
}

/** The ConfigMap of a widget. */
export function childOf(widget: Widget, stamp: Readonly<Record<string, string>> = {}): KubeObject {
  const { text = "", size = 0 } = widget.spec ?? {};
  const data = { text, size: String(size), ...stamp };
  return { apiVersion: "v1", kind: "ConfigMap", metadata: metadataOf(widget), data };
}

function secretOf(widget: Widget): KubeObject {
  const data = { text: Buffer.from(widget.spec?.text ?? "").toString("base64") };
  return { apiVersion: "v1", kind: "Secret", metadata: metadataOf(widget), type: "Opaque", data };
}

function deploymentOf(widget: Widget): KubeObject {
  const app = { app: widget.metadata.name };
  const env = [{ name: "TEXT", value: widget.spec?.text ?? "" }];
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: metadataOf(widget),
    spec: {
      replicas: 0,
      selector: { matchLabels: app },
      template: {
        metadata: { labels: app },
        spec: { containers: [{ name: "main", image: "example/widget:1", env }] },
      },
    },
  };
}
