import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { Agent, request } from "undici";
import { startControlPlane, type TestControlPlane } from "../../testkit/kube-apiserver.ts";
import { eventually } from "../../testkit/wait.ts";
import { systemClock } from "../core/clock.ts";
import { createCertificateAuthority, issueCertificate } from "../node/certificates.ts";
import { silentLogger } from "../node/logger.ts";
import { createKubeClient, type KubeClient } from "./client.ts";
import { createLeaseHolder, type LeaseHolder } from "./lease.ts";
import { createTransport, type TransportRequest } from "./transport.ts";
import { type KubeObject, type LeaseObject, RESOURCES, type ResourceType, resourceType } from "./types.ts";

// Goal: a write that the holder sent in time, and that a frozen API server carries out after the thaw, is over before the
// next holder begins. The order of etcd's revisions is the judge. A candidate that takes the silence of the server for
// the silence of the holder fails here each time: all late writes come after its acquisition.

const { ConfigMap } = RESOURCES;
const NAMESPACE = "default";
/** As many as the pool has connections, less two for the Lease: what waits in the pool never leaves at all. */
const WRITES = 14;
/** Nobody takes the Lease within a third of this after the thaw. */
const DURATION_SECONDS = 5;
/** What a late write still takes in the server after the thaw; a handshake and an acquisition take 20 ms. */
const ADMISSION_MS = 800;
/** Longer than the server may work on a fenced write. */
const SLOW_ADMISSION_MS = 7_000;

let plane: TestControlPlane;
let observer: KubeClient;
let webhook: Server;
/** Whose writes the webhook has let pass. */
const admitted = new Set<string>();
beforeAll(async () => {
  plane = await startControlPlane();
  observer = plane.client();
  webhook = await startSlowWebhook();
});
afterAll(async () => {
  webhook.close();
  await plane.stop();
});

