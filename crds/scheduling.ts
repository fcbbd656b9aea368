import { z } from "zod";
import { listAtomic, listMap, textMap } from "./common.ts";

// Where pods may run, in the shapes of a Pod, so that what people know from there can be pasted here. The bounds are far above
// real use.

/** Longest list of tolerations, terms and constraints, and of node labels: low enough for the server's CEL cost limit. */
const ENTRIES_MAX = 16;

/** Longest name of a label with its prefix, and longest value of one. */
const LABEL_NAME_MAX = 317;
const LABEL_VALUE_MAX = 63;

/** Longest name of an object. */
const NAME_MAX = 253;

const toleration = z.strictObject({
  key: z
    .string()
    .max(316)
    .meta({ description: "Taint key that is tolerated; empty with operator Exists tolerates every taint." })
    .exactOptional(),
  operator: z
    .enum(["Exists", "Equal"])
    .meta({ description: "Exists ignores the value; Equal compares it." })
    .exactOptional(),
  value: z.string().max(63).meta({ description: "Taint value, for operator Equal." }).exactOptional(),
  effect: z
    .enum(["NoSchedule", "PreferNoSchedule", "NoExecute"])
    .meta({ description: "Taint effect that is tolerated; empty tolerates all effects." })
    .exactOptional(),
  tolerationSeconds: z
    .int()
    .min(0)
    .max(86_400)
    .meta({
      description: "With effect NoExecute: seconds that the pod stays after the taint appeared; empty means forever.",
    })
    .exactOptional(),
});

const labelName = z.string().min(1).max(LABEL_NAME_MAX);
const labelValues = listAtomic(z.array(z.string().max(LABEL_VALUE_MAX)).max(ENTRIES_MAX));
const topologyKey = labelName.meta({
  description:
    "Node label whose values are the places: kubernetes.io/hostname for nodes, topology.kubernetes.io/zone for zones.",
});

/** Objects by their labels, as everywhere in Kubernetes. */
export const labelSelector = z.strictObject({
  matchLabels: textMap(z.string().max(LABEL_VALUE_MAX), ENTRIES_MAX)
    .meta({ description: "Labels that are all there." })
    .exactOptional(),
  matchExpressions: listAtomic(
    z
      .array(
        z.strictObject({
          key: labelName.meta({ description: "Label that is compared." }),
          operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist"]).meta({ description: "How it is compared." }),
          values: labelValues.meta({ description: "Values, for In and NotIn." }).exactOptional(),
        }),
      )
      .max(ENTRIES_MAX),
  )
    .meta({ description: "Conditions that all hold." })
    .exactOptional(),
});

