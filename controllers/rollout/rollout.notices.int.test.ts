// Notifications under the real manager on a real API server, to receivers on loopback that answer well, badly or not at all. One of
// them is the receiver of docs/examples, as a program of its own.
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { API_VERSION, LABELS } from "../../crds/group.ts";
import { ROLLOUT, ROLLOUT_KIND, type Rollout } from "../../crds/rollout.ts";
import { serveKinds } from "../../crds/testing/served.ts";
import { systemClock } from "../../lib/core/clock.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { RESOURCES, type ResourceType } from "../../lib/kube/types.ts";
import { askHttp } from "../../lib/node/http-question.ts";
import { installGatewayApi } from "../../testkit/gateway-api.ts";
import { startControlPlane, type TestControlPlane } from "../../testkit/kube-apiserver.ts";
import { makeNamespace } from "../../testkit/namespaces.ts";
import { eventually } from "../../testkit/wait.ts";
import { isAuthentic } from "../kit/testing/webhook-receiver.ts";
import { type RunningOperator, startOperator } from "./testing/server-stage.ts";

/** Two busy cores. */
const TIMEOUT_MS = 60_000;
const RECEIVER = join(import.meta.dirname, "../../docs/examples/webhook-receiver.mjs");
/** Of a try, in place of the ten seconds that it has. */
const TRY_TIMEOUT_MS = 1_000;

const keyText = (): string => `whsec_${randomBytes(32).toString("base64")}`;

interface Got {
  readonly path: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

let plane: TestControlPlane;
let kube: KubeClient;
let receivers: Server;
let port = 0;
let operator: RunningOperator | undefined;
let example: ChildProcess | undefined;
let namespace = "";
let got: Got[] = [];
let answers: Readonly<Record<string, (response: ServerResponse) => void>> = {};

beforeAll(async () => {
  plane = await startControlPlane();
  kube = plane.client();
  await Promise.all([serveKinds(kube, [ROLLOUT_KIND]), installGatewayApi(kube)]);
  receivers = createServer((request, response) => void receive(request, response));
  await new Promise<void>((resolve) => receivers.listen(0, "127.0.0.1", resolve));
  ({ port } = receivers.address() as AddressInfo);
});

afterAll(async () => {
  receivers.closeAllConnections();
  await new Promise((resolve) => receivers.close(resolve));
  await plane.stop();
});

beforeEach(async () => {
  namespace = `test-${randomBytes(4).toString("hex")}`;
  await makeNamespace(kube, namespace);
  got = [];
  answers = {};
});

afterEach(async () => {
  await operator?.stop();
  operator = undefined;
  example?.kill();
  example = undefined;
});

async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const { url: path = "", headers } = request;
  got.push({ path, headers: headers as Got["headers"], body: Buffer.concat(parts).toString("utf8") });
  (answers[path] ?? ((well) => well.writeHead(204).end()))(response);
}

test("each receiver has the release told, or the status says why not, and the release waits for none", async () => {
  answers = {
    "/broken": (response) => void response.writeHead(500).end("hunter2"),
    "/moved": (response) => void response.writeHead(307, { location: "/elsewhere" }).end(),
    "/huge": (response) => {
      response.writeHead(200);
      const more = (): void => {
        while (!response.destroyed && response.write("x".repeat(65_536)));
        response.once("drain", more);
      };
      more();
    },
    "/slow": () => undefined,
  };
  const key = keyText();
  await createSecret("keys", key);
  const lines = await startExample(key);
  const { port: examplePort } = lines;
  begin();
  const here = `http://127.0.0.1:${String(port)}`;
  await createAll([
    { name: "example", url: `http://localhost:${String(examplePort)}/hook` },
    ...["broken", "moved", "huge", "slow", "guarded"].map((name) => ({ name, url: `${here}/${name}` })),
    { name: "keyless", url: `${here}/keyless`, secretRef: { name: "other" } },
  ]);
  await promote();
  const { revision } = (await read()).status?.stable ?? {};
  await eventually("the example has both", async () => lines.told.length === 2, TIMEOUT_MS);
  expect(lines.told.toSorted()).toEqual([
    expect.stringContaining(
      `dev.shieldx.rollout.promoted.v1 ${namespace}/web revision ${revision ?? ""}: the first version`,
    ),
    expect.stringContaining(`dev.shieldx.rollout.release_started.v1 ${namespace}/web revision ${revision ?? ""}: `),
  ]);
  const outcomes = async (): Promise<Record<string, string>> => {
    const { notifications = [] } = (await read()).status ?? {};
    return Object.fromEntries(notifications.map(({ name, result, message }) => [name, `${result}: ${message}`]));
  };
  const wanted = {
    example: "Delivered: status 204, try 1",
    broken: "Retrying: status 500",
    moved: "Failed: status 307, and no redirect is followed, try 1",
    huge: "Delivered: status 200, try 1",
    slow: "Retrying: no answer within 1000 ms",
    guarded: "Failed: it is not asked, for its address is of loopback, link-local or a cloud's metadata, try 1",
    keyless: "Retrying: Secret other is not there",
  };
  const isSaid = async (): Promise<boolean> => JSON.stringify(await outcomes()) === JSON.stringify(wanted);
  await eventually("the status says what became of them", isSaid, TIMEOUT_MS).catch(async () => {
    expect(await outcomes()).toEqual(wanted);
  });
  expect(got.map(({ path }) => path)).not.toContain("/guarded");
  expect(got.map(({ path }) => path)).not.toContain("/elsewhere");
  expect(got.map(({ path }) => path)).not.toContain("/keyless");
  const waiting = ["broken", "broken", "keyless", "keyless", "slow", "slow"].join();
  await eventually(
    "the outbox has what is not over",
    async () =>
      (await read()).status?.outbox
        ?.flatMap(({ to }) => to)
        .toSorted()
        .join() === waiting,
    TIMEOUT_MS,
  );
  const events = async (): Promise<string> => JSON.stringify(await kube.list(RESOURCES.Event, { namespace }));
  await eventually(
    "an event tells of what failed",
    async () => (await events()).includes("NotificationFailed"),
    TIMEOUT_MS,
  );
  const told = JSON.stringify(await read()) + (await events());
  expect(told).not.toContain("whsec_");
  expect(told).not.toContain("hunter2");

  // The key comes, and what waited for it with it.
  const late = keyText();
  await createSecret("other", late);
  const keyless = (): Got[] => got.filter(({ path }) => path === "/keyless");
  await eventually("the one without a key has both", async () => keyless().length === 2, TIMEOUT_MS);
  for (const message of keyless()) {
    expect(isAuthentic(message, late, systemClock.now())).toBe(true);
    expect(isAuthentic(message, key, systemClock.now())).toBe(false);
  }
});

