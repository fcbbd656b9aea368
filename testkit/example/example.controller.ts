import { LABELS } from "../../crds/group.ts";
import { type KubeObject, RESOURCES } from "../../lib/kube/types.ts";
import { mergeConditions } from "../../operator/runtime/conditions.ts";
import type { Condition, Controller } from "../../operator/runtime/types.ts";
import { objectOf, ownerReferenceOf } from "../builders.ts";
import { WIDGET, type Widget } from "../widget.ts";

// The controller of the worked example: a widget is a Deployment of `spec.size` pods, and Ready when they are.

const { Deployment } = RESOURCES;

export function createExampleController(): Controller<Widget> {
  return {
    name: "example",
    resource: WIDGET,
    concurrency: 1,
    watches: [
      {
        resource: Deployment,
        labelSelector: `${LABELS.kind}=Widget`,
        keys: ({ metadata }) => [{ namespace: metadata.namespace ?? "", name: metadata.labels?.[LABELS.name] ?? "" }],
      },
    ],
    reconcile: async (key, context) => {
      const owner = context.cache.get(WIDGET, key.namespace, key.name);
      if (owner === undefined || owner.metadata.deletionTimestamp !== undefined) return {};
      const live = context.cache.get(Deployment, key.namespace, key.name);
      const wanted = owner.spec?.size ?? 0;
      const note = `${wanted} pods are wanted`;
      const { error } = await context.execute(owner, {
        actions: [{ type: "apply", object: deploymentOf(owner), note }],
      });
      const ready = (live?.["status"] as { readyReplicas?: number } | undefined)?.readyReplicas ?? 0;
      const isReady = error === undefined && ready >= wanted;
      const observedGeneration = owner.metadata.generation ?? 0;
      const condition = {
        type: "Ready",
        status: isReady ? "True" : "False",
        reason: error === undefined ? (isReady ? "PodsReady" : "PodsStarting") : "Failed",
        message: error?.message ?? `${ready} of ${wanted} pods are ready`,
        observedGeneration,
      } as const;
      const before = owner.status?.["conditions"] as readonly Condition[] | undefined;
      const conditions = mergeConditions(before, [condition], context.clock.now());
      await context.patchStatus(owner, { observedGeneration, conditions });
      if (error !== undefined) throw error;
      return {};
    },
  };
}

function deploymentOf(owner: Widget): KubeObject {
  const { namespace = "", name } = owner.metadata;
  const app = { app: name };
  return objectOf(Deployment, name, {
    metadata: {
      namespace,
      name,
      labels: { [LABELS.kind]: "Widget", [LABELS.name]: name },
      ownerReferences: [ownerReferenceOf(owner)],
    },
    spec: {
      replicas: owner.spec?.size ?? 0,
      selector: { matchLabels: app },
      template: { metadata: { labels: app }, spec: { containers: [{ name: "main", image: "example/widget:1" }] } },
    },
  });
}
