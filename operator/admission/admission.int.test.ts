import { afterAll, beforeAll, describe, it } from "@jest/globals";
import { eventually } from "../../testkit/wait.ts";
import { describeAdmission } from "./testing/admission-cases.ts";
import type { RunningCaller } from "./testing/caller.ts";
import { foreignAuthority } from "./testing/certificates.ts";
import { gadget } from "./testing/gadget.ts";
import { injectTrust, readTargets } from "./testing/gadget-server.ts";
import { startRealCaller } from "./testing/real-caller.ts";

// Goal: a real API server asks our webhooks and does what they say.

describe("webhooks of a kube-apiserver", () => {
  let caller: RunningCaller;
  beforeAll(async () => {
    caller = await startRealCaller();
  });
  afterAll(() => caller.stop());
  describeAdmission(() => caller);

  it("are trusted again soon after somebody overwrote every bundle", async () => {
    const { certPem } = await foreignAuthority();
    await injectTrust(caller.kube, certPem);
    await eventually("the bundles are ours again", async () =>
      (await readTargets(caller.kube)).every(({ bundles }) => bundles.every((held) => !held.includes(certPem.trim()))),
    );
    await eventually("objects are judged", () =>
      caller.create(gadget("after")).then(
        () => true,
        () => false,
      ),
    );
    await caller.remove("after");
  });
});
