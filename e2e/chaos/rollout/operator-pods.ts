import type { KubeClient } from "../../../lib/kube/client.ts";
import { type KubeObject, RESOURCES, type ResourceType, resourceType } from "../../../lib/kube/types.ts";
import { LEASE_NAME } from "../../../operator/leadership.ts";
import { SYSTEM_NAMESPACE } from "../../cluster.ts";
import { waitFor } from "../../run.ts";
import { type ArmedPod, type NodeShell, openNodeShell } from "./node-shell.ts";

/** The replicas of the operator, as faults need them. */
export interface OperatorPods {
  /** Replicas that run, ready for a signal; the leader first. */
  arm(): Promise<readonly ArmedPod[]>;
  /** Name of the pod that leads. */
  leader(): Promise<string>;
  /** Waits until another pod leads. @returns its name */
  leaderBut(name: string): Promise<string>;
  /** Takes pods away whose processes are dead: the ones in their place start at once, whatever the kubelet's backoff is. */
  replace(pods: readonly ArmedPod[]): Promise<void>;
  close(): void;
}

const POD: ResourceType<PodShape> = resourceType("v1", ["Pod", "pods"]);
const SELECTOR = "app.kubernetes.io/component=controller";
/** A Lease that expires (15 s), a pod that starts, on busy cores. */
const LEADER_MS = 180_000;
const READY_MS = 180_000;

interface PodShape extends KubeObject {
  readonly spec?: { readonly nodeName?: string };
  readonly status?: { readonly containerStatuses?: readonly { readonly state?: { readonly running?: object } }[] };
}

export function operatorPods(client: KubeClient, replicas: number): OperatorPods {
  const shells = new Map<string, NodeShell>();
  const shellOf = async (node: string): Promise<NodeShell> => {
    const shell = shells.get(node) ?? (await openNodeShell(node));
    shells.set(node, shell);
    return shell;
  };
  const leader = async (): Promise<string> => {
    const lease = await client.get(RESOURCES.Lease, { namespace: SYSTEM_NAMESPACE, name: LEASE_NAME });
    // `<pod name>_<uid>`.
    return lease.spec?.holderIdentity?.split("_")[0] ?? "";
  };
  /** Not those that are ready: a replica is so only once somebody leads, and then it acts. */
  const running = async (): Promise<PodShape[]> => {
    const { items } = await client.list<PodShape>(POD, { namespace: SYSTEM_NAMESPACE, labelSelector: SELECTOR });
    return items.filter(
      ({ metadata, status }) =>
        metadata.deletionTimestamp === undefined &&
        status?.containerStatuses?.every(({ state }) => state?.running !== undefined) === true,
    );
  };
  return {
    arm: async () => {
      const armed = await waitFor("all replicas of the operator", READY_MS, async () => {
        const pods = await running();
        if (pods.length < replicas) return undefined;
        const found: ArmedPod[] = [];
        for (const pod of pods) found.push(await (await shellOf(pod.spec?.nodeName ?? "")).arm(pod));
        return found;
      });
      const leads = await leader();
      return armed.sort((a, b) => Number(b.name === leads) - Number(a.name === leads));
    },
    leader,
    leaderBut: (name) =>
      waitFor(`another leader than ${name}`, LEADER_MS, async () => {
        const found = await leader();
        return found !== "" && found !== name && found;
      }),
    replace: async (pods) => {
      for (const { name } of pods) {
        await client.delete(RESOURCES.Pod, { namespace: SYSTEM_NAMESPACE, name }, { gracePeriodSeconds: 0 });
      }
    },
    close: () => {
      for (const shell of shells.values()) shell.close();
    },
  };
}
