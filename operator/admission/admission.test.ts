import { afterAll, beforeAll, describe } from "@jest/globals";
import { describeAdmission } from "./testing/admission-cases.ts";
import type { RunningCaller } from "./testing/caller.ts";
import { startFakeCaller } from "./testing/fake-caller.ts";

// Goal: the cases that a real API server passes, over a caller in this process: seconds instead of a control plane.

describe("webhooks of a caller in this process", () => {
  let caller: RunningCaller;
  beforeAll(async () => {
    caller = await startFakeCaller();
  });
  afterAll(() => caller.stop());
  describeAdmission(() => caller);
});
