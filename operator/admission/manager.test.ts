import { get } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { systemClock } from "../../lib/core/clock.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { createMetrics } from "../../lib/node/metrics.ts";
import { type FakeKube, startFakeKube } from "../../testkit/fake-kube.ts";
import { eventually } from "../../testkit/wait.ts";
import { createManager } from "../manager.ts";
import { createOwnCertificates } from "./own-certificates.ts";
import { createWebhookServer } from "./server.ts";
import { SECRET } from "./testing/caller.ts";
import { GADGET_WEBHOOKS } from "./testing/gadget.ts";

// Goal: the webhook server as a part of a manager: it decides about readiness, leads or not, and ends with it.

let kube: FakeKube;
beforeEach(async () => {
  kube = await startFakeKube();
});
afterEach(() => kube.close());

function start(identity: string, port = 0) {
  const client = kube.client();
  const metrics = createMetrics();
  const common = { clock: systemClock, log: silentLogger, metrics };
  const webhooks = createWebhookServer({
    ...common,
    webhooks: GADGET_WEBHOOKS,
    certificates: (onRead) =>
      createOwnCertificates({
        ...common,
        client,
        secret: SECRET,
        targets: [],
        names: { dnsNames: ["s.ns.svc"], ipAddresses: [] },
        random: () => 0.5,
        onRead,
      }),
    port,
    host: "127.0.0.1",
    drainMs: 0,
  });
  const manager = createManager({
    ...common,
    client,
    controllers: [],
    runnables: [webhooks],
    namespace: "default",
    identity,
    watchNamespaces: [],
    port: 0,
    random: () => 0.5,
  });
  const abort = new AbortController();
  const exited = manager.run(abort.signal);
  return {
    webhooks,
    manager,
    metrics,
    exited,
    stop: () => {
      abort.abort();
      return exited;
    },
  };
}

describe("a manager with webhooks", () => {
  it("is ready once there is a certificate, in the leader and in the standby, and both show the same one", async () => {
    // The Secret cannot be read for now: no certificate.
    const forget = kube.inject({ path: /\/secrets\//, times: Infinity, action: { type: "answer", status: 403 } });
    const one = start("a");
    await eventually("probes answer", () => one.manager.port());
    await eventually("it leads", () => one.manager.isLeader());
    const answer = await probe(one.manager.port() ?? 0);
    expect(answer).toMatchObject({ status: 503 });
    expect(answer.text).toContain("webhooks: no certificate yet");
    forget();
    await eventually("it is ready", async () => (await probe(one.manager.port() ?? 0)).status === 200);

    const two = start("b");
    await eventually("the standby is ready", () => two.manager.ready().ok && two.webhooks.fingerprint());
    expect(two.manager.isLeader()).toBe(false);
    expect(two.webhooks.fingerprint()).toBe(one.webhooks.fingerprint());
    const writes = kube.writes().filter(({ path }) => path.includes("/secrets"));
    expect(writes.filter(({ method }) => method !== "POST")).toEqual([]);
    expect(await kube.client().find(RESOURCES.Secret, SECRET)).toBeDefined();
    expect(await Promise.all([one.stop(), two.stop()])).toEqual([0, 0]);
  });

  it("ends with code 1 when the webhooks' port is taken", async () => {
    const one = start("a");
    const port = await eventually("it listens", () => one.webhooks.port());
    const two = start("b", port);
    expect(await two.exited).toBe(1);
    expect(await one.stop()).toBe(0);
  });
});

function probe(port: number): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    get({ host: "127.0.0.1", port, path: "/readyz", agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    }).on("error", reject);
  });
}
