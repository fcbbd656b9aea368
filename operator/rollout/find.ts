import { ROLLOUT, type Rollout } from "../../crds/rollout.ts";
import { isOperatorError, OperatorError } from "../../lib/core/errors.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import type { Place } from "./text.ts";

export type ReadClient = Pick<KubeClient, "find" | "list" | "servedKind">;

/**
 * The Rollout, as the server has it now.
 * @throws OperatorError ROLLOUT_NOT_FOUND, KUBE_NOT_SERVED where its CRD is not installed, and those of the client
 */
export async function getRollout(client: ReadClient, place: Place): Promise<Rollout> {
  const found = await client.find(ROLLOUT, place);
  if (found !== undefined) return found;
  await client.servedKind(ROLLOUT);
  throw new OperatorError("ROLLOUT_NOT_FOUND", `there is no Rollout ${place.name} in namespace ${place.namespace}`);
}

/** All Rollouts, of one namespace or of all, in the order of their names. @throws OperatorError as `getRollout` */
export async function listRollouts(client: ReadClient, namespace: string | undefined): Promise<readonly Rollout[]> {
  try {
    return (await client.list(ROLLOUT, { namespace })).items;
  } catch (error) {
    if (isOperatorError(error, "KUBE_NOT_FOUND")) await client.servedKind(ROLLOUT);
    throw error;
  }
}
