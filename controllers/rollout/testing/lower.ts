import { LABELS } from "../../../crds/group.ts";
import { ROLLOUT } from "../../../crds/rollout.ts";
import type { KubeObject } from "../../../lib/kube/types.ts";
import type { StoryStep } from "../../../testkit/story.ts";

// What others do with a Rollout's objects, each call one small step. A step returns what it did in words, or `undefined` when
// there was nothing left to do.

interface DeploymentShape {
  readonly spec: {
    readonly replicas: number;
    readonly template: { readonly metadata: { readonly labels: Record<string, string> } };
  };
}

/** Deployment controller and kubelet: the pods of our Deployments become as many as are asked for, of the newest template. */
export const podsStep: StoryStep = (world) => {
  for (const deployment of world.all("Deployment")) {
    if (deployment.metadata.labels?.[LABELS.kind] !== ROLLOUT.kind) continue;
    const { name } = deployment.metadata;
    const { spec } = deployment as unknown as DeploymentShape;
    const { labels } = spec.template.metadata;
    const pods = world.all("Pod").filter(({ metadata }) => metadata.labels?.[LABELS.colour] === labels[LABELS.colour]);
    const old = pods.filter(({ metadata }) => metadata.labels?.[LABELS.revision] !== labels[LABELS.revision]);
    const own = pods.filter((pod) => !old.includes(pod));
    if (old.length === 0 && own.length === spec.replicas) continue;
    for (const pod of [...old, ...own.slice(spec.replicas)]) world.edit("Pod", pod.metadata.name, () => undefined);
    for (let index = own.length; index < spec.replicas; index += 1) {
      world.put(pod(`${name}-${labels[LABELS.revision] ?? ""}-${String(index)}`, labels, index));
    }
    return `Deployment ${name}: ${String(spec.replicas)} pods ready`;
  }
  return undefined;
};

function pod(name: string, labels: Record<string, string>, index: number): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, uid: `uid-${name}`, labels },
    spec: { nodeName: "node", containers: [{ name: "web", image: "web" }] },
    status: { phase: "Running", podIP: `10.0.0.${String(index + 1)}`, conditions: [{ type: "Ready", status: "True" }] },
  };
}

interface RuleShape {
  readonly matches?: readonly { readonly headers?: readonly object[] }[];
  readonly filters?: readonly {
    readonly requestMirror?: { readonly backendRef: { readonly name: string }; readonly percent?: number };
  }[];
  readonly backendRefs?: readonly { name: string; weight: number }[];
}

/** What a rule does but for its weights: copies, and testers who have a rule of their own. */
function besideWeights({ filters = [], backendRefs = [], matches = [] }: RuleShape): readonly string[] {
  const copies = filters.flatMap(({ requestMirror: mirror }) =>
    mirror === undefined ? [] : [`copies of ${String(mirror.percent ?? 100)} % to ${mirror.backendRef.name}`],
  );
  const [only, ...others] = backendRefs;
  const isForTesters = matches.some(({ headers }) => headers !== undefined);
  if (only === undefined || others.length > 0 || !isForTesters) return copies;
  return [...copies, `testers to ${only.name} by ${String(matches.length)} matches`];
}

/** The gateway takes each new version of the route. */
export const gatewayStep: StoryStep = (world) => {
  for (const route of world.all("HTTPRoute")) {
    const { generation = 0, name } = route.metadata;
    const status = route["status"] as
      | { readonly parents?: readonly { conditions: { observedGeneration: number }[] }[] }
      | undefined;
    if (status?.parents?.[0]?.conditions[0]?.observedGeneration === generation) continue;
    const conditions = ["Accepted", "ResolvedRefs"].map((type) => ({
      type,
      status: "True",
      observedGeneration: generation,
    }));
    const { rules, parentRefs } = route["spec"] as {
      readonly parentRefs: readonly object[];
      readonly rules: readonly RuleShape[];
    };
    // As gateways do, each says which reference it speaks of.
    const parents = parentRefs.map((parentRef) => ({ parentRef, controllerName: "test", conditions }));
    world.edit("HTTPRoute", name, (object) => ({ ...object, status: { parents } }));
    const weights = (rules[0]?.backendRefs ?? []).map((ref) => `${ref.name} ${String(ref.weight)}`);
    return `the gateway takes HTTPRoute ${name}: ${[...weights, ...rules.flatMap(besideWeights)].join(", ")}`;
  }
  return undefined;
};

export const LOWER_STEPS: readonly StoryStep[] = [podsStep, gatewayStep];
