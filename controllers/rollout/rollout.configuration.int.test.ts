// Copies of configuration on a real API server: changes are noticed without keeping what ConfigMaps and Secrets hold, copies
// cannot be changed, and go when no version reads them.

import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { ANNOTATIONS, COMPONENTS, LABELS } from "../../crds/group.ts";
import { ROLLOUT, type Rollout } from "../../crds/rollout.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { type KubeObject, RESOURCES, type ResourceType } from "../../lib/kube/types.ts";
import { eventually } from "../../testkit/wait.ts";
import { referencesIn } from "./rollout.references.ts";
import { NAMESPACE, rollout, service } from "./testing/builders.ts";
import { configMap, configuredDeployment, secret } from "./testing/configured.ts";
import { openServerStage, type ServerStage } from "./testing/server-stage.ts";

const DEADLINE_MS = 30_000;
let stage: ServerStage;
let user: KubeClient;

beforeAll(async () => {
  stage = await openServerStage({ gatewayApi: false });
  ({ user } = stage);
}, 120_000);

afterAll(() => stage.close());

const find = (type: ResourceType, name: string): Promise<KubeObject | undefined> =>
  user.find(type, { namespace: NAMESPACE, name });

/** What the pods of the only version read: ConfigMap, then Secret. */
async function reads(): Promise<readonly string[]> {
  const deployment = await find(RESOURCES.Deployment, "web-blue");
  const { template } = (deployment?.["spec"] ?? { template: { spec: {} } }) as {
    readonly template: { readonly spec: Readonly<Record<string, unknown>> };
  };
  return referencesIn(template.spec).map(({ name }) => name);
}

async function copies(type: ResourceType): Promise<string[]> {
  const { items } = await user.list(type, {
    namespace: NAMESPACE,
    labelSelector: `${LABELS.component}=${COMPONENTS.configuration}`,
  });
  return items.map(({ metadata }) => metadata.name);
}

async function targetFound(): Promise<string | undefined> {
  const { status } = (await find(ROLLOUT, "web")) as Rollout;
  return status?.conditions?.find(({ type }) => type === "TargetFound")?.reason;
}

test("a version reads copies, follows changes, and leaves nothing behind", async () => {
  await user.create(RESOURCES.Secret, secret("one"));
  await user.create(RESOURCES.Deployment, configuredDeployment("web:1"));
  await user.create(RESOURCES.Service, service());
  const { uid: _, generation: __, ...metadata } = rollout().metadata;
  await user.create(ROLLOUT, { ...rollout(), metadata });
  await eventually(
    "the ConfigMap is missed",
    async () => (await targetFound()) === "ConfigurationNotFound",
    DEADLINE_MS,
  );
  expect(await find(RESOURCES.Deployment, "web-blue")).toBeUndefined();

  await user.create(RESOURCES.ConfigMap, configMap("red"));
  await eventually("pods are made", async () => (await reads()).length === 2, DEADLINE_MS);
  const [red = "", one = ""] = await reads();
  expect(await find(RESOURCES.Secret, one)).toMatchObject({
    immutable: true,
    type: "Opaque",
    data: { key: "b25l" },
    metadata: {
      annotations: { [ANNOTATIONS.copyOf]: "keys" },
      ownerReferences: [{ kind: "Rollout", name: "web" }],
    },
  });
  const patch = { data: { COLOR: "mauve" } };
  await expect(
    user.patch(RESOURCES.ConfigMap, { namespace: NAMESPACE, name: red }, { format: "merge", patch }),
  ).rejects.toMatchObject({ code: "KUBE_INVALID", message: expect.stringContaining("immutable") });

  const ref = { namespace: NAMESPACE, name: "settings" };
  await user.patch(RESOURCES.ConfigMap, ref, { format: "merge", patch: { data: { COLOR: "green" } } });
  await eventually("pods read the new ConfigMap", async () => (await reads())[0] !== red, DEADLINE_MS);
  const [green = "", sameSecret] = await reads();
  expect(sameSecret).toBe(one);
  expect(await find(RESOURCES.ConfigMap, green)).toMatchObject({ data: { COLOR: "green" } });
  await eventually(
    "the former copy is gone",
    async () => (await copies(RESOURCES.ConfigMap)).join() === green,
    DEADLINE_MS,
  );
  expect(await copies(RESOURCES.Secret)).toEqual([one]);

  await user.delete(RESOURCES.ConfigMap, { namespace: NAMESPACE, name: green });
  await eventually("the copy is back", async () => (await copies(RESOURCES.ConfigMap)).join() === green, DEADLINE_MS);

  await user.patch(
    RESOURCES.Secret,
    { namespace: NAMESPACE, name: "keys" },
    {
      format: "merge",
      patch: { metadata: { annotations: { [ANNOTATIONS.configuration]: "Shared" } } },
    },
  );
  await eventually("the Secret is shared", async () => (await reads())[1] === "keys", DEADLINE_MS);
  await eventually("its copy is gone", async () => (await copies(RESOURCES.Secret)).length === 0, DEADLINE_MS);
}, 120_000);
