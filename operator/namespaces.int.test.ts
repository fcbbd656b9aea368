import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { createKubeClient, type KubeClient } from "../lib/kube/client.ts";
import { createTransport } from "../lib/kube/transport.ts";
import { RESOURCES } from "../lib/kube/types.ts";
import { silentLogger } from "../lib/node/logger.ts";
import { createMetrics } from "../lib/node/metrics.ts";
import { startControlPlane, type TestControlPlane } from "../testkit/kube-apiserver.ts";
import { waitForKind } from "../testkit/kube-contract.ts";
import { renewals } from "../testkit/lease-renewals.ts";
import { makeNamespace } from "../testkit/namespaces.ts";
import { createScaledClock } from "../testkit/scaled-clock.ts";
import { eventually } from "../testkit/wait.ts";
import { WIDGET, WIDGET_CRD, widget } from "../testkit/widget.ts";
import { createWidgetOperator } from "../testkit/widget-operator.ts";
import { createManager, LEASE_NAME } from "./manager.ts";

// Goal: an operator of a few namespaces, with Roles alone, outlives the end of one of them, and a name that is none yet.

const SYSTEM = "operator";
const RBAC = "rbac.authorization.k8s.io";
/** What was refused is tried again after up to 45 s of the operator. */
const SPEED = 5;
const RENEWALS = 10;
/**
 * In the time of so many renewals: them, a look for other installations every 2.5 of them, and a few attempts of each kind in
 * each namespace that is refused. A busy loop would make hundreds.
 */
const REQUESTS_MAX = 60;

let plane: TestControlPlane;
let user: KubeClient;
let token: string;
beforeAll(async () => {
  plane = await startControlPlane();
  user = plane.client();
  await user.create(RESOURCES.CustomResourceDefinition, WIDGET_CRD);
  await waitForKind(user, WIDGET);
  await makeNamespace(user, SYSTEM);
  await user.create(RESOURCES.ServiceAccount, {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "controller", namespace: SYSTEM },
  });
  const kubectl = join(import.meta.dirname, "../.build/bin/kubectl");
  const ask = ["--kubeconfig", plane.kubeconfig, "create", "token", "controller", "--namespace", SYSTEM];
  token = (await promisify(execFile)(kubectl, ask)).stdout.trim();
  await grant(SYSTEM);
}, 120_000);
afterAll(() => plane.stop());

/** What the chart makes in a watched namespace. */
async function grant(namespace: string): Promise<void> {
  const metadata = { name: "controller", namespace };
  const verbs = ["get", "list", "watch", "create", "update", "patch", "delete"];
  const rule = (apiGroups: string[], resources: string[]) => ({ apiGroups, resources, verbs });
  await user.create(RESOURCES.Role, {
    apiVersion: `${RBAC}/v1`,
    kind: "Role",
    metadata,
    rules: [
      rule(["test.shieldx.dev"], ["widgets", "widgets/status"]),
      rule([""], ["configmaps"]),
      rule(["coordination.k8s.io"], ["leases"]),
      rule(["events.k8s.io"], ["events"]),
    ],
  });
  await user.create(RESOURCES.RoleBinding, {
    apiVersion: `${RBAC}/v1`,
    kind: "RoleBinding",
    metadata,
    roleRef: { apiGroup: RBAC, kind: "Role", name: "controller" },
    subjects: [{ kind: "ServiceAccount", name: "controller", namespace: SYSTEM }],
  });
}

/** What becomes of the rights in a namespace that goes: nobody here deletes the namespace itself. */
async function withdraw(namespace: string): Promise<void> {
  await user.delete(RESOURCES.RoleBinding, { namespace, name: "controller" });
  await user.delete(RESOURCES.Role, { namespace, name: "controller" });
}