const nodeRequirement = z.strictObject({
  key: labelName.meta({ description: "Label or field of the node that is compared." }),
  operator: z
    .enum(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"])
    .meta({ description: "How it is compared; Gt and Lt take one whole number." }),
  values: labelValues.meta({ description: "Values, for all operators but Exists and DoesNotExist." }).exactOptional(),
});

const nodeTerm = z.strictObject({
  matchExpressions: listAtomic(z.array(nodeRequirement).max(ENTRIES_MAX))
    .meta({ description: "Conditions on labels of the node, which all hold." })
    .exactOptional(),
  matchFields: listAtomic(z.array(nodeRequirement).max(ENTRIES_MAX))
    .meta({ description: "Conditions on fields of the node (metadata.name), which all hold." })
    .exactOptional(),
});

const podTerm = z.strictObject({
  labelSelector: labelSelector.meta({ description: "Pods that are meant." }).exactOptional(),
  namespaceSelector: labelSelector
    .meta({ description: "Namespaces in which they are; with namespaces both empty, the one of the resource." })
    .exactOptional(),
  namespaces: listAtomic(z.array(z.string().max(LABEL_VALUE_MAX)).max(ENTRIES_MAX))
    .meta({ description: "Namespaces by name." })
    .exactOptional(),
  topologyKey,
});

const weight = z.int().min(1).max(100).meta({ description: "How much the preference counts beside others." });

const podRules = z.strictObject({
  requiredDuringSchedulingIgnoredDuringExecution: listAtomic(z.array(podTerm).max(ENTRIES_MAX))
    .meta({ description: "What must hold when a pod is placed." })
    .exactOptional(),
  preferredDuringSchedulingIgnoredDuringExecution: listAtomic(
    z
      .array(z.strictObject({ weight, podAffinityTerm: podTerm.meta({ description: "What is preferred." }) }))
      .max(ENTRIES_MAX),
  )
    .meta({ description: "What should hold, where it can." })
    .exactOptional(),
});

const affinity = z.strictObject({
  nodeAffinity: z
    .strictObject({
      requiredDuringSchedulingIgnoredDuringExecution: z
        .strictObject({
          nodeSelectorTerms: listAtomic(z.array(nodeTerm).min(1).max(ENTRIES_MAX)).meta({
            description: "Terms of which one must hold.",
          }),
        })
        .meta({ description: "What a node must be like." })
        .exactOptional(),
      preferredDuringSchedulingIgnoredDuringExecution: listAtomic(
        z
          .array(z.strictObject({ weight, preference: nodeTerm.meta({ description: "What is preferred." }) }))
          .max(ENTRIES_MAX),
      )
        .meta({ description: "What a node should be like, where it can." })
        .exactOptional(),
    })
    .meta({ description: "Nodes that the pods are drawn to." })
    .exactOptional(),
  podAffinity: podRules.meta({ description: "Pods that the pods are drawn to." }).exactOptional(),
  podAntiAffinity: podRules
    .meta({ description: "Pods that the pods keep away from; takes the place of what the operator sets by itself." })
    .exactOptional(),
});

const nodeInclusion = z.enum(["Honor", "Ignore"]);

const spreadConstraint = z.strictObject({
  maxSkew: z.int32().min(1).meta({ description: "By how many pods the fullest place may be ahead of the emptiest." }),
  topologyKey,
  whenUnsatisfiable: z
    .enum(["DoNotSchedule", "ScheduleAnyway"])
    .meta({ description: "Whether a pod waits that would break the rule." }),
  labelSelector: labelSelector
    .meta({ description: "Pods that are counted; empty takes the pods of this resource." })
    .exactOptional(),
  minDomains: z
    .int32()
    .min(1)
    .meta({ description: "Places that there have to be, for DoNotSchedule." })
    .exactOptional(),
  nodeAffinityPolicy: nodeInclusion
    .meta({ description: "Whether nodes that affinity and nodeSelector exclude are left out of the count." })
    .exactOptional(),
  nodeTaintsPolicy: nodeInclusion
    .meta({ description: "Whether nodes with taints that are not tolerated are left out of the count." })
    .exactOptional(),
});

/** Where pods may run. */
export const scheduling = z.strictObject({
  nodeSelector: textMap(z.string().max(63), ENTRIES_MAX)
    .meta({ description: "Labels that a node must carry for the pods to be placed on it." })
    .exactOptional(),
  tolerations: listAtomic(z.array(toleration).max(ENTRIES_MAX))
    .meta({ description: "Node taints that the pods tolerate." })
    .exactOptional(),
  affinity: affinity
    .meta({ description: "Nodes and pods that the pods are drawn to or keep away from." })
    .exactOptional(),
  topologySpreadConstraints: listMap(z.array(spreadConstraint).max(ENTRIES_MAX), ["topologyKey", "whenUnsatisfiable"])
    .meta({ description: "How the pods are spread over nodes and zones. Empty spreads them over nodes where it can." })
    .exactOptional(),
  priorityClassName: z
    .string()
    .min(1)
    .max(NAME_MAX)
    .meta({ description: "PriorityClass of the pods; empty takes the cluster's default." })
    .exactOptional(),
});
export type Scheduling = z.output<typeof scheduling>;

/** Secrets with which the images of pods are pulled. */
export const imagePullSecrets = listMap(
  z
    .array(z.strictObject({ name: z.string().min(1).max(NAME_MAX).meta({ description: "Name of the Secret." }) }))
    .max(ENTRIES_MAX),
  ["name"],
);
export type ImagePullSecrets = z.output<typeof imagePullSecrets>;
