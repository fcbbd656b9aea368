import { isOperatorError } from "../../lib/core/errors.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { type KubeObject, RESOURCES, type ResourceType } from "../../lib/kube/types.ts";
import { eventually } from "../../testkit/wait.ts";
import { crdName, customResourceDefinition } from "../crd.ts";
import type { KindDefinition } from "../kind.ts";

/** A CRD is served a moment after it was accepted; a busy machine takes longer. */
const SERVED_TIMEOUT_MS = 30_000;

/**
 * Creates the CRDs of the kinds and waits until the server serves them and publishes their schemas (later, and what
 * `kubectl explain` asks for). @throws when a schema is not structural
 */
export async function serveKinds(kube: KubeClient, kinds: readonly KindDefinition[]): Promise<void> {
  for (const kind of kinds) {
    await kube.create(RESOURCES.CustomResourceDefinition, customResourceDefinition(kind) as KubeObject);
  }
  for (const kind of kinds) {
    await eventually(`${crdName(kind)} is served`, () => isServed(kube, kind), SERVED_TIMEOUT_MS);
    await eventually(`${crdName(kind)} is published`, () => isPublished(kube, kind), SERVED_TIMEOUT_MS);
  }
}

async function isPublished(kube: KubeClient, { type: { group, version, plural } }: KindDefinition): Promise<boolean> {
  try {
    const { paths } = (await kube.getPath(`/openapi/v3/apis/${group}/${version}`)) as { paths?: object };
    return paths !== undefined && `/apis/${group}/${version}/namespaces/{namespace}/${plural}` in paths;
  } catch (error) {
    if (isOperatorError(error, "KUBE_NOT_FOUND") || isOperatorError(error, "KUBE_NOT_SERVED")) return false;
    throw error;
  }
}

async function isServed(kube: KubeClient, kind: KindDefinition): Promise<boolean> {
  const crd = await kube.get(RESOURCES.CustomResourceDefinition, { name: crdName(kind) });
  // Null for a moment after it was made.
  const { conditions } = (crd["status"] ?? {}) as {
    conditions?: { type: string; status: string; message: string }[] | null;
  };
  const violation = conditions?.find(({ type, status }) => type === "NonStructuralSchema" && status === "True");
  if (violation !== undefined) throw new Error(violation.message);
  try {
    await kube.list(kind.type as ResourceType);
    return true;
  } catch (error) {
    if (isOperatorError(error, "KUBE_NOT_FOUND") || isOperatorError(error, "KUBE_NOT_SERVED")) return false;
    throw error;
  }
}
