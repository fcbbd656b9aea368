import { ANNOTATIONS, FINALIZER, LABELS } from "../../crds/group.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { type KubeObject, RESOURCES } from "../../lib/kube/types.ts";
import { WIDGET, type Widget } from "../../testkit/widget.ts";

const NAMESPACE = "default";

/** The world as it is, read from the server. */
export interface Snapshot {
  readonly widgets: readonly Widget[];
  /** ConfigMaps that carry the operator's label. */
  readonly children: readonly (KubeObject & { readonly data?: Readonly<Record<string, string>> })[];
}

/** Reads everything the operator is responsible for. */
export async function readSnapshot(client: KubeClient): Promise<Snapshot> {
  const [widgets, children] = await Promise.all([
    client.list(WIDGET, { namespace: NAMESPACE }),
    client.list(RESOURCES.ConfigMap, { namespace: NAMESPACE, labelSelector: `${LABELS.kind}=Widget` }),
  ]);
  return { widgets: widgets.items, children: children.items as unknown as Snapshot["children"] };
}

/**
 * Where the world differs from what the specs ask for; empty when it equals them.
 * @param wanted what the user asked for, where the answer is known
 */
export function findDifferences(
  { widgets, children }: Snapshot,
  wanted: ReadonlyMap<string, string | undefined>,
): string[] {
  const differences: string[] = [];
  const byName = new Map(children.map((child) => [child.metadata.name, child]));
  for (const widget of widgets) {
    for (const difference of compareOne(widget, byName.get(widget.metadata.name))) {
      differences.push(`${widget.metadata.name}: ${difference}`);
    }
  }
  const names = new Set(widgets.map((widget) => widget.metadata.name));
  for (const { metadata } of children) {
    if (!names.has(metadata.name)) differences.push(`${metadata.name}: a child without its widget`);
  }
  const texts = new Map(widgets.map((widget) => [widget.metadata.name, widget.spec?.text]));
  for (const [name, text] of wanted) {
    if (texts.get(name) !== text) {
      differences.push(
        `${name}: the user asked for ${text ?? "its deletion"}, the spec says ${texts.get(name) ?? "nothing"}`,
      );
    }
  }
  return differences;
}

function compareOne(widget: Widget, child: Snapshot["children"][number] | undefined): string[] {
  const { deletionTimestamp, finalizers, generation, uid } = widget.metadata;
  if (deletionTimestamp !== undefined) return [`deletion hangs on ${(finalizers ?? []).join(", ")}`];
  const { text = "", size = 0 } = widget.spec ?? {};
  const status = widget.status as { observedGeneration?: number; conditions?: { status: string }[] } | undefined;
  const checks: readonly (readonly [boolean, string])[] = [
    [finalizers?.includes(FINALIZER) === true, "no finalizer"],
    [status?.observedGeneration === generation, `generation ${generation}, observed ${status?.observedGeneration}`],
    [status?.conditions?.[0]?.status === "True", "not ready"],
    [child !== undefined, "no child"],
    [child === undefined || child.data?.["text"] === text, `child says ${child?.data?.["text"]}, spec ${text}`],
    [child === undefined || child.data?.["size"] === String(size), `child has size ${child?.data?.["size"]}`],
    [child === undefined || child.metadata.ownerReferences?.[0]?.uid === uid, "child of another widget"],
    // The user takes it away too: a child without it is about to be written.
    [child === undefined || child.metadata.annotations?.[ANNOTATIONS.appliedHash] !== undefined, "child has no mark"],
  ];
  return checks.filter(([ok]) => !ok).map(([, what]) => what);
}

/** Versions of all objects: equal ones mean that nobody wrote. */
export function versionsOf({ widgets, children }: Snapshot): string {
  return [...widgets, ...children]
    .map(({ kind, metadata }) => `${kind}/${metadata.name}@${metadata.resourceVersion}`)
    .sort()
    .join("\n");
}
