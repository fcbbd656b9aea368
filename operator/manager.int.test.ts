import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import { systemClock } from "../lib/core/clock.ts";
import { createKubeClient } from "../lib/kube/client.ts";
import { createTransport } from "../lib/kube/transport.ts";
import { RESOURCES, type ResourceType } from "../lib/kube/types.ts";
import { silentLogger } from "../lib/node/logger.ts";
import { createMetrics } from "../lib/node/metrics.ts";
import { startRealAcceptance } from "../testkit/acceptance/server.ts";
import { startControlPlane, type TestControlPlane } from "../testkit/kube-apiserver.ts";
import { waitForKind } from "../testkit/kube-contract.ts";
import { renewals } from "../testkit/lease-renewals.ts";
import { describeManagerContract } from "../testkit/manager-contract.ts";
import { eventually } from "../testkit/wait.ts";
import { WIDGET, WIDGET_CRD, widget } from "../testkit/widget.ts";
import { createWidgetOperator } from "../testkit/widget-operator.ts";
import { createManager, LEASE_NAME, type ManagerOptions } from "./manager.ts";
import type { Controller } from "./runtime/types.ts";

let controlPlane: TestControlPlane;
beforeAll(async () => {
  controlPlane = await startControlPlane();
  const client = controlPlane.client();
  await client.create(RESOURCES.CustomResourceDefinition, WIDGET_CRD);
  await waitForKind(client, WIDGET);
});
afterAll(() => controlPlane.stop());

describeManagerContract(() => startRealAcceptance(controlPlane, "manager"));

function start(identity: string, change: Partial<ManagerOptions> = {}) {
  const abort = new AbortController();
  const client = createKubeClient({
    transport: createTransport(controlPlane.endpoint()),
    namespace: "default",
    userAgent: "shieldx/test",
    clock: systemClock,
    random: () => 0.5,
  });
  const manager = createManager({
    client,
    controllers: [],
    namespace: "kube-system",
    identity,
    watchNamespaces: [],
    port: 0,
    metrics: createMetrics(),
    clock: systemClock,
    random: () => 0.5,
    log: silentLogger,
    lease: { durationSeconds: 3, renewSeconds: 2, retrySeconds: 0.2 },
    ...change,
  });
  const exited = manager.run(abort.signal).finally(() => client.close());
  stops.push(async () => {
    abort.abort();
    await exited;
  });
  return { manager, abort, exited };
}

/** What a test that fails leaves running must not stand in the way of the others, as an older installation does. */
const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()));
  // Whatever namespace it is in, a Lease that nobody has given back is a live installation to the next test.
  const user = controlPlane.client();
  for (const { metadata } of (await user.list(RESOURCES.Lease, { fieldSelector: `metadata.name=${LEASE_NAME}` })).items)
    await user.delete(RESOURCES.Lease, { namespace: metadata.namespace, name: LEASE_NAME });
});

/** The epoch that the Lease says. */
async function transitions(): Promise<number> {
  const lease = await controlPlane.client().get(RESOURCES.Lease, { namespace: "kube-system", name: LEASE_NAME });
  return lease.spec?.leaseTransitions ?? 0;
}

describe("a partition from the API server", () => {
  it("ends the leader by its own clock; the next one takes over under a higher epoch", async () => {
    const first = start("a");
    await eventually("the first leads", () => first.manager.isLeader());
    const epoch = await transitions();
    controlPlane.pause();
    const pausedAt = systemClock.monotonic();
    const exited = await first.exited.finally(() => controlPlane.resume());
    expect(exited).toBe(1);
    // The right ends 2 s after its last renewal; half a second of a busy machine on top.
    expect(systemClock.monotonic() - pausedAt).toBeLessThan(2_500);
    const second = start("b");
    await eventually("the second leads", () => second.manager.isLeader());
    const lease = await controlPlane.client().get(RESOURCES.Lease, { namespace: "kube-system", name: LEASE_NAME });
    expect(lease.spec).toMatchObject({ holderIdentity: "b", leaseTransitions: epoch + 1 });
    second.abort.abort();
    expect(await second.exited).toBe(0);
  });
});

describe("a stop while the API server is frozen", () => {
  it.each([
    ["standing by for work", undefined],
    ["in a reconcile that does not end", 1_000],
  ])(
    "ends in time: %s",
    async (_name, graceMs) => {
      let running = false;
      const held = Promise.withResolvers<undefined>();
      const controller = createWidgetOperator({
        before: () => {
          running = true;
          return graceMs === undefined ? undefined : held.promise;
        },
      });
      // A Lease that lasts for the stop, so that not its loss ends the process.
      const lease = { durationSeconds: 10, renewSeconds: 8, retrySeconds: 0.2 };
      const name = `frozen-${String(graceMs)}`;
      const user = controlPlane.client();
      await user.create(WIDGET, widget(name));
      const namespace = "default";
      const { manager, abort, exited } = start(name, {
        namespace,
        lease,
        controllers: [controller],
        ...(graceMs === undefined ? {} : { graceMs }),
      });
      await eventually("it leads and works", () => manager.isLeader() && running);
      controlPlane.pause();
      try {
        const pausedAt = systemClock.monotonic();
        abort.abort();
        // One that left a reconcile behind says so.
        expect(await exited).toBe(graceMs === undefined ? 0 : 1);
        // Reconciles (graceMs), the Lease (at most 9 s), caches and probes; terminationGracePeriodSeconds is 60.
        expect(systemClock.monotonic() - pausedAt).toBeLessThan((graceMs ?? 0) + 15_000);
      } finally {
        controlPlane.resume();
        held.resolve(undefined);
      }
      await user.delete(WIDGET, { namespace: "default", name });
    },
    60_000,
  );
});

