import { type AcceptanceSuite } from "./items.ts";
import { describeLeadershipItems } from "./leadership.ts";
import { describeMemoryItems } from "./memory.ts";
import { describeQueueItems } from "./queue.ts";
import { describeResourceItems } from "./resource.ts";
import { describeRestItems } from "./rest.ts";
import { describeStopItems } from "./stop.ts";

/** Every item that is tested through the manager; the webhooks of item 13 have a server of their own. */
export function describeManagerItems(suite: AcceptanceSuite): void {
  describeQueueItems(suite);
  describeMemoryItems(suite);
  describeRestItems(suite);
  describeLeadershipItems(suite);
  describeStopItems(suite);
  describeResourceItems(suite);
}
