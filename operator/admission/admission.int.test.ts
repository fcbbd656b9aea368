import { afterAll, beforeAll, describe } from "@jest/globals";
import { describeAdmission } from "./testing/admission-cases.ts";
import { type RealCaller, startRealCaller } from "./testing/real-caller.ts";

// Goal: a real API server asks our webhooks and does what they say. Certificates are of our own making.

let caller: RealCaller;
beforeAll(async () => {
  caller = await startRealCaller();
});
afterAll(() => caller.stop());

describe("the kube-apiserver", () => {
  describeAdmission(() => caller);
});
