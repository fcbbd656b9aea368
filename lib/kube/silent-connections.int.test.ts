import { startFaultProxy } from "../../testkit/fault-proxy.ts";
import { startControlPlane } from "../../testkit/kube-apiserver.ts";
import { systemClock } from "../core/clock.ts";
import { prng } from "../core/prng.ts";
import { createKubeClient } from "./client.ts";
import { silentConnectionCases } from "./testing/silent-connections.ts";
import { createTransport } from "./transport.ts";

silentConnectionCases(async () => {
  const controlPlane = await startControlPlane();
  const proxy = await startFaultProxy(controlPlane);
  const client = createKubeClient({
    transport: createTransport(proxy.endpoint()),
    namespace: "default",
    userAgent: "shieldx/test",
    clock: systemClock,
    random: prng(1),
  });
  return {
    target: proxy,
    client,
    stop: async () => {
      await client.close();
      await proxy.close();
      await controlPlane.stop();
    },
  };
});
