import type { ObjectClient } from "../lib/kube/object-client.ts";
import { type KubeObject, type ResourceType, resourceType } from "../lib/kube/types.ts";

/** Not among the product's kinds: it makes none. */
export const NAMESPACE: ResourceType = resourceType("v1", ["Namespace", "namespaces"], false);

/** Makes a namespace. @throws OperatorError KUBE_… */
export function makeNamespace(
  kube: Pick<ObjectClient, "create">,
  name: string,
  labels: Record<string, string> = {},
): Promise<KubeObject> {
  return kube.create(NAMESPACE, { apiVersion: NAMESPACE.apiVersion, kind: NAMESPACE.kind, metadata: { name, labels } });
}
