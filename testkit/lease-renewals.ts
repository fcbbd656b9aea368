import type { ObjectClient } from "../lib/kube/object-client.ts";
import { type LeaseObject, RESOURCES } from "../lib/kube/types.ts";
import { eventually } from "./wait.ts";

/** Longest wait for all of them. */
const TIMEOUT_MS = 30_000;

/** Waits until a Lease has been renewed so often from now on: what was to happen meanwhile has had that time. */
export async function renewals(
  kube: Pick<ObjectClient, "get">,
  ref: { readonly namespace: string; readonly name: string },
  count: number,
): Promise<void> {
  const times = new Set<string | undefined>();
  await eventually(
    `Lease ${ref.namespace}/${ref.name} renewed ${String(count)} times`,
    async () => {
      const { spec } = await kube.get<LeaseObject>(RESOURCES.Lease, ref);
      times.add(spec?.renewTime);
      // The first is the one that was there.
      return times.size > count;
    },
    TIMEOUT_MS,
  );
}
