import { LABELS } from "../../../crds/group.ts";
import { ROLLOUT, type Rollout, type RolloutSpec } from "../../../crds/rollout.ts";
import { type Colour, type RolloutStatus } from "../../../crds/rollout-status.ts";
import { canonicalJson } from "../../../lib/core/canonical.ts";
import type { KubeObject } from "../../../lib/kube/types.ts";
import type { CacheReader, Plan } from "../../../operator/runtime/types.ts";
import { type Assessment, assessRollout } from "../rollout.assess.ts";
import { observeRollout } from "../rollout.observe.ts";
import { planRollout } from "../rollout.plan.ts";
import { reportRollout } from "../rollout.report.ts";
import { isToFollow, sampleTask } from "../rollout.task.ts";
import { deployment, NAME, NAMESPACE, rollout, type ScriptedSampler, scriptedSampler, service } from "./builders.ts";

// The decisions of the controller around a bare map of objects: no client, no hashes, no queue. A reconcile takes a fraction of a
// millisecond, and may end after any of its writes, as a program does that is killed.

/** What a reconcile saw, meant and left. */
export interface Look {
  readonly assessment: Assessment;
  readonly plan: Plan;
  /** What was told, also where nobody came to write it. */
  readonly told: Readonly<Record<string, unknown>>;
  /** The status was written. */
  readonly written: boolean;
  /** Objects or status are others than before. */
  readonly changed: boolean;
}

export interface SmallWorld {
  now: number;
  spec: RolloutSpec;
  status: RolloutStatus | undefined;
  deleted: boolean;
  sampler: ScriptedSampler;
  readonly objects: Map<string, KubeObject>;
  /** One reconcile. @param writes that are done before it is killed; all, and the status, unless told */
  reconcile(writes?: number): Look;
  /** Deployment controller and kubelet: pods as asked for. @param most pods that become ready in a colour */
  runPods(most?: number): void;
  /** The gateway takes the newest route. */
  accept(): void;
}

export function createSmallWorld(spec: RolloutSpec): SmallWorld {
  const objects = new Map<string, KubeObject>();
  const put = (object: KubeObject): void => void objects.set(keyOf(object), object);
  put(deployment("web:1"));
  put(service());
  const world: SmallWorld = {
    now: Date.UTC(2026, 0, 1),
    spec,
    status: undefined,
    deleted: false,
    sampler: scriptedSampler(),
    objects,
    reconcile: (writes) => reconcile(world, writes),
    runPods: (most = 1_000) => {
      for (const object of [...objects.values()]) if (isColour(object)) runPods(objects, object, most);
    },
    accept: () => {
      for (const object of objects.values()) if (object.kind === "HTTPRoute") put(accepted(object));
    },
  };
  return world;
}

function reconcile(world: SmallWorld, writes = Number.POSITIVE_INFINITY): Look {
  const before = canonicalJson([...world.objects.values(), world.status]);
  const object = rolloutOf(world);
  const seen = observeRollout(cacheOf(world.objects), object);
  const earlier = world.sampler.standing("uid-web");
  const task = sampleTask(seen);
  if (isToFollow(task, earlier)) world.sampler.follow("uid-web", task);
  const standing = world.sampler.standing("uid-web");
  const assessment = assessRollout({ ...seen, standing }, undefined, world.now);
  const plan = planRollout(assessment);
  for (const action of plan.actions.slice(0, writes)) carryOut(world.objects, action);
  const { state, conditions, status } = reportRollout(assessment, true, { now: world.now });
  const written = writes > plan.actions.length;
  if (written) world.status = structuredClone(status) as unknown as RolloutStatus;
  const changed = before !== canonicalJson([...world.objects.values(), world.status]);
  return { assessment, plan, told: { state, conditions, status }, written, changed };
}

function rolloutOf({ spec, status, deleted }: SmallWorld): Rollout {
  const object = rollout(spec);
  const metadata = deleted ? { ...object.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } : object.metadata;
  return { ...object, metadata, ...(status === undefined ? {} : { status }) };
}

function keyOf({ kind, metadata }: Pick<KubeObject, "kind" | "metadata">): string {
  return `${kind}/${metadata.name}`;
}

function cacheOf(objects: ReadonlyMap<string, KubeObject>): CacheReader {
  const isOf = (object: KubeObject, labels: Readonly<Record<string, string>>): boolean =>
    Object.entries(labels).every(([key, value]) => object.metadata.labels?.[key] === value);
  return {
    get: (type, _namespace, name) => objects.get(`${type.kind}/${name}`) as never,
    list: (type, _namespace, labels = {}) =>
      [...objects.values()].filter((object) => object.kind === type.kind && isOf(object, labels)) as never,
    byIndex: () => [],
    availability: () => "served",
  };
}

