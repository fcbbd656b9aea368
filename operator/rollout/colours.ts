import type { Rollout } from "../../crds/rollout.ts";
import type { Version } from "../../crds/rollout-status.ts";
import { isOperatorError } from "../../lib/core/errors.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { type KubeObject, RESOURCES } from "../../lib/kube/types.ts";

/** What the Deployment of a version says. */
export type Pods =
  | { readonly images: readonly string[]; readonly ready: number; readonly wanted: number }
  /** Why nothing is known of it. */
  | { readonly unknown: string };

/** The pods of both versions. */
export interface ColourPods {
  readonly stable: Pods | undefined;
  readonly canary: Pods | undefined;
}

/** Reads the Deployments of both versions. Who may not read them is told so in their place. */
export async function readPods(client: Pick<KubeClient, "find">, rollout: Rollout): Promise<ColourPods> {
  const { stable, canary } = rollout.status ?? {};
  return { stable: await podsOf(client, rollout, stable), canary: await podsOf(client, rollout, canary) };
}

async function podsOf(
  client: Pick<KubeClient, "find">,
  { metadata }: Rollout,
  version: Version | undefined,
): Promise<Pods | undefined> {
  if (version === undefined) return undefined;
  const name = `${metadata.name}-${version.colour.toLowerCase()}`;
  try {
    const found = await client.find(RESOURCES.Deployment, { namespace: metadata.namespace, name });
    return found === undefined ? { unknown: `there is no Deployment ${name}` } : told(found);
  } catch (error) {
    if (isOperatorError(error, "KUBE_FORBIDDEN")) return { unknown: `Deployment ${name} may not be read` };
    throw error;
  }
}

interface DeploymentShape {
  readonly spec?: {
    readonly replicas?: number;
    readonly template?: { readonly spec?: { readonly containers?: readonly { readonly image?: string }[] } };
  };
  readonly status?: { readonly readyReplicas?: number };
}

function told(deployment: KubeObject): Pods {
  const { spec, status } = deployment as DeploymentShape;
  const images = (spec?.template?.spec?.containers ?? []).map(({ image = "" }) => image);
  return { images, ready: status?.readyReplicas ?? 0, wanted: spec?.replicas ?? 1 };
}
