import type { Peers } from "../../crds/network.ts";
import { type KubeObject, type ObjectIdentity, RESOURCES } from "../../lib/kube/types.ts";
import { apply, remove } from "../../operator/runtime/actions.ts";
import type { Action } from "../../operator/runtime/types.ts";
import { type Content, type Owner, ownedObject, ownLabels } from "./objects.ts";

// Which traffic the pods of a resource have: what is named, and nothing else.

/** Traffic on some ports: with these peers, or with everybody. */
export interface Flow {
  readonly ports: readonly number[];
  readonly peers?: Peers | undefined;
}

/** Pods of the operator, in whatever namespace it is installed; what they may do is up to their certificates. */
export const CONTROLLER_PODS: Peers = [
  {
    namespaceSelector: {},
    podSelector: { matchLabels: { "app.kubernetes.io/name": "shieldx", "app.kubernetes.io/component": "controller" } },
  },
];

/** Ports of DNS, which may answer from a pod, from the node itself or from outside. */
const DNS_PORT = 53;

/** NetworkPolicy over all pods of the resource: nothing in, nothing out, but DNS and these flows. */
export function networkPolicy(
  owner: Owner,
  name: string,
  { ingress, egress }: { readonly ingress: readonly Flow[]; readonly egress: readonly Flow[] },
): KubeObject {
  const dns = { ports: (["UDP", "TCP"] as const).map((protocol) => ({ protocol, port: DNS_PORT })) };
  const content: Content = {
    spec: {
      podSelector: { matchLabels: ownLabels(owner) },
      policyTypes: ["Ingress", "Egress"],
      ingress: ingress.map((flow) => rule(flow, "from")),
      egress: [dns, ...egress.map((flow) => rule(flow, "to"))],
    },
  };
  return ownedObject(owner, RESOURCES.NetworkPolicy, name, content);
}

/** What makes the policy; without one, what removes the policy that was made when the operator made some. */
export function trafficActions(policy: KubeObject | undefined, owned: readonly ObjectIdentity[]): readonly Action[] {
  if (policy !== undefined) return [apply(policy, "traffic of the pods")];
  return owned
    .filter(({ resource }) => resource.kind === RESOURCES.NetworkPolicy.kind)
    .map((object) => remove(object, "the operator makes no NetworkPolicies"));
}

function rule({ ports, peers }: Flow, side: "from" | "to"): Record<string, unknown> {
  const tcp = ports.map((port) => ({ protocol: "TCP", port }));
  return { ports: tcp, ...(peers === undefined ? {} : { [side]: peers }) };
}
