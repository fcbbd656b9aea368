import type { AcceptanceSuite } from "./testing/acceptance/items.ts";
import { describeLeadershipItems } from "./testing/acceptance/leadership.ts";
import { describeMemoryItems } from "./testing/acceptance/memory.ts";
import { describeQueueItems } from "./testing/acceptance/queue.ts";
import { describeResourceItems } from "./testing/acceptance/resource.ts";
import { describeRestItems } from "./testing/acceptance/rest.ts";
import { startFakeAcceptance } from "./testing/acceptance/server.ts";
import { describeStopItems } from "./testing/acceptance/stop.ts";

const suite: AcceptanceSuite = { start: startFakeAcceptance, covered: new Set() };
describeQueueItems(suite);
describeMemoryItems(suite);
describeRestItems(suite);
describeLeadershipItems(suite);
describeStopItems(suite);
describeResourceItems(suite);
