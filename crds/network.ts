import { z } from "zod";
import { listAtomic } from "./common.ts";
import { labelSelector } from "./scheduling.ts";

// Who may connect to pods, in the shapes of a NetworkPolicy, so that what people know from there can be pasted here.

/** Most peers of one resource, and most exceptions of an address block. */
const PEERS_MAX = 16;

const cidr = z
  .string()
  .max(43)
  .regex(/^[0-9a-fA-F.:]+\/[0-9]{1,3}$/);

const peer = z.strictObject({
  podSelector: labelSelector
    .meta({ description: "Pods; without namespaceSelector, of this namespace." })
    .exactOptional(),
  namespaceSelector: labelSelector
    .meta({ description: "Namespaces of the pods; without podSelector, all pods of these namespaces." })
    .exactOptional(),
  ipBlock: z
    .strictObject({
      cidr: cidr.meta({ description: "Addresses, for example 10.0.0.0/8." }),
      except: listAtomic(z.array(cidr).max(PEERS_MAX))
        .meta({ description: "Addresses among them that may not." })
        .exactOptional(),
    })
    .meta({ description: "Addresses outside of the cluster; not together with a selector." })
    .exactOptional(),
});

/** Entries of `from` of a NetworkPolicy. */
export const peers = listAtomic(z.array(peer).max(PEERS_MAX));
export type Peers = z.output<typeof peers>;

/** `spec.networkPolicy` of a kind. @param clients what the peers connect to, for the sentence */
export function networkPolicy(clients: string): z.ZodObject<{ clients: z.ZodExactOptional<typeof peers> }> {
  return z.strictObject({
    clients: peers
      .meta({
        description: `Who may connect to ${clients}, as in a NetworkPolicy; empty allows everybody. Takes effect where the cluster's network enforces NetworkPolicies.`,
      })
      .exactOptional(),
  });
}
