import { describe } from "@jest/globals";
import { systemClock } from "../lib/core/clock.ts";
import { createKubeClient } from "../lib/kube/client.ts";
import { createTransport } from "../lib/kube/transport.ts";
import { RESOURCES } from "../lib/kube/types.ts";
import type { ContractServer } from "./contract/server.ts";
import { startFaultProxy } from "./fault-proxy.ts";
import { type ControlPlaneOptions, startControlPlane } from "./kube-apiserver.ts";
import {
  describeFaultContract,
  describeGarbageContract,
  describeGoneContract,
  describeKubeContract,
  waitForKind,
} from "./kube-contract.ts";
import { definitionOf, WIDGET, WIDGET_CRD } from "./widget.ts";

// The yardstick: a real etcd and kube-apiserver, seen directly and through the fault proxy.
async function start(options: ControlPlaneOptions = {}): Promise<ContractServer> {
  const plane = await startControlPlane(options);
  const client = plane.client();
  await client.create(RESOURCES.CustomResourceDefinition, WIDGET_CRD);
  await waitForKind(client, WIDGET);
  const target = await startFaultProxy(plane);
  return {
    client: () => client,
    target,
    faultyClient: () =>
      createKubeClient({
        transport: createTransport(target.endpoint()),
        namespace: "default",
        userAgent: "shieldx/test",
        clock: systemClock,
        random: () => 0.5,
      }),
    define: async (type) => {
      await client.create(RESOURCES.CustomResourceDefinition, definitionOf(type));
      await waitForKind(client, type);
    },
    undefine: async ({ plural, group }) =>
      void (await client.delete(RESOURCES.CustomResourceDefinition, { name: `${plural}.${group}` })),
    forgetVersions: async () => {
      await plane.compact();
      // Its window of versions begins anew with the present one.
      await plane.restart();
    },
    stop: async () => {
      await target.close();
      await plane.stop();
    },
  };
}

describe("kube-apiserver", () => describeKubeContract(() => start()));
describe("kube-apiserver after compaction", () => describeGoneContract(() => start()));
describe("kube-apiserver behind the fault proxy", () => describeFaultContract(() => start()));
describe("kube-apiserver with a garbage collector", () => {
  describeGarbageContract(() => start({ garbageCollector: true }));
});
