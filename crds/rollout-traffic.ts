/** How requests reach the two colours of a Rollout. */
import { z } from "zod";
import { keepUnknown, listAtomic } from "./common.ts";

/** Most parents, host names, matches and filters of a route; the Gateway API has the same bounds. */
const ENTRIES_MAX = 16;

const name = z.string().min(1).max(253);

const parentRef = z.strictObject({
  namespace: z
    .string()
    .min(1)
    .max(63)
    .meta({ description: "Namespace of the Gateway; empty means that of the Rollout." })
    .exactOptional(),
  name: name.meta({ description: "Name of the Gateway." }),
  sectionName: name
    .meta({ description: "Listener of the Gateway; empty means every listener that admits the route." })
    .exactOptional(),
  port: z
    .int()
    .min(1)
    .max(65_535)
    .meta({ description: "Port of the Gateway's listener; empty means any." })
    .exactOptional(),
});

const gatewayAPI = z.strictObject({
  kind: z
    .enum(["HTTPRoute", "GRPCRoute"])
    .meta({ description: "Kind of the route that the controller makes and owns." })
    .default("HTTPRoute"),
  parentRefs: listAtomic(z.array(parentRef).min(1).max(ENTRIES_MAX)).meta({
    description: "Gateways that serve the route.",
  }),
  hostnames: listAtomic(z.array(name).max(ENTRIES_MAX))
    .meta({ description: "Host names of the route; empty means those of the Gateway's listeners." })
    .exactOptional(),
  matches: listAtomic(z.array(keepUnknown(z.looseObject({}))).max(ENTRIES_MAX))
    .meta({
      description: "Requests that the route takes, as `matches` of a rule of the Gateway API; empty means all.",
    })
    .exactOptional(),
  filters: listAtomic(z.array(keepUnknown(z.looseObject({}))).max(ENTRIES_MAX))
    .meta({
      description:
        "What the Gateway does to requests and answers of both colours, as `filters` of a rule of the Gateway API.",
    })
    .exactOptional(),
});
export type GatewayTraffic = z.output<typeof gatewayAPI>;

/** `spec.traffic` of a Rollout. */
export const rolloutTraffic = z.strictObject({
  gatewayAPI: gatewayAPI.meta({
    description:
      "Requests come through the Gateway API: the controller makes a route of the Rollout's name and moves its weights.",
  }),
});