describe("the Lease of the operator, edited by hand", () => {
  const ref = { namespace: "kube-system", name: LEASE_NAME };
  const merge = (patch: unknown) =>
    controlPlane.client().patch(RESOURCES.Lease, ref, { format: "merge", patch: patch });

  it.each<[string, () => Promise<unknown>]>([
    ["deleted", () => controlPlane.client().delete(RESOURCES.Lease, ref)],
    ["emptied", () => merge({ spec: null })],
    ["without annotations", () => merge({ metadata: { annotations: null } })],
    ["held by a ghost", () => merge({ spec: { holderIdentity: "ghost" } })],
    ["lasting 1 s", () => merge({ spec: { leaseDurationSeconds: 1 } })],
  ])(
    "%s: never two leaders, and one again without a hand",
    async (_name, tamper) => {
      const pods = ["pod-a", "pod-b"].map((identity) => keptAlive(identity));
      const leaders = () => pods.filter((pod) => pod.isLeader()).length;
      await eventually("one leads", () => leaders() === 1);
      // A candidate that lost the first race has looked again by then: what nobody has seen, nobody can hold against a Lease.
      await renewals(controlPlane.client(), ref, 3);
      await tamper();
      const endsAt = systemClock.monotonic() + 1_500;
      await eventually(
        "one leads, also after what was changed is noticed",
        () => {
          if (leaders() > 1) throw new Error("two replicas lead at once");
          return leaders() === 1 && systemClock.monotonic() > endsAt;
        },
        90_000,
      );
      const { spec } = await controlPlane.client().get(RESOURCES.Lease, ref);
      expect(spec).toMatchObject({ holderIdentity: expect.stringMatching(/^pod-[ab]$/), leaseDurationSeconds: 3 });
    },
    120_000,
  );
});

/** A pod: whenever its process ends, the next one has the same identity. */
function keptAlive(identity: string) {
  let current = start(identity);
  let isStopped = false;
  const running = (async () => {
    for (;;) {
      await current.exited;
      if (isStopped) return;
      current = start(identity);
    }
  })();
  stops.push(async () => {
    isStopped = true;
    current.abort.abort();
    await running;
  });
  return { isLeader: () => current.manager.isLeader() };
}

describe("a kind that the server does not have yet", () => {
  it("holds up the controller of that kind alone, which begins by itself once the kind is there", async () => {
    const gadget = { ...WIDGET, kind: "Gadget", plural: "gadgets" };
    const runs: string[] = [];
    const controllerOf = (resource: ResourceType): Controller => ({
      name: resource.plural,
      resource,
      watches: [],
      concurrency: 1,
      reconcile: async ({ name }) => {
        runs.push(`${resource.kind} ${name}`);
        return {};
      },
    });
    const user = controlPlane.client();
    await user.create(WIDGET, widget("early"));
    const { manager, abort, exited } = start("a", {
      controllers: [controllerOf(gadget), controllerOf(WIDGET)],
      namespace: "default",
    });
    await eventually("the other one works", () => runs.includes("Widget early"));
    expect(manager.isLeader()).toBe(true);
    expect(manager.ready()).toEqual({
      ok: false,
      reasons: [
        "gadgets.test.shieldx.dev: cannot be listed: KUBE_NOT_FOUND GET /apis/test.shieldx.dev/v1/gadgets: 404 page not found",
      ],
    });
    const names = { kind: gadget.kind, plural: gadget.plural, singular: "gadget", listKind: "GadgetList" };
    const spec = { ...(WIDGET_CRD["spec"] as object), names };
    const definition = { ...WIDGET_CRD, metadata: { name: "gadgets.test.shieldx.dev" }, spec };
    await user.create(RESOURCES.CustomResourceDefinition, definition);
    await waitForKind(user, gadget);
    await user.create(gadget, { ...widget("late"), kind: gadget.kind });
    // The list is tried again up to 45 s after the last time; after a second or two of failures much sooner.
    await eventually("it begins", () => runs.includes("Gadget late"), 60_000);
    await eventually("ready", () => manager.ready().ok);
    abort.abort();
    expect(await exited).toBe(0);
  }, 90_000);
});
