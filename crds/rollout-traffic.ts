/** How requests reach the two colours of a Rollout. */
import { z } from "zod";
import { dnsLabel, intOrString, keepUnknown, listAtomic, listSet, withRules } from "./common.ts";

/** Most parents, host names, matches and filters of a route; the Gateway API has the same bounds. */
export const ENTRIES_MAX = 16;
/** Most matches of one rule of a route. All rules together may have 128. */
export const MATCHES_MAX = 64;

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

/** What a route can ask of a gateway, and not every gateway can do. The first two are the Gateway API's own names. */
export const CAPABILITIES = [
  "HTTPRouteRequestMirror",
  "HTTPRouteRequestPercentageMirror",
  "HeaderMatchRegularExpression",
] as const;
export type Capability = (typeof CAPABILITIES)[number];

const testers = withRules(
  z.strictObject({
    header: z
      .strictObject({
        name: z
          .string()
          .min(1)
          .max(256)
          .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/)
          .meta({ description: "Name of the header." }),
        value: z
          .string()
          .min(1)
          .max(1_024)
          .regex(/^[!-~]([ -~]*[!-~])?$/)
          .meta({ description: "Its value, exactly." }),
      })
      .meta({ description: "Header that requests of testers have." })
      .exactOptional(),
    cookie: z
      .strictObject({
        name: z
          .string()
          .min(1)
          .max(128)
          .regex(/^[A-Za-z0-9_-]+$/)
          .meta({ description: "Name of the cookie." }),
        value: z
          .string()
          .min(1)
          .max(128)
          .regex(/^[A-Za-z0-9_-]+$/)
          .meta({ description: "Its value, exactly." }),
      })
      .meta({
        description:
          "Cookie that requests of testers have. It takes a gateway that matches headers by regular expressions.",
      })
      .exactOptional(),
  }),
  [
    {
      rule: "has(self.header) != has(self.cookie)",
      message: "testers are known by either header or cookie",
      check: ({ header, cookie }) => (header === undefined) !== (cookie === undefined),
    },
  ],
);
export type Testers = z.output<typeof testers>;

/** Rules of a route; the Gateway API has the same bound. */
const RULES_MAX = 16;

const adoptedRoute = z.strictObject({
  name: name.meta({
    description:
      "HTTPRoute or GRPCRoute of this namespace. Whoever owns it keeps owning all but the backends of one rule.",
  }),
  rule: intOrString(
    z
      .int()
      .min(0)
      .max(RULES_MAX - 1),
    name.regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/),
  )
    .meta({
      description:
        "Rule of the route, by its name or by its index from 0; needed where several rules lead to the backend.",
    })
    .exactOptional(),
  backend: dnsLabel(
    "Service of the rule whose place and share both versions take; service.name unless told. It comes back when the Rollout goes.",
    63,
  ).exactOptional(),
});
export type AdoptedRoute = z.output<typeof adoptedRoute>;

const gatewayShape = z.strictObject({
  kind: z.enum(["HTTPRoute", "GRPCRoute"]).meta({ description: "Kind of the route." }).default("HTTPRoute"),
  route: adoptedRoute
    .meta({
      description:
        "A route that is there, in place of one that the controller makes: only weights of one of its rules move.",
    })
    .exactOptional(),
  parentRefs: listAtomic(z.array(parentRef).min(1).max(ENTRIES_MAX))
    .meta({
      description: "Gateways that serve the route that the controller makes; needed unless a route is named.",
    })
    .exactOptional(),
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
  testers: testers
    .meta({
      ...testers.meta(),
      description:
        "Requests of these go to the new version while it is verified and released, whatever its share; to the version that serves at all other times.",
    })
    .exactOptional(),
  capabilities: listSet(z.array(z.enum(CAPABILITIES)).max(CAPABILITIES.length))
    .meta({
      "x-kubernetes-list-type": "set",
      description:
        "What the gateway can do, where that is known better than by its GatewayClass: it counts in place of all that is known otherwise. A mirror that a gateway cannot do may fail every request.",
    })
    .exactOptional(),
});
export type GatewayTraffic = z.output<typeof gatewayShape>;

/** What a route of the user's says by itself. */
const OF_THE_ROUTE = ["parentRefs", "hostnames", "matches", "filters"] as const;

const gatewayAPI = withRules(gatewayShape, [
  {
    rule: "has(self.route) || has(self.parentRefs)",
    message: "traffic.gatewayAPI needs parentRefs, or the name of a route that is there",
    check: ({ route, parentRefs }) => route !== undefined || parentRefs !== undefined,
  },
  {
    rule: "!has(self.route) || !has(self.testers)",
    message: "traffic.gatewayAPI.testers is for a route that the controller makes: leave it out where a route is named",
    check: ({ route, testers: known }) => route === undefined || known === undefined,
  },
  ...OF_THE_ROUTE.map((field) => ({
    rule: `!has(self.route) || !has(self.${field})`,
    message: `traffic.gatewayAPI.${field} is for a route that the controller makes: the route that is named has its own`,
    check: (value: GatewayTraffic) => value.route === undefined || value[field] === undefined,
  })),
]);

/** `spec.traffic` of a Rollout. */
export const rolloutTraffic = z.strictObject({
  gatewayAPI: gatewayAPI.meta({
    description:
      "Requests come through the Gateway API: the controller moves weights of a route, of one that it makes or of one that is there.",
  }),
});