function start(watchNamespaces: readonly string[]) {
  const abort = new AbortController();
  const credentials = { headers: { authorization: `Bearer ${token}` }, tls: { ca: plane.ca } };
  const clock = createScaledClock(SPEED);
  let requests = 0;
  const client = createKubeClient({
    transport: createTransport({ ...plane.endpoint(SYSTEM), credentials: () => Promise.resolve(credentials) }),
    namespace: SYSTEM,
    userAgent: "shieldx/test",
    clock,
    random: () => 0.5,
    onRequest: () => (requests += 1),
  });
  const manager = createManager({
    client,
    controllers: [createWidgetOperator()],
    namespace: SYSTEM,
    identity: "a",
    watchNamespaces,
    port: "none",
    metrics: createMetrics(),
    clock,
    random: () => 0.5,
    log: silentLogger,
    // On the machine's clock the product's, but for the pace of renewals.
    lease: { durationSeconds: 15 * SPEED, renewSeconds: 10 * SPEED, retrySeconds: 0.25 * SPEED },
  });
  const exited = manager.run(abort.signal).finally(() => client.close());
  return { manager, requests: () => requests, stop: () => (abort.abort(), exited) };
}

const isServed = async (namespace: string, name: string): Promise<boolean> =>
  (await user.find(RESOURCES.ConfigMap, { namespace, name })) !== undefined;

const notServed = (namespace: string) =>
  expect.stringContaining(`namespace ${namespace} is not served`) as unknown as string;

describe("an operator of a few namespaces", () => {
  it("goes on without one that went, also after a restart, and serves it again with its Role", async () => {
    for (const namespace of ["stays", "goes"]) {
      await makeNamespace(user, namespace);
      await grant(namespace);
      await user.create(WIDGET, widget("first", { size: 1 }, { namespace }));
    }
    const first = start(["stays", "goes", "later"]);
    for (const namespace of ["stays", "goes"]) {
      await eventually("served", () => isServed(namespace, "first"), 30_000);
    }
    expect(first.manager.ready()).toEqual({ ok: true, reasons: ["leading", notServed("later")] });

    await withdraw("goes");
    // Ends the watches that are open; the next ones are refused.
    await plane.restart();
    // A server that starts may refuse everybody for a moment, until it has read its rules: such a namespace comes back.
    await eventually(
      "noticed",
      () => {
        const { ok, reasons = [] } = first.manager.ready();
        const missing = reasons.filter((reason) => reason.includes("is not served"));
        return ok && missing.length === 2 && ["goes", "later"].every((name, at) => missing[at]?.includes(` ${name} `));
      },
      90_000,
    );
    await user.create(WIDGET, widget("second", { size: 1 }, { namespace: "stays" }));
    // Its watches come back at the pace of their attempts while the server was away.
    await eventually("the other one goes on", () => isServed("stays", "second"), 60_000);
    const before = first.requests();
    await renewals(user, { namespace: SYSTEM, name: LEASE_NAME }, RENEWALS);
    expect(first.requests() - before).toBeLessThan(REQUESTS_MAX);
    expect(await first.stop()).toBe(0);

    const again = start(["stays", "goes", "later"]);
    await user.create(WIDGET, widget("third", { size: 1 }, { namespace: "stays" }));
    await eventually("served by the next process", () => isServed("stays", "third"), 30_000);
    await user.create(WIDGET, widget("second", { size: 1 }, { namespace: "goes" }));
    await makeNamespace(user, "later");
    await user.create(WIDGET, widget("first", { size: 1 }, { namespace: "later" }));
    await grant("goes");
    await grant("later");
    await eventually("served again", () => isServed("goes", "second"), 60_000);
    await eventually("served at last", () => isServed("later", "first"), 60_000);
    // What was silent for two minutes of the operator is heard of with the server's next bookmark, once a minute.
    const isAll = (): boolean => again.manager.ready().ok && again.manager.ready().reasons?.length === 1;
    await eventually("nothing is missing", isAll, 90_000);
    expect(again.manager.ready()).toEqual({ ok: true, reasons: ["leading"] });
    expect(await again.stop()).toBe(0);
  }, 240_000);
});
