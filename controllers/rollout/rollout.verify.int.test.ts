// Checks of a release under the real manager on a real API server. There are no nodes and no other controllers: the test plays
// the kubelet, the Job controller and the gateway by patching statuses, as they would, and the pods' answers over HTTP.
import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { API_VERSION, LABELS } from "../../crds/group.ts";
import { ROLLOUT, ROLLOUT_KIND, type Rollout } from "../../crds/rollout.ts";
import { serveKinds } from "../../crds/testing/served.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { type KubeObject, RESOURCES, type ResourceType } from "../../lib/kube/types.ts";
import { installGatewayApi } from "../../testkit/gateway-api.ts";
import { startControlPlane, type TestControlPlane } from "../../testkit/kube-apiserver.ts";
import { makeNamespace } from "../../testkit/namespaces.ts";
import { eventually } from "../../testkit/wait.ts";
import { type RunningOperator, startOperator } from "./testing/server-stage.ts";
import type { HttpAnswer } from "./verification/answers.ts";

/** Two busy cores. */
const TIMEOUT_MS = 60_000;
const AT = "2025-01-01T00:00:00Z";

let plane: TestControlPlane;
let kube: KubeClient;
let operator: RunningOperator | undefined;
let namespace = "";
/** Paths that were asked for, and what the pods say. */
let asked: string[] = [];
let answer: (path: string) => HttpAnswer | Promise<HttpAnswer>;

beforeAll(async () => {
  plane = await startControlPlane();
  kube = plane.client();
  await Promise.all([serveKinds(kube, [ROLLOUT_KIND]), installGatewayApi(kube)]);
});

afterAll(async () => {
  await plane.stop();
});

beforeEach(async () => {
  namespace = `test-${randomBytes(4).toString("hex")}`;
  await makeNamespace(kube, namespace);
  asked = [];
  answer = () => ({ status: 200, body: "" });
});

afterEach(async () => {
  await operator?.stop();
  operator = undefined;
});

test("a version has its first request when all checks have passed; one that fails leaves the other alone", async () => {
  begin();
  await createAll();
  await startPods("blue");
  await phaseIs("Verifying");
  const job = await jobOf("buy");
  expect(job["spec"]).toMatchObject({ backoffLimit: 0, activeDeadlineSeconds: 300, ttlSecondsAfterFinished: 3_600 });
  const { template } = job["spec"] as {
    template: { spec: { containers: { env: object[] }[]; restartPolicy: string } };
  };
  expect(template.spec.restartPolicy).toBe("Never");
  expect(template.spec.containers[0]?.env).toContainEqual({
    name: "SHIELDX_SERVICE_URL",
    value: `http://web-blue.${namespace}.svc:80`,
  });
  expect(await weights()).toEqual({ "web-blue": 0, "web-green": 10_000 });
  await finishJob(job);
  await phaseIs("Switching");
  await takeRoute({ "web-blue": 10_000, "web-green": 0 });
  await phaseIs("Idle");
  expect((await read()).status).toMatchObject({ stable: { colour: "Blue" }, releases: [{ outcome: "Promoted" }] });
  await eventually("no Job is left", async () => (await jobs()).length === 0, TIMEOUT_MS);

  await merge(RESOURCES.Deployment, "web", { spec: { template: templateOf("web:2") } });
  await startPods("green");
  await phaseIs("Verifying");
  await failJob(await jobOf("buy"));
  await phaseIs("RollingBack");
  await phaseIs("Idle");
  const { status } = await read();
  expect(status?.releases?.[0]).toMatchObject({ outcome: "RolledBack", reason: "SmokeTestFailed" });
  expect(status?.releases?.[0]?.message).toContain("DeadlineExceeded");
  expect(status?.stable).toMatchObject({ colour: "Blue" });
  expect(await weights()).toEqual({ "web-blue": 10_000, "web-green": 0 });
});

