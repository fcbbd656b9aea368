import { afterAll, beforeAll } from "@jest/globals";
import { systemClock } from "../lib/core/clock.ts";
import { createKubeClient } from "../lib/kube/client.ts";
import { createTransport } from "../lib/kube/transport.ts";
import { RESOURCES } from "../lib/kube/types.ts";
import { startControlPlane, type TestControlPlane } from "./testing/kube-apiserver.ts";
import { waitForKind } from "./testing/kube-contract.ts";
import { describeManagerContract } from "./testing/manager-contract.ts";
import { WIDGET, WIDGET_CRD } from "./testing/widget.ts";

let controlPlane: TestControlPlane;
beforeAll(async () => {
  controlPlane = await startControlPlane();
  const client = controlPlane.client();
  await client.create(RESOURCES.CustomResourceDefinition, WIDGET_CRD);
  await waitForKind(client, WIDGET);
});
afterAll(() => controlPlane.stop());

describeManagerContract(
  async () => ({
    clock: systemClock,
    client: (onRequest) =>
      createKubeClient({
        transport: createTransport(controlPlane.endpoint()),
        namespace: "default",
        userAgent: "shieldx/test",
        clock: systemClock,
        random: () => 0.5,
        onRequest,
      }),
  }),
  async () => undefined,
);
