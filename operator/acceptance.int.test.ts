import { afterAll, beforeAll } from "@jest/globals";
import { RESOURCES } from "../lib/kube/types.ts";
import type { AcceptanceSuite } from "./testing/acceptance/items.ts";
import { describeLeadershipItems } from "./testing/acceptance/leadership.ts";
import { describeMemoryItems } from "./testing/acceptance/memory.ts";
import { describeQueueItems } from "./testing/acceptance/queue.ts";
import { describeResourceItems } from "./testing/acceptance/resource.ts";
import { describeRestItems } from "./testing/acceptance/rest.ts";
import { startRealAcceptance } from "./testing/acceptance/server.ts";
import { describeStopItems } from "./testing/acceptance/stop.ts";
import { startControlPlane, type TestControlPlane } from "./testing/kube-apiserver.ts";
import { waitForKind } from "./testing/kube-contract.ts";
import { WIDGET, WIDGET_CRD } from "./testing/widget.ts";

let plane: TestControlPlane;
let namespaces = 0;
beforeAll(async () => {
  plane = await startControlPlane();
  const client = plane.client();
  await client.create(RESOURCES.CustomResourceDefinition, WIDGET_CRD);
  await waitForKind(client, WIDGET);
});
afterAll(() => plane.stop());

const suite: AcceptanceSuite = {
  start: () => startRealAcceptance(plane, `acceptance-${(namespaces += 1)}`),
  covered: new Set(),
};
describeQueueItems(suite);
describeMemoryItems(suite);
describeRestItems(suite);
describeLeadershipItems(suite);
describeStopItems(suite);
describeResourceItems(suite);