test("another replica goes on where the one before was: nothing that passed runs again, a Job that was removed does", async () => {
  begin();
  await createAll();
  await startPods("blue");
  const job = await jobOf("buy");
  await resultIs("page", "Passed");
  await eventually("the Job is known", async () => (await record("buy"))?.job === job.metadata.uid, TIMEOUT_MS);
  expect(await operator?.stop()).toBe(0);
  await kube.delete(RESOURCES.Job, { namespace, name: job.metadata.name });
  begin();
  await eventually(
    "another Job has the name of the one that was removed",
    async () =>
      (await kube.find(RESOURCES.Job, { namespace, name: job.metadata.name }))?.metadata.uid !== job.metadata.uid,
    TIMEOUT_MS,
  );
  await eventually("the second run is remembered", async () => (await record("buy"))?.runs === 2, TIMEOUT_MS);
  await finishJob(await jobOf("buy"));
  await phaseIs("Switching");
  expect(asked.filter((path) => path === "/ok")).toHaveLength(1);
});

test("a question without an answer holds up no abort of a person, and its Jobs go", async () => {
  begin();
  await createAll();
  await startPods("blue");
  await finishJob(await jobOf("buy"));
  await phaseIs("Switching");
  await takeRoute({ "web-blue": 10_000, "web-green": 0 });
  await phaseIs("Idle");
  answer = (path) => (path === "/ok" ? new Promise<HttpAnswer>(() => undefined) : { status: 200, body: "" });
  await merge(RESOURCES.Deployment, "web", { spec: { template: templateOf("web:2") } });
  await startPods("green");
  await jobOf("buy");
  await resultIs("page", "Running");
  await merge(ROLLOUT, "web", { spec: { request: { id: "stop", action: "Abort" } } });
  await phaseIs("RollingBack");
  await eventually("no Job is left", async () => (await jobs()).length === 0, TIMEOUT_MS);
});

function begin(): void {
  operator = startOperator(
    plane,
    { namespace, watchNamespaces: [namespace] },
    {
      askHttp: async ({ path }) => {
        asked.push(path);
        return answer(path);
      },
    },
  );
}

function templateOf(image: string): Record<string, unknown> {
  return {
    metadata: { labels: { app: "web" } },
    spec: { containers: [{ name: "web", image, ports: [{ containerPort: 8080 }] }] },
  };
}

async function createAll(): Promise<void> {
  await kube.create(RESOURCES.Deployment, {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace },
    spec: { replicas: 1, selector: { matchLabels: { app: "web" } }, template: templateOf("web:1") },
  });
  await kube.create(RESOURCES.Service, {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace },
    spec: { selector: { app: "web" }, ports: [{ port: 80, targetPort: 8080 }] },
  });
  const containers = [{ name: "test", image: "smoke:1" }];
  await kube.create(ROLLOUT, {
    apiVersion: API_VERSION,
    kind: "Rollout",
    metadata: { name: "web", namespace },
    spec: {
      target: { deployment: "web" },
      service: { name: "web" },
      traffic: { gatewayAPI: { parentRefs: [{ name: "public" }] } },
      drainSeconds: 1,
      verify: {
        health: { http: { path: "/healthz" } },
        smoke: [
          { name: "page", http: { path: "/ok" } },
          { name: "buy", job: { template: { spec: { containers } } } },
        ],
      },
    },
  } as unknown as Rollout);
}

/** The Deployment controller and the kubelet: one ready pod of the colour's newest template. */
async function startPods(colour: string): Promise<void> {
  const name = `web-${colour}`;
  const deployment = await eventually(
    `Deployment ${name} has pods`,
    async () => {
      const found = await kube.find(RESOURCES.Deployment, { namespace, name });
      return (found?.["spec"] as { replicas: number } | undefined)?.replicas === 1 ? found : undefined;
    },
    TIMEOUT_MS,
  );
  const { template } = deployment["spec"] as { template: { metadata: { labels: Record<string, string> } } };
  const { labels } = template.metadata;
  const pod = `${name}-${labels[LABELS.revision] ?? ""}`;
  await kube.create(RESOURCES.Pod, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: pod, namespace, labels },
    spec: { containers: [{ name: "web", image: "web" }] },
  });
  const ip = { podIP: "10.0.0.1", podIPs: [{ ip: "10.0.0.1" }] };
  await mergeStatus(RESOURCES.Pod, pod, { phase: "Running", ...ip, conditions: [{ type: "Ready", status: "True" }] });
}

