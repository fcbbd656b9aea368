import { createServer, connect as openTcp, type Server, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { installGatewayApi } from "../../testkit/gateway-api.ts";
import { startControlPlane, type TestControlPlane } from "../../testkit/kube-apiserver.ts";
import { installFeatureFlags } from "../../testkit/open-feature.ts";
import { eventually } from "../../testkit/wait.ts";
import { systemClock } from "../core/clock.ts";
import { isOperatorError, OperatorError } from "../core/errors.ts";
import { silentLogger } from "../node/logger.ts";
import { createKubeClient, type KubeClient } from "./client.ts";
import { createReflector, type ReflectorFault } from "./reflector.ts";
import type { RequestRecord } from "./request-options.ts";
import { createTransport, type KubeEndpoint } from "./transport.ts";
import { type ConfigMapObject, type KubeObject, RESOURCES, type ResourceType } from "./types.ts";

// Goal: what the client promises beyond plain objects holds on a real kube-apiserver: who goes first, what is refused
// and how, streaming lists, restored servers. No kubelet and no controllers run here.

const { ConfigMap, Deployment, Pod, PodDisruptionBudget } = RESOURCES;
const namespace = "default";

let controlPlane: TestControlPlane;
let client: KubeClient;
beforeAll(async () => {
  controlPlane = await startControlPlane();
  client = controlPlane.client();
});
afterAll(() => controlPlane.stop());

const configMap = (name: string, more: Partial<ConfigMapObject> = {}): ConfigMapObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace },
  ...more,
});

function clientOf(endpoint: KubeEndpoint, onRequest?: (record: RequestRecord) => void): KubeClient {
  const random = (): number => 0.5;
  const transport = createTransport(endpoint);
  return createKubeClient({ transport, namespace, userAgent: "shieldx/test", clock: systemClock, random, onRequest });
}

/** What a reflector makes of the server, and which way it reads. */
function follow(how: {
  readonly client: Pick<KubeClient, "pages" | "watch">;
  readonly labelSelector: string;
  readonly inactivityMs?: number;
}) {
  const held = new Map<string, string>();
  const faults: ReflectorFault[] = [];
  let added = 0;
  let pages = 0;
  let maxTurnMs = 0;
  const counted: Pick<KubeClient, "pages" | "watch"> = {
    watch: (type, options) => how.client.watch(type, options),
    async *pages(type, options) {
      for await (const page of how.client.pages(type, options)) {
        pages += 1;
        yield page;
      }
    },
  };
  const reflector = createReflector<ConfigMapObject>({
    client: counted,
    type: ConfigMap,
    selection: { namespace, labelSelector: how.labelSelector },
    sink: {
      list: () => {
        const listed = new Map<string, string>();
        return {
          add: ({ metadata }) => {
            added += 1;
            listed.set(metadata.name, metadata.resourceVersion ?? "");
          },
          end: () => {
            held.clear();
            for (const [name, version] of listed) held.set(name, version);
          },
        };
      },
      apply: ({ type, object }) => {
        if (type === "DELETED") held.delete(object.metadata.name);
        else held.set(object.metadata.name, object.metadata.resourceVersion ?? "");
      },
    },
    clock: systemClock,
    random: () => 0,
    log: silentLogger,
    onFault: (fault) => faults.push(fault),
    ...(how.inactivityMs === undefined ? {} : { inactivityMs: how.inactivityMs }),
  });
  const stop = new AbortController();
  let last = systemClock.monotonic();
  const ticker = setInterval(() => {
    maxTurnMs = Math.max(maxTurnMs, systemClock.monotonic() - last - 5);
    last = systemClock.monotonic();
  }, 5);
  const running = reflector.run(stop.signal);
  return {
    held,
    faults,
    reflector,
    added: () => added,
    pages: () => pages,
    maxTurnMs: () => maxTurnMs,
    stop: async () => {
      clearInterval(ticker);
      stop.abort();
      await running;
    },
  };
}

async function createMany(count: number, labels: Record<string, string>): Promise<void> {
  const names = Array.from({ length: count }, (_, index) => `${Object.values(labels)[0]}-${index}`).values();
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (const name of names) {
        await client.create(ConfigMap, configMap(name, { metadata: { name, namespace, labels }, data: { name } }));
      }
    }),
  );
}

