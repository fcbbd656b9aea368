import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { systemClock } from "../../lib/core/clock.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { createMetrics } from "../../lib/node/metrics.ts";
import { freePort } from "../../lib/node/testing/free-port.ts";
import { startControlPlane, type TestControlPlane } from "../../testkit/kube-apiserver.ts";
import { waitForKind } from "../../testkit/kube-contract.ts";
import { eventually } from "../../testkit/wait.ts";
import { createManager } from "../manager.ts";
import { createOwnCertificates } from "./own-certificates.ts";
import { createWebhookServer } from "./server.ts";
import { SECRET } from "./testing/caller.ts";
import {
  GADGET_CRD_NAME,
  GADGET_V1,
  GADGET_V2,
  GADGET_WEBHOOKS,
  type Gadget,
  gadget,
  gadgetCrd,
} from "./testing/gadget.ts";

// Goal: an operator that watches a version which only its own webhook can make of what is stored. Its memory cannot be
// filled before its server answers, so the server must not wait for the memory.

let plane: TestControlPlane;
beforeAll(async () => {
  plane = await startControlPlane();
});
afterAll(() => plane.stop());

describe("a manager whose own webhook converts what it watches", () => {
  it("fills its memory, from a start without any certificate", async () => {
    const user = plane.client();
    const port = await freePort();
    await user.create(RESOURCES.CustomResourceDefinition, gadgetCrd({ url: `https://127.0.0.1:${port}` }));
    await waitForKind(user, GADGET_V2);
    await user.create(GADGET_V2, gadget("stored-before"));

    const client = plane.client();
    const common = { client, clock: systemClock, random: () => 0.5, log: silentLogger, metrics: createMetrics() };
    const seen: Gadget[] = [];
    const manager = createManager({
      ...common,
      controllers: [
        {
          name: "gadget",
          resource: GADGET_V1,
          watches: [],
          concurrency: 1,
          reconcile: async ({ namespace, name }, { cache }) => {
            const found = cache.get(GADGET_V1, namespace, name);
            if (found !== undefined) seen.push(found);
            return {};
          },
        },
      ],
      runnables: [
        createWebhookServer({
          ...common,
          webhooks: GADGET_WEBHOOKS,
          certificates: (onRead) =>
            createOwnCertificates({
              ...common,
              secret: SECRET,
              targets: [{ role: "conversion", name: GADGET_CRD_NAME }],
              names: { dnsNames: [], ipAddresses: ["127.0.0.1"] },
              onRead,
            }),
          port,
          host: "127.0.0.1",
          drainMs: 0,
        }),
      ],
      namespace: "default",
      identity: "a",
      watchNamespaces: [],
      port: 0,
    });
    const abort = new AbortController();
    const exited = manager.run(abort.signal);
    try {
      await eventually("it reconciles", () => seen.length > 0);
      expect(seen[0]).toMatchObject({ apiVersion: "test.shieldx.dev/v1", spec: { size: "3x4" } });
      await user.create(GADGET_V2, gadget("made-later", { width: 1, height: 2 }));
      await eventually("it hears of another", () => seen.some(({ metadata }) => metadata.name === "made-later"));
    } finally {
      abort.abort();
    }
    expect(await exited).toBe(0);
  });
});
