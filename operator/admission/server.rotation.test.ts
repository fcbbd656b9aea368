import { describe } from "@jest/globals";
import { startFakeCaller } from "./testing/fake-caller.ts";
import { describeRotation } from "./testing/rotation-cases.ts";

// Goal: a caller that keeps connections alive and sends nothing twice never notices that certificates change.

describe("rotation under the load of a caller in this process", () => {
  describeRotation(startFakeCaller, { users: 8, authorities: 3, settleMs: 100 });
});