describe("writes", () => {
  it("change nothing as a dry run, of every verb", async () => {
    const dryRun = true;
    const before = await client.create(ConfigMap, configMap("dry", { data: { a: "1" } }));
    await client.create(ConfigMap, configMap("dry-made"), { dryRun });
    expect((await client.replace(ConfigMap, { ...before, data: { a: "2" } }, { dryRun })).data).toEqual({ a: "2" });
    const ref = { namespace, name: "dry" };
    await client.patch(ConfigMap, ref, { format: "merge", patch: { data: { a: "3" } }, dryRun });
    await client.apply(ConfigMap, configMap("dry", { data: { b: "4" } }), { fieldManager: "m", dryRun });
    await client.delete(ConfigMap, ref, { dryRun });
    expect(await client.get(ConfigMap, ref)).toEqual(before);
    expect(await client.find(ConfigMap, { namespace, name: "dry-made" })).toBeUndefined();
  });

  it("are refused for a field that the server does not know, when they ask for that", async () => {
    const object = configMap("strict", { surprise: 1 });
    await expect(client.create(ConfigMap, object, { fieldValidation: "Strict" })).rejects.toMatchObject({
      code: "KUBE_INVALID",
      message: expect.stringContaining("surprise"),
    });
    expect(await client.create(ConfigMap, object, { dryRun: true })).not.toHaveProperty("surprise");
  });

  it("get a name from the server", async () => {
    const object = configMap("", { metadata: { name: "", generateName: "made-", namespace } });
    const [a, b] = await Promise.all([client.create(ConfigMap, object), client.create(ConfigMap, object)]);
    expect(a.metadata.name).toMatch(/^made-/);
    expect(a.metadata.name).not.toBe(b.metadata.name);
  });

  it("are not sent when the fence falls while they wait", async () => {
    let holds = true;
    const fence = (): void => {
      if (!holds) throw new OperatorError("LEASE_LOST", "not leading");
    };
    await client.create(ConfigMap, configMap("fenced"), { fence });
    const many = Array.from({ length: 200 }, (_, index) =>
      client.create(ConfigMap, configMap(`fenced-${index}`), { fence }).then(
        () => "made",
        (error: unknown) => (error as OperatorError).code,
      ),
    );
    await many[0];
    holds = false;
    const results = await Promise.all(many);
    expect(new Set(results)).toEqual(new Set(["made", "LEASE_LOST"]));
    const { items } = await client.list(ConfigMap, { namespace });
    const made = items.filter(({ metadata }) => metadata.name.startsWith("fenced-")).length;
    expect(made).toBe(results.filter((result) => result === "made").length);
  });

  it("reach subresources", async () => {
    const labels = { app: "scaled" };
    const container = { name: "c", image: "none" };
    await client.create(Deployment, {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "scaled", namespace },
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [container] } },
      },
    });
    const ref = { namespace, name: "scaled" };
    const scale = Deployment as ResourceType<KubeObject & { spec: { replicas: number } }>;
    expect(await client.get(scale, ref, { subresource: "scale" })).toMatchObject({
      kind: "Scale",
      spec: { replicas: 1 },
    });
    await client.patch(scale, ref, { format: "merge", patch: { spec: { replicas: 3 } }, subresource: "scale" });
    expect((await client.get(scale, ref)).spec.replicas).toBe(3);
    const token = {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      metadata: { name: "sa", namespace },
      spec: {},
    };
    await client.create(RESOURCES.ServiceAccount, {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: token.metadata,
    });
    expect(await client.create(RESOURCES.ServiceAccount, token, { subresource: "token" })).toMatchObject({
      kind: "TokenRequest",
      status: { token: expect.any(String) },
    });
  });
});

describe("a request", () => {
  it("has an id that the server knows it by", async () => {
    const records: RequestRecord[] = [];
    const own = clientOf(controlPlane.endpoint(), (record) => records.push(record));
    const error = await own.get(ConfigMap, { namespace, name: "none" }).catch((thrown: unknown) => thrown);
    if (!isOperatorError(error)) throw error;
    expect(error.details["requestId"]).toBe(records[0]?.requestId);
    expect(error.message).not.toContain(String(records[0]?.requestId));
    const answer = await createTransport(controlPlane.endpoint()).send({
      method: "GET",
      path: "/version",
      headers: { "audit-id": "ours-1" },
      signal: new AbortController().signal,
    });
    expect(answer.headers["audit-id"]).toBe("ours-1");
    await answer.body.dump();
    await own.close();
  });

  it("that is urgent does not wait behind three thousand others", async () => {
    const records: RequestRecord[] = [];
    const own = clientOf(controlPlane.endpoint(), (record) => records.push(record));
    let left = 3_000;
    const others = Array.from({ length: left }, async (_, index) => {
      const how = { priority: "background", dryRun: true, timeoutMs: 120_000 } as const;
      await own.create(ConfigMap, configMap(`other-${index}`), how);
      left -= 1;
    });
    await eventually("they are on their way", () => left < 2_950);
    const leftAtAnswers: number[] = [];
    for (let count = 0; count < 5; count += 1) {
      await own
        .get(ConfigMap, { namespace, name: "kube-root-ca.crt" }, { priority: "urgent" })
        .catch((error: unknown) => {
          if (!isOperatorError(error, "KUBE_NOT_FOUND")) throw error;
        });
      leftAtAnswers.push(left);
    }
    await Promise.all(others);
    // Five round trips in a row; each of them lets some dozens of the others through on the other connections.
    expect(leftAtAnswers.at(-1)).toBeGreaterThan(1_500);
    const waits = records.filter(({ method }) => method === "GET").map(({ queuedSeconds }) => queuedSeconds);
    expect(Math.max(...waits)).toBeLessThan(0.2);
    expect(Math.max(...records.map(({ queuedSeconds }) => queuedSeconds))).toBeGreaterThan(0.2);
    await own.close();
  });
});

