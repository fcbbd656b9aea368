import { rollout, service } from "../../controllers/rollout/testing/builders.ts";
import { configMap, configuredDeployment, secret } from "../../controllers/rollout/testing/configured.ts";
import { FLAGGED } from "../../controllers/rollout/testing/flags.ts";
import { COMPONENTS, LABELS } from "../../crds/group.ts";
import { ROLLOUT, type Rollout, type RolloutSpec } from "../../crds/rollout.ts";
import { rolloutAutoscaling } from "../../crds/rollout-autoscaling.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { type KubeObject, RESOURCES, type ResourceType } from "../../lib/kube/types.ts";
import { eventually } from "../../testkit/wait.ts";

const DEADLINE_MS = 60_000;

/** Two Rollouts, one with each kind of route: a version, its flags and their end, other configuration, and the end of all. */
export async function tellReleases(user: KubeClient, namespace: string): Promise<void> {
  const create = async <T extends KubeObject>(type: ResourceType<T>, object: T): Promise<void> => {
    const { uid: _, generation: __, ...metadata } = object.metadata;
    await user.create(type, { ...object, metadata: { ...metadata, namespace } });
  };
  const named = (name: string, given: Partial<RolloutSpec>): Rollout => {
    const object = rollout(given);
    return { ...object, metadata: { ...object.metadata, name } };
  };
  const traffic = { gatewayAPI: { kind: "GRPCRoute" as const, parentRefs: [{ name: "public" }] } };
  await create(RESOURCES.ConfigMap, configMap("red"));
  await create(RESOURCES.Secret, secret("one"));
  await create(RESOURCES.Deployment, configuredDeployment("web:1"));
  await create(RESOURCES.Service, service());
  const autoscaling = { ...rolloutAutoscaling.parse({ minReplicas: 2, maxReplicas: 5 }) };
  await create(ROLLOUT, named("web", FLAGGED));
  const { template } = configuredDeployment("web:1")["spec"] as {
    readonly template: Readonly<Record<string, unknown>>;
  };
  await create(
    ROLLOUT,
    named("calls", {
      target: { template },
      service: { ports: [{ port: 80, targetPort: 8_080 }] },
      traffic,
      autoscaling,
    }),
  );

  const copies = async (type: ResourceType): Promise<string> => {
    const labelSelector = `${LABELS.name}=web,${LABELS.component}=${COMPONENTS.configuration}`;
    return (await user.list(type, { namespace, labelSelector })).items.map(({ metadata }) => metadata.name).join();
  };
  const isThere = (type: ResourceType, name: string) => async (): Promise<boolean> =>
    (await user.find(type, { namespace, name })) !== undefined;
  await eventually("HTTPRoute web is there", isThere(RESOURCES.HTTPRoute, "web"), DEADLINE_MS);
  await eventually("GRPCRoute calls is there", isThere(RESOURCES.GRPCRoute, "calls"), DEADLINE_MS);
  await eventually("calls is scaled", isThere(RESOURCES.HorizontalPodAutoscaler, "calls-blue"), DEADLINE_MS);
  const fixed = { spec: { autoscaling: null, replicas: 2 } };
  await user.patch(ROLLOUT, { namespace, name: "calls" }, { format: "merge", patch: fixed });
  const isScaled = isThere(RESOURCES.HorizontalPodAutoscaler, "calls-blue");
  await eventually("calls is scaled no more", async () => !(await isScaled()), DEADLINE_MS);
  await eventually("FeatureFlag web-flags is there", isThere(RESOURCES.FeatureFlag, "web-flags"), DEADLINE_MS);
  const stages = FLAGGED.stages.map(({ flagBps: _, ...stage }) => stage);
  await user.patch(ROLLOUT, { namespace, name: "web" }, { format: "merge", patch: { spec: { flags: null, stages } } });
  const isGone = async (): Promise<boolean> => !(await isThere(RESOURCES.FeatureFlag, "web-flags")());
  await eventually("FeatureFlag web-flags is gone", isGone, DEADLINE_MS);
  const [maps, secrets] = [await copies(RESOURCES.ConfigMap), await copies(RESOURCES.Secret)];
  const changed = { format: "merge", patch: { data: { COLOR: "Z3JlZW4=" } } } as const;
  await user.patch(RESOURCES.ConfigMap, { namespace, name: "settings" }, changed);
  await user.patch(RESOURCES.Secret, { namespace, name: "keys" }, changed);
  const isNew = async (type: ResourceType, before: string): Promise<boolean> => {
    const now = await copies(type);
    return now !== "" && !now.split(",").some((name) => before.split(",").includes(name));
  };
  await eventually("the copies are others", () => isNew(RESOURCES.ConfigMap, maps), DEADLINE_MS);
  await eventually("those of the Secret too", () => isNew(RESOURCES.Secret, secrets), DEADLINE_MS);
  for (const name of ["web", "calls"]) await user.delete(ROLLOUT, { namespace, name });
}