test("another replica sends what the one before could not, under the same ids, and none of what it could", async () => {
  answers = { "/down": (response) => void response.writeHead(503).end() };
  await createSecret("keys", keyText());
  begin();
  const here = `http://127.0.0.1:${String(port)}`;
  await createAll(["down", "well"].map((name) => ({ name, url: `${here}/${name}` })));
  await promote();
  const waiting = async (): Promise<string[]> =>
    (await read()).status?.outbox?.map(({ id, to }) => `${id} ${to.join()}`) ?? [];
  await eventually(
    "only one receiver waits",
    async () => {
      const left = await waiting();
      return left.length === 2 && left.every((text) => text.endsWith(" down"));
    },
    TIMEOUT_MS,
  );
  const ids = (await waiting()).map((text) => text.split(" ")[0]);
  expect(await operator?.stop()).toBe(0);
  expect(await waiting()).toHaveLength(2);
  got = [];
  answers = {};
  begin();
  await eventually("the outbox is empty", async () => (await waiting()).length === 0, TIMEOUT_MS);
  expect(got.map(({ path }) => path)).toEqual(["/down", "/down"]);
  expect(got.map(({ headers }) => headers["webhook-id"]).toSorted()).toEqual(ids.toSorted());
});

test.each<[string, object, string]>([
  ["an address of another kind", { url: "ftp://a.example" }, "spec.notifications[0].url"],
  ["a password in the address", { url: "https://a:b@a.example" }, "spec.notifications[0].url"],
  ["no key", { secretRef: undefined }, "spec.notifications[0].secretRef"],
  ["a key of a Secret without a name", { secretRef: { key: "a" } }, "spec.notifications[0].secretRef.name"],
  ["an event that there is not", { events: ["Exploded"] }, "spec.notifications[0].events[0]"],
  ["no event", { events: [] }, "spec.notifications[0].events"],
  ["a name that is none", { name: "A b" }, "spec.notifications[0].name"],
])("%s is refused, and the field is named", async (_, part, field) => {
  const receiver = { name: "ops", url: "https://a.example", secretRef: { name: "keys" }, ...part };
  await expect(kube.create(ROLLOUT, rolloutWith([receiver]))).rejects.toMatchObject({
    code: "KUBE_INVALID",
    message: expect.stringContaining(field),
  });
});

test("two receivers of one name, and too many of them, are refused", async () => {
  const one = { name: "ops", url: "https://a.example", secretRef: { name: "keys" } };
  await expect(kube.create(ROLLOUT, rolloutWith([one, one]))).rejects.toMatchObject({
    code: "KUBE_INVALID",
    message: expect.stringContaining("spec.notifications[1]"),
  });
  const many = Array.from({ length: 9 }, (_, index) => ({ ...one, name: `ops-${String(index)}` }));
  await expect(kube.create(ROLLOUT, rolloutWith(many))).rejects.toMatchObject({ code: "KUBE_INVALID" });
  await expect(kube.create(ROLLOUT, rolloutWith(many.slice(1)))).resolves.toBeDefined();
});