function carryOut(objects: Map<string, KubeObject>, action: Plan["actions"][number]): void {
  if (action.type === "delete") objects.delete(`${action.resource.kind}/${action.name}`);
  if (action.type === "create" && !objects.has(keyOf(action.object))) objects.set(keyOf(action.object), action.object);
  if (action.type !== "apply") return;
  const { object } = action;
  const before = objects.get(keyOf(object));
  const { generation = 0 } = before?.metadata ?? {};
  const isSame = canonicalJson(before?.["spec"]) === canonicalJson(object["spec"]);
  const metadata = { ...object.metadata, generation: isSame ? generation : generation + 1 };
  const status = before?.["status"];
  objects.set(keyOf(object), structuredClone({ ...object, metadata, ...(status === undefined ? {} : { status }) }));
}

interface Scaled extends KubeObject {
  readonly spec: { readonly replicas: number; readonly template: { metadata: { labels: Record<string, string> } } };
}

function isColour(object: KubeObject): object is Scaled {
  return object.kind === "Deployment" && object.metadata.labels?.[LABELS.kind] === ROLLOUT.kind;
}

function runPods(objects: Map<string, KubeObject>, { metadata, spec }: Scaled, most: number): void {
  const { labels } = spec.template.metadata;
  const wanted = Math.min(spec.replicas, most);
  for (const [key, { kind, metadata: pod }] of [...objects]) {
    if (kind === "Pod" && pod.name.startsWith(`${metadata.name}-`)) objects.delete(key);
  }
  for (let index = 0; index < wanted; index += 1) {
    const name = `${metadata.name}-${labels[LABELS.revision] ?? ""}-${String(index)}`;
    objects.set(`Pod/${name}`, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: NAMESPACE, uid: `uid-${name}`, labels },
      spec: { nodeName: "node", containers: [] },
      status: { phase: "Running", podIP: "10.0.0.1", conditions: [{ type: "Ready", status: "True" }] },
    });
  }
}

function accepted(route: KubeObject): KubeObject {
  const { generation = 0 } = route.metadata;
  const conditions = ["Accepted", "ResolvedRefs"].map((type) => ({
    type,
    status: "True",
    observedGeneration: generation,
  }));
  const { parentRefs } = route["spec"] as { readonly parentRefs: readonly object[] };
  return { ...route, status: { parents: parentRefs.map((parentRef) => ({ parentRef, conditions })) } };
}

/** Weights that an object of kind HTTPRoute gives. */
export function weightsIn(route: KubeObject): Readonly<Record<Colour, number>> {
  const { rules } = route["spec"] as { rules: { backendRefs: { name: string; weight: number }[] }[] };
  const weightOf = (name: string): number => rules[0]?.backendRefs.find((ref) => ref.name === name)?.weight ?? -1;
  return { Blue: weightOf("web-blue"), Green: weightOf("web-green") };
}

/** Writes weights into the route by hand. */
export function editWeights(world: SmallWorld, blue: number): void {
  const route = world.objects.get(`HTTPRoute/${NAME}`);
  if (route === undefined) return;
  const copy = structuredClone(route);
  const { rules } = copy["spec"] as { rules: { backendRefs: { name: string; weight: number }[] }[] };
  for (const ref of rules[0]?.backendRefs ?? []) ref.weight = ref.name === "web-blue" ? blue : 10_000 - blue;
  world.objects.set(keyOf(route), {
    ...copy,
    metadata: { ...copy.metadata, generation: (copy.metadata.generation ?? 0) + 1 },
  });
}

/** Writes a share into every flag by hand. */
export function editShares(world: SmallWorld, bps: number): void {
  const object = world.objects.get(`FeatureFlag/${NAME}-flags`);
  const { flagSpec } = (object?.["spec"] ?? {}) as { readonly flagSpec?: { readonly flags: Record<string, object> } };
  if (object === undefined || flagSpec === undefined) return;
  const targeting = {
    fractional: [
      ["on", bps],
      ["off", 10_000 - bps],
    ],
  };
  const flags = Object.entries(flagSpec.flags).map(([key, flag]) => [key, { ...flag, targeting }] as const);
  world.objects.set(keyOf(object), { ...object, spec: { flagSpec: { flags: Object.fromEntries(flags) } } });
}
