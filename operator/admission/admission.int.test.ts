import { afterAll, beforeAll, describe } from "@jest/globals";
import { describeAdmission } from "./testing/admission-cases.ts";
import type { RunningCaller } from "./testing/caller.ts";
import { startRealCaller } from "./testing/real-caller.ts";

// Goal: a real API server asks our webhooks and does what they say.

describe("webhooks of a kube-apiserver", () => {
  let caller: RunningCaller;
  beforeAll(async () => {
    caller = await startRealCaller();
  });
  afterAll(() => caller.stop());
  describeAdmission(() => caller);
});
