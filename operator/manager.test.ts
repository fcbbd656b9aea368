import { describe, expect, it } from "@jest/globals";
import { systemClock } from "../lib/core/clock.ts";
import { silentLogger } from "../lib/node/logger.ts";
import { createMetrics } from "../lib/node/metrics.ts";
import { startFakeAcceptance } from "../testkit/acceptance/server.ts";
import { startFakeKube } from "../testkit/fake-kube.ts";
import { describeManagerContract } from "../testkit/manager-contract.ts";
import { createManager } from "./manager.ts";

describeManagerContract(startFakeAcceptance);

describe("a start that cannot succeed", () => {
  it("ends with 1 when the port is taken", async () => {
    const server = await startFakeKube();
    const port = Number(new URL(server.server).port);
    const manager = createManager({
      client: server.client(),
      controllers: [],
      namespace: "default",
      identity: "a",
      watchNamespaces: [],
      port,
      metrics: createMetrics(),
      clock: systemClock,
      random: () => 0.5,
      log: silentLogger,
    });
    // The fake listens on 127.0.0.1 and the probes on all addresses: the port is taken on Linux either way.
    expect(await manager.run(new AbortController().signal)).toBe(1);
    await server.close();
  });
});
