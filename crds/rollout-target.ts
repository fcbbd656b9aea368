/** What a Rollout releases, and the ports at which it is reached. */
import { z } from "zod";
import { dnsLabel, immutableOptional, keepUnknown, listAtomic, withRules } from "./common.ts";

const port = z.int().min(1).max(65_535);
const servicePort = z.strictObject({
  name: dnsLabel("Name of the port; needed where there are several.", 15).exactOptional(),
  port: port.meta({ description: "Port of the Services of both colours, to which the route leads." }),
  targetPort: port.meta({ description: "Port of the pods; the same as port unless told." }).exactOptional(),
  appProtocol: z
    .string()
    .min(1)
    .max(63)
    .meta({ description: "Protocol of the application, for example kubernetes.io/h2c, as in a Service." })
    .exactOptional(),
});
export type RolloutPort = z.output<typeof servicePort>;

/** As the API server holds the ports of a Service. */
const servicePorts = withRules(listAtomic(z.array(servicePort).min(1).max(16)), [
  {
    rule: "size(self) < 2 || self.all(p, has(p.name))",
    message: "of several ports each needs a name",
    check: (list) => list.length < 2 || list.every(({ name }) => name !== undefined),
  },
  {
    rule: "self.all(a, !has(a.name) || self.exists_one(b, has(b.name) && b.name == a.name))",
    message: "names of ports must differ",
    check: (list) => areDistinct(list.flatMap(({ name }) => name ?? [])),
  },
  {
    rule: "self.all(a, self.exists_one(b, b.port == a.port))",
    message: "numbers of ports must differ",
    check: (list) => areDistinct(list.map((it) => it.port)),
  },
]);

function areDistinct(values: readonly unknown[]): boolean {
  return new Set(values).size === values.length;
}

/** `spec.service` of a Rollout. */
export const rolloutService = withRules(
  z.strictObject({
    name: dnsLabel(
      "Service of this namespace by which the Deployment is reached today. Its ports are those of both colours; it is read and never changed.",
      63,
    ).exactOptional(),
    ports: servicePorts
      .meta({
        ...servicePorts.meta(),
        description: "Ports of both colours, in place of those of a Service. The route leads to the first.",
      })
      .exactOptional(),
  }),
  [
    {
      rule: "has(self.name) || has(self.ports)",
      message: "name a Service, or ports",
      check: ({ name, ports }) => name !== undefined || ports !== undefined,
    },
  ],
);

const targetShape = z.strictObject({
  deployment: dnsLabel(
    "Deployment of this namespace whose pod template is released. It is read and never changed: whoever owns it keeps owning it.",
    63,
  ).exactOptional(),
  template: keepUnknown(z.looseObject({}))
    .meta({ description: "Pod template that is released, as spec.template of a Deployment, in place of a Deployment." })
    .exactOptional(),
});

/** `spec.target` of a Rollout. */
export const rolloutTarget = immutableOptional(
  withRules(targetShape, [
    {
      rule: "has(self.deployment) != has(self.template)",
      message: "name either a deployment or a template",
      check: (value) => (value.deployment === undefined) !== (value.template === undefined),
    },
  ]),
  "deployment",
  "target.deployment is immutable: make another Rollout for another Deployment",
);
