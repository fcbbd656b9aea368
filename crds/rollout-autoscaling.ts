/** An autoscaler for the pods of each version, as in a HorizontalPodAutoscaler (autoscaling/v2). */
import { z } from "zod";
import { keepUnknown, listAtomic, withRules } from "./common.ts";

const pods = z.int().min(1).max(1_000);
const source = keepUnknown(z.looseObject({}));

/** Members of a metric, by its type. */
const SOURCES = {
  Resource: "resource",
  ContainerResource: "containerResource",
  Pods: "pods",
  Object: "object",
  External: "external",
} as const;
type MetricType = keyof typeof SOURCES;

const metric = withRules(
  z.strictObject({
    type: z
      .enum(Object.keys(SOURCES) as [MetricType, ...MetricType[]])
      .meta({ description: "Kind of the metric; the member of the same name says which." }),
    resource: source.meta({ description: "For type Resource: name and target." }).exactOptional(),
    containerResource: source
      .meta({ description: "For type ContainerResource: container, name and target." })
      .exactOptional(),
    pods: source.meta({ description: "For type Pods: metric and target." }).exactOptional(),
    object: source.meta({ description: "For type Object: describedObject, metric and target." }).exactOptional(),
    external: source.meta({ description: "For type External: metric and target." }).exactOptional(),
  }),
  [
    {
      rule: Object.entries(SOURCES)
        .map(([type, member]) => `has(self.${member}) == (self.type == '${type}')`)
        .join(" && "),
      message: "a metric has the member that its type names, and no other",
      check: (it) =>
        Object.entries(SOURCES).every(([type, member]) => (it[member] !== undefined) === (it.type === type)),
    },
  ],
);

const METRICS: z.output<typeof metric>[] = [
  { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } } },
];

/** `spec.autoscaling` of a Rollout. */
export const rolloutAutoscaling = withRules(
  z.strictObject({
    minReplicas: pods.meta({
      description:
        "Fewest pods of the version that serves. While a release lasts it keeps at least those that it began with.",
    }),
    maxReplicas: pods.meta({ description: "Most pods of a version." }),
    metrics: listAtomic(z.array(metric).min(1).max(16))
      .meta({ description: "What the pods are counted by; processor time at 80 % of its requests unless told." })
      .default(METRICS),
    behavior: keepUnknown(z.looseObject({}))
      .meta({ description: "How fast it scales: scaleUp and scaleDown, as in a HorizontalPodAutoscaler." })
      .exactOptional(),
  }),
  [
    {
      rule: "self.minReplicas <= self.maxReplicas",
      message: "minReplicas must not exceed maxReplicas",
      check: ({ minReplicas, maxReplicas }) => minReplicas <= maxReplicas,
    },
  ],
);
export type RolloutAutoscaling = z.output<typeof rolloutAutoscaling>;