/** An admission webhook that lets each update of a ConfigMap pass, after a while. */
async function startSlowWebhook(): Promise<Server> {
  const now = systemClock.now();
  const ca = await createCertificateAuthority("webhook", now);
  const pair = await issueCertificate(ca, { commonName: "webhook", usage: "server", ipAddresses: ["127.0.0.1"] }, now);
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const review = (await json(request)) as { request: { uid: string; object: { data: { by: string } } } };
    const { by } = review.request.object.data;
    await systemClock.sleep(by === "slow writer" ? SLOW_ADMISSION_MS : ADMISSION_MS);
    admitted.add(by);
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ ...review, response: { uid: review.request.uid, allowed: true } }));
  };
  const server = createServer({ cert: pair.certPem, key: pair.keyPem }, (request, response) => {
    void answer(request, response);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const configuration: ResourceType = resourceType(
    "admissionregistration.k8s.io/v1",
    ["ValidatingWebhookConfiguration", "validatingwebhookconfigurations"],
    false,
  );
  await observer.create(configuration, {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: configuration.kind,
    metadata: { name: "slow" },
    webhooks: [
      {
        name: "slow.test.shieldx.dev",
        clientConfig: {
          url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/`,
          caBundle: Buffer.from(ca.certPem).toString("base64"),
        },
        rules: [{ apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"], operations: ["UPDATE"] }],
        sideEffects: "None",
        admissionReviewVersions: ["v1"],
      },
    ],
  });
  return server;
}

/** One Lease with its holder, who has writes of its own. */
interface Scene {
  readonly name: string;
  /** Revision at which each epoch began. */
  readonly begun: Map<number, number>;
  readonly former: KubeClient;
  readonly holder: LeaseHolder;
}

const refOf = ({ name }: Pick<Scene, "name">, index: number) => ({ namespace: NAMESPACE, name: `${name}-${index}` });

async function makeObjects(name: string): Promise<void> {
  for (let index = 0; index < WRITES; index += 1) {
    await observer.create(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: refOf({ name }, index),
      data: { by: "nobody" },
    });
  }
}

/** A holder whose connections are open: with a frozen server a handshake would not get through. */
async function begin(name: string): Promise<Scene> {
  await makeObjects(name);
  const former = plane.client();
  const begun = new Map<number, number>();
  const holder = compete({ name, begun }, former, "a");
  void holder.run();
  await eventually("a holds", () => holder.isHeld());
  const scene = { name, begun, former, holder };
  await Promise.all(Array.from({ length: WRITES }, (_, index) => former.get(ConfigMap, refOf(scene, index))));
  return scene;
}

/** Takes part in the Lease, and notes the revision at which each epoch began. */
function compete({ name, begun }: Pick<Scene, "name" | "begun">, client: KubeClient, identity: string): LeaseHolder {
  return createLeaseHolder({
    client: {
      get: client.get,
      create: client.create,
      replace: async (type, object, how) => {
        const answer = await client.replace(type, object, how);
        const epoch = (answer as LeaseObject).spec?.leaseTransitions ?? 0;
        if (!begun.has(epoch)) begun.set(epoch, Number(answer.metadata.resourceVersion));
        return answer;
      },
    },
    namespace: NAMESPACE,
    name,
    identity,
    durationSeconds: DURATION_SECONDS,
    renewSeconds: 3,
    retrySeconds: 0.3,
    createIfMissing: true,
    clock: systemClock,
    random: () => 0.5,
    log: silentLogger,
  });
}

/**
 * The holder's writes, unread in the sockets of the server that is frozen. Nobody closes these: the server drops a request
 * whose connection is closed when it can, but a holder that is frozen too, or a proxy in between, closes nothing.
 * @returns what waits until all are over; there once the right has ended and the holder competes no more
 */
async function writeInVain(scene: Scene): Promise<() => Promise<unknown>> {
  const { former, holder } = scene;
  const patch = { data: { by: "former holder" } };
  const writes = Promise.allSettled(
    Array.from({ length: WRITES }, (_, index) =>
      former.patch(ConfigMap, refOf(scene, index), { format: "merge", patch }),
    ),
  );
  await eventually("the right has ended", () => !holder.isHeld());
  await holder.stop();
  return () => writes;
}

/** Late writes were carried out, all before the next epoch began. */
async function expectLateBeforeNext({ name, begun }: Scene): Promise<void> {
  const { items } = await observer.list<KubeObject & { data?: Record<string, string> }>(ConfigMap, {
    namespace: NAMESPACE,
  });
  const late = items
    .filter(({ metadata, data }) => metadata.name.startsWith(`${name}-`) && data?.["by"] === "former holder")
    .map(({ metadata }) => Number(metadata.resourceVersion));
  expect(late.length).toBeGreaterThan(0);
  expect(Math.max(...late)).toBeLessThan(begun.get(2) ?? 0);
}

describe("a write that a frozen API server carries out late", () => {
  // One freeze for both: it takes longer than all else.
  it("comes before the acquisition of another candidate, and of the same pod's next process", async () => {
    const other = await begin("other");
    const candidate = compete(other, plane.client(), "b");
    void candidate.run();
    await eventually("b has seen it", () => candidate.record()?.holderIdentity === "a");
    const same = await begin("same");
    plane.pause();
    const settled = await Promise.all([other, same].map(writeInVain));
    const again = compete(same, plane.client(), "a");
    void again.run();
    await systemClock.sleep(DURATION_SECONDS * 1000);
    const thawedAt = systemClock.monotonic();
    plane.resume();
    await eventually("b holds", () => candidate.isHeld());
    expect(systemClock.monotonic() - thawedAt).toBeLessThan((DURATION_SECONDS + 2) * 1000);
    await eventually("a holds again", () => again.isHeld());
    for (const all of settled) await all();
    for (const scene of [other, same]) await expectLateBeforeNext(scene);
    await candidate.stop();
    await again.stop();
  });

  it("is ended by the server itself 5 s after it was read, also when nobody closes its connection", async () => {
    const slow = { name: "slow" };
    await makeObjects(slow.name);
    const { headers, tls } = await plane.endpoint().credentials();
    let sent: TransportRequest | undefined;
    const client = createKubeClient({
      // What a fenced write asks for, as it leaves.
      transport: {
        ...createTransport(plane.endpoint()),
        send: (request) => ((sent = request), Promise.reject(new Error())),
      },
      namespace: NAMESPACE,
      userAgent: "shieldx/test",
      clock: systemClock,
      random: () => 0.5,
    });
    const patch = { data: { by: "slow writer" } };
    const how = { format: "merge", patch, fence: () => undefined, retries: 0 } as const;
    await expect(client.patch(ConfigMap, refOf(slow, 0), how)).rejects.toMatchObject({ code: "KUBE_UNREACHABLE" });

    // As ours: of a stream of HTTP/2 that the server resets behind its answer, the answer may be lost.
    const agent = new Agent({ allowH2: false, connect: { ca: tls.ca ?? "" } });
    const { path = "", method = "GET" } = sent ?? {};
    const answer = await request(`${plane.server}${path}`, {
      method,
      headers: { ...sent?.headers, ...headers },
      body: sent?.body ?? null,
      dispatcher: agent,
    });
    expect({ status: answer.statusCode, text: await answer.body.text() }).toEqual({
      status: 504,
      text: expect.stringContaining("did not complete within the allotted timeout"),
    });
    await eventually("admission would have let it pass", () => admitted.has("slow writer"));
    const { data } = await observer.get<KubeObject & { data?: Record<string, string> }>(ConfigMap, refOf(slow, 0));
    expect(data).toEqual({ by: "nobody" });
    await agent.close();
  });
});