async function jobs(): Promise<readonly KubeObject[]> {
  return (await kube.list(RESOURCES.Job, { namespace })).items;
}

async function jobOf(check: string): Promise<KubeObject> {
  const isOf = ({ metadata }: KubeObject): boolean => metadata.name.startsWith(`web-${check}-`);
  return eventually(
    `there is a Job of ${check} under way`,
    async () => (await jobs()).find((job) => isOf(job) && !hasEnded(job)),
    TIMEOUT_MS,
  );
}

function hasEnded(job: KubeObject): boolean {
  const { conditions = [] } = (job["status"] ?? {}) as { conditions?: { type: string }[] };
  return conditions.length > 0;
}

// The server accepts the end of a Job only in the steps of the Job controller.
async function finishJob(job: KubeObject): Promise<void> {
  await mergeStatus(RESOURCES.Job, job.metadata.name, {
    startTime: AT,
    completionTime: AT,
    succeeded: 1,
    uncountedTerminatedPods: {},
    conditions: ["SuccessCriteriaMet", "Complete"].map((type) => ({ type, status: "True", lastTransitionTime: AT })),
  });
}

async function failJob(job: KubeObject): Promise<void> {
  const why = { reason: "DeadlineExceeded", message: "Job was active longer than specified deadline" };
  await mergeStatus(RESOURCES.Job, job.metadata.name, {
    startTime: AT,
    failed: 1,
    uncountedTerminatedPods: {},
    conditions: ["FailureTarget", "Failed"].map((type) => ({ type, status: "True", lastTransitionTime: AT, ...why })),
  });
}

async function weights(): Promise<Record<string, number>> {
  const route = await kube.find(RESOURCES.HTTPRoute, { namespace, name: "web" });
  const { rules = [] } = (route?.["spec"] ?? {}) as {
    rules?: { backendRefs: { name: string; weight: number }[] }[];
  };
  return Object.fromEntries((rules[0]?.backendRefs ?? []).map(({ name, weight }) => [name, weight]));
}

/** The gateway, once the route has these weights. */
async function takeRoute(wanted: Record<string, number>): Promise<void> {
  const has = async (): Promise<boolean> => JSON.stringify(await weights()) === JSON.stringify(wanted);
  await eventually(`the route has ${JSON.stringify(wanted)}`, has, TIMEOUT_MS);
  const route = await kube.get(RESOURCES.HTTPRoute, { namespace, name: "web" });
  const { generation } = route.metadata;
  const conditions = ["Accepted", "ResolvedRefs"].map((type) => ({
    type,
    status: "True",
    reason: type,
    message: "",
    observedGeneration: generation,
    lastTransitionTime: AT,
  }));
  const { parentRefs } = route["spec"] as { readonly parentRefs: readonly object[] };
  const parents = parentRefs.map((parentRef) => ({ parentRef, controllerName: "example.com/test", conditions }));
  await mergeStatus(RESOURCES.HTTPRoute, "web", { parents });
}

async function read(): Promise<Rollout> {
  return kube.get(ROLLOUT, { namespace, name: "web" });
}

async function phaseIs(phase: string): Promise<void> {
  let last: unknown;
  const check = async (): Promise<boolean> => {
    const { status } = await read();
    last = status;
    return status?.phase === phase;
  };
  await eventually(`phase ${phase}`, check, TIMEOUT_MS).catch((error: unknown) => {
    throw new Error(`${(error as Error).message}; the status was ${JSON.stringify(last)}`);
  });
}

async function record(
  check: string,
): Promise<NonNullable<NonNullable<Rollout["status"]>["verify"]>[number] | undefined> {
  return (await read()).status?.verify?.find(({ name }) => name === check);
}

async function resultIs(check: string, result: string): Promise<void> {
  await eventually(`${check} ${result}`, async () => (await record(check))?.result === result, TIMEOUT_MS);
}

async function merge(type: ResourceType, name: string, patch: unknown): Promise<void> {
  await kube.patch(type, { namespace, name }, { format: "merge", patch });
}

async function mergeStatus(type: ResourceType, name: string, status: unknown): Promise<void> {
  await kube.patch(type, { namespace, name }, { format: "merge", patch: { status }, subresource: "status" });
}