function begin(): void {
  operator = startOperator(
    plane,
    { namespace, watchNamespaces: [namespace] },
    {
      // All receivers of a test are on loopback: one of them is asked as an installation asks.
      post: (question) =>
        askHttp(
          question.path === "/guarded" ? question : { ...question, isLocalRefused: false, timeoutMs: TRY_TIMEOUT_MS },
        ),
    },
  );
}

/** The receiver that the documentation has. @returns its port, and what it says of events */
async function startExample(key: string): Promise<{ readonly port: number; readonly told: string[] }> {
  const child = spawn(process.execPath, [RECEIVER, "0"], {
    env: { SHIELDX_WEBHOOK_KEY: key },
    stdio: ["ignore", "pipe", "inherit"],
  });
  example = child;
  const told: string[] = [];
  const lines = createInterface({ input: child.stdout });
  const listens = new Promise<number>((resolve, reject) => {
    child.once("exit", () => reject(new Error("the example ended")));
    lines.on("line", (line) => {
      const found = /^listening on (\d+)$/.exec(line)?.[1];
      if (found === undefined) told.push(line);
      else resolve(Number(found));
    });
  });
  return { port: await listens, told };
}

async function createSecret(name: string, key: string): Promise<void> {
  await kube.create(RESOURCES.Secret, {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, namespace },
    data: { secret: Buffer.from(`${key}\n`).toString("base64") },
  });
}

function rolloutWith(notifications: readonly object[]): Rollout {
  return {
    apiVersion: API_VERSION,
    kind: "Rollout",
    metadata: { name: "web", namespace },
    spec: {
      target: { deployment: "web" },
      service: { name: "web" },
      traffic: { gatewayAPI: { parentRefs: [{ name: "public" }] } },
      drainSeconds: 1,
      notifications,
    },
  } as unknown as Rollout;
}

async function createAll(notifications: readonly object[]): Promise<void> {
  await kube.create(RESOURCES.Deployment, {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: "web" } },
      template: {
        metadata: { labels: { app: "web" } },
        spec: { containers: [{ name: "web", image: "web:1", ports: [{ containerPort: 8080 }] }] },
      },
    },
  });
  await kube.create(RESOURCES.Service, {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace },
    spec: { selector: { app: "web" }, ports: [{ port: 80, targetPort: 8080 }] },
  });
  await kube.create(ROLLOUT, rolloutWith(notifications.map((one) => ({ secretRef: { name: "keys" }, ...one }))));
}

/** Plays kubelet and gateway until the first version serves. */
async function promote(): Promise<void> {
  const deployment = await eventually(
    "the Deployment of the colour has pods",
    async () => {
      const found = await kube.find(RESOURCES.Deployment, { namespace, name: "web-blue" });
      return (found?.["spec"] as { replicas: number } | undefined)?.replicas === 1 ? found : undefined;
    },
    TIMEOUT_MS,
  );
  const { template } = deployment["spec"] as { template: { metadata: { labels: Record<string, string> } } };
  const { labels } = template.metadata;
  const pod = `web-blue-${labels[LABELS.revision] ?? ""}`;
  await kube.create(RESOURCES.Pod, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: pod, namespace, labels },
    spec: { containers: [{ name: "web", image: "web" }] },
  });
  const ip = { podIP: "10.0.0.1", podIPs: [{ ip: "10.0.0.1" }] };
  await mergeStatus(RESOURCES.Pod, pod, { phase: "Running", ...ip, conditions: [{ type: "Ready", status: "True" }] });
  const isPromoted = async (): Promise<boolean> => {
    await takeRoute();
    return (await read()).status?.releases?.[0]?.outcome === "Promoted";
  };
  await eventually("the first version serves", isPromoted, TIMEOUT_MS);
}

/** The gateway takes the route as it is, if there is one. */
async function takeRoute(): Promise<void> {
  const route = await kube.find(RESOURCES.HTTPRoute, { namespace, name: "web" });
  if (route === undefined) return;
  const conditions = ["Accepted", "ResolvedRefs"].map((type) => ({
    type,
    status: "True",
    reason: type,
    message: "",
    observedGeneration: route.metadata.generation,
    lastTransitionTime: "2025-01-01T00:00:00Z",
  }));
  const { parentRefs } = route["spec"] as { readonly parentRefs: readonly object[] };
  const parents = parentRefs.map((parentRef) => ({ parentRef, controllerName: "example.com/test", conditions }));
  await mergeStatus(RESOURCES.HTTPRoute, "web", { parents });
}

async function read(): Promise<Rollout> {
  return kube.get(ROLLOUT, { namespace, name: "web" });
}

async function mergeStatus(type: ResourceType, name: string, status: unknown): Promise<void> {
  await kube.patch(type, { namespace, name }, { format: "merge", patch: { status }, subresource: "status" });
}
