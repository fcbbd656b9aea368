import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { systemClock } from "../lib/core/clock.ts";
import { createKubeClient } from "../lib/kube/client.ts";
import { createTransport } from "../lib/kube/transport.ts";
import { RESOURCES } from "../lib/kube/types.ts";
import { silentLogger } from "../lib/node/logger.ts";
import { createMetrics } from "../lib/node/metrics.ts";
import { startRealAcceptance } from "../testkit/acceptance/server.ts";
import { startControlPlane, type TestControlPlane } from "../testkit/kube-apiserver.ts";
import { waitForKind } from "../testkit/kube-contract.ts";
import { describeManagerContract } from "../testkit/manager-contract.ts";
import { eventually } from "../testkit/wait.ts";
import { WIDGET, WIDGET_CRD } from "../testkit/widget.ts";
import { createManager, LEASE_NAME } from "./manager.ts";

let controlPlane: TestControlPlane;
beforeAll(async () => {
  controlPlane = await startControlPlane();
  const client = controlPlane.client();
  await client.create(RESOURCES.CustomResourceDefinition, WIDGET_CRD);
  await waitForKind(client, WIDGET);
});
afterAll(() => controlPlane.stop());

describeManagerContract(() => startRealAcceptance(controlPlane, "manager"));

describe("a partition from the API server", () => {
  it("ends the leader by its own clock; the next one takes over under a higher epoch", async () => {
    const start = (identity: string) => {
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
      });
      return { manager, abort, exited: manager.run(abort.signal).finally(() => client.close()) };
    };
    const first = start("a");
    await eventually("the first leads", () => first.manager.isLeader());
    controlPlane.pause();
    const pausedAt = systemClock.monotonic();
    const exited = await first.exited.finally(() => controlPlane.resume());
    expect(exited).toBe(1);
    // The right ends 2 s after its last renewal; half a second of a busy machine on top.
    expect(systemClock.monotonic() - pausedAt).toBeLessThan(2_500);
    const second = start("b");
    await eventually("the second leads", () => second.manager.isLeader());
    const lease = await controlPlane.client().get(RESOURCES.Lease, { namespace: "kube-system", name: LEASE_NAME });
    expect(lease.spec).toMatchObject({ holderIdentity: "b", leaseTransitions: 2 });
    second.abort.abort();
    expect(await second.exited).toBe(0);
  });
});