describe("discovery", () => {
  it("knows kinds, versions, scopes, verbs and subresources", async () => {
    expect(await client.servedKind({ group: "apps", kind: "Deployment" })).toEqual({
      group: "apps",
      version: "v1",
      apiVersion: "apps/v1",
      kind: "Deployment",
      plural: "deployments",
      namespaced: true,
      verbs: expect.arrayContaining(["list", "watch", "patch"]),
      subresources: expect.arrayContaining(["scale", "status"]),
    });
    expect(await client.servedKind({ group: "", kind: "Namespace" })).toMatchObject({
      plural: "namespaces",
      namespaced: false,
    });
    expect((await client.servedKind({ group: "autoscaling", kind: "HorizontalPodAutoscaler" })).version).toBe("v2");
    const old = { group: "autoscaling", kind: "HorizontalPodAutoscaler", version: "v1" };
    expect((await client.servedKind(old)).version).toBe("v1");
  });

  it("says what is not there, and what is instead", async () => {
    await expect(client.servedKind({ group: "example.com", kind: "Nothing" })).rejects.toMatchObject({
      code: "KUBE_NOT_SERVED",
      message: "the server does not know Nothing of example.com",
    });
    await expect(client.servedKind({ group: "apps", kind: "Deployment", version: "v9" })).rejects.toMatchObject({
      message: "the server does not know Deployment of apps in version v9, but v1",
    });
  });

  it("reads every kind that the product needs from its own table as the server has it", async () => {
    // Not a part of every cluster; the server tells of them as of its own.
    await installGatewayApi(client);
    await installFeatureFlags(client);
    // A kind is served before discovery tells of it.
    const isTold = async (): Promise<boolean> =>
      (await client.servedKinds()).some(({ kind }) => kind === RESOURCES.FeatureFlag.kind);
    await eventually("discovery tells of FeatureFlags", isTold, 30_000);
    const kinds = await client.servedKinds();
    for (const type of Object.values(RESOURCES)) {
      const { group, version, kind, plural, namespaced } = type;
      expect(kinds).toContainEqual(expect.objectContaining({ group, version, kind, plural, namespaced }));
    }
  });
});

describe("pods", () => {
  const ref = (name: string) => ({ namespace, name });
  const pod = (name: string, labels: Record<string, string> = {}): KubeObject => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels },
    spec: { containers: [{ name: "c", image: "none" }] },
  });
  const run = (name: string) => {
    const conditions = [{ type: "Ready", status: "True" }];
    const patch = { status: { phase: "Running", conditions } };
    return client.patch(Pod, ref(name), { format: "merge", patch, subresource: "status" });
  };

  it("are evicted", async () => {
    const { metadata } = await client.create(Pod, pod("evicted"));
    await client.evict(ref("evicted"), { uid: metadata.uid, dryRun: true });
    expect(await client.find(Pod, ref("evicted"))).toBeDefined();
    await client.evict(ref("evicted"), { uid: metadata.uid, gracePeriodSeconds: 0 });
    expect(await client.find(Pod, ref("evicted"))).toBeUndefined();
    await expect(client.evict(ref("evicted"))).rejects.toMatchObject({ code: "KUBE_NOT_FOUND" });
  });

  it("are kept by a disruption budget; that slows nothing else down", async () => {
    const labels = { app: "kept" };
    await client.create(Pod, pod("kept", labels));
    await run("kept");
    await client.create(PodDisruptionBudget, {
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      metadata: { name: "kept", namespace },
      spec: { minAvailable: 1, selector: { matchLabels: labels } },
    });
    const startedAt = systemClock.monotonic();
    await expect(client.evict(ref("kept"))).rejects.toMatchObject({
      code: "KUBE_EVICTION_BLOCKED",
      retry: "after",
      retryAfterSeconds: 10,
    });
    await client.get(Pod, ref("kept"));
    expect(systemClock.monotonic() - startedAt).toBeLessThan(5_000);
  });

  it("that do not run yet have no log and take no program", async () => {
    await client.create(Pod, pod("waiting"));
    for await (const line of client.logs(ref("waiting"), { tailLines: 1 })) expect(line).toBe("no line");
    await expect(client.logs(ref("nowhere")).next()).rejects.toMatchObject({ code: "KUBE_NOT_FOUND" });
    await expect(client.exec(ref("waiting"), { command: ["true"] })).rejects.toMatchObject({ code: "KUBE_INVALID" });
    await expect(client.exec(ref("nowhere"), { command: ["true"] })).rejects.toMatchObject({ code: "KUBE_NOT_FOUND" });
  });
});

describe("lists", () => {
  it("stream: ten pages of objects in one request, without blocking the process, and then what happens", async () => {
    await createMany(5_000, { streamed: "all" });
    const labelSelector = "streamed=all";
    const reader = follow({ client, labelSelector });
    await eventually("the list is there", () => reader.held.size === 5_000);
    expect({ added: reader.added(), pages: reader.pages(), faults: reader.faults }).toEqual({
      added: 5_000,
      pages: 0,
      faults: [],
    });
    expect(reader.maxTurnMs()).toBeLessThan(200);
    await client.delete(ConfigMap, { namespace, name: "all-17" });
    await client.create(
      ConfigMap,
      configMap("late", { metadata: { name: "late", namespace, labels: { streamed: "all" } } }),
    );
    await eventually("the rest is told", () => reader.held.has("late") && !reader.held.has("all-17"));
    expect(reader.reflector.state().relists).toBe(0);
    await reader.stop();
  });

  it("come in pages from a server that does not stream, also after a restart, without losing a deletion", async () => {
    const old = await startControlPlane({ apiserverArguments: ["--feature-gates=WatchList=false"] });
    try {
      const own = old.client();
      const labels = { app: "x" };
      const make = (name: string) => own.create(ConfigMap, configMap(name, { metadata: { name, namespace, labels } }));
      for (const name of ["a", "b"]) await make(name);
      const reader = follow({ client: own, labelSelector: "app=x" });
      await eventually("listed", () => reader.held.size === 2);
      expect({ pages: reader.pages(), faults: reader.faults }).toEqual({ pages: 1, faults: [] });
      await old.kill();
      await eventually("away", () => reader.faults.length > 0);
      await old.start();
      await own.delete(ConfigMap, { namespace, name: "a" });
      await make("c");
      await eventually("caught up", () => reader.held.size === 2 && reader.held.has("c"), 60_000);
      await reader.stop();
    } finally {
      await old.stop();
    }
  });
});

describe("a server that was restored from a backup", () => {
  it("is believed, though a watch from the old version would be silent", async () => {
    const restored = await startControlPlane();
    const front = await startSwitch(controlPlane.server);
    try {
      const tls = { insecureSkipVerify: true };
      let token = controlPlane.token;
      const own = clientOf({
        server: `https://127.0.0.1:${front.port}`,
        namespace,
        credentials: async () => ({ headers: { authorization: `Bearer ${token}` }, tls }),
        forget: () => undefined,
      });
      const labels = { restored: "yes" };
      // A history that the other server does not catch up with by itself.
      await createMany(500, { history: "long" });
      await client.create(ConfigMap, configMap("lost", { metadata: { name: "lost", namespace, labels } }));
      const reader = follow({ client: own, labelSelector: "restored=yes" });
      await eventually("listed", () => reader.held.has("lost"));
      const backup = restored.client();
      const kept = configMap("kept-by-backup", { metadata: { name: "kept-by-backup", namespace, labels } });
      const { metadata } = await backup.create(ConfigMap, kept);
      expect(Number(metadata.resourceVersion)).toBeLessThan(Number(reader.held.get("lost")));
      front.refuse();
      await eventually("away", () => reader.faults.includes("failed"));
      token = restored.token;
      front.lead(restored.server);
      await eventually("the past is the truth", () => reader.held.has("kept-by-backup") && !reader.held.has("lost"));
      expect(reader.faults).toContain("rewound");
      await reader.stop();
      await own.close();
    } finally {
      await front.close();
      await restored.stop();
    }
  });
});

/** A port of loopback that leads to one server, to none, to another one. */
async function startSwitch(first: string) {
  let target: string | undefined = first;
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    return socket;
  };
  const server: Server = createServer((incoming) => {
    keep(incoming);
    if (target === undefined) return void incoming.destroy();
    const outgoing = keep(openTcp(Number(new URL(target).port), "127.0.0.1"));
    incoming.pipe(outgoing).pipe(incoming);
    incoming.on("close", () => outgoing.destroy());
    outgoing.on("close", () => incoming.destroy());
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    port: (server.address() as { port: number }).port,
    refuse: () => {
      target = undefined;
      for (const socket of sockets) socket.destroy();
    },
    lead: (to: string) => {
      target = to;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}
