import { describe } from "@jest/globals";
import { startRealCaller } from "./testing/real-caller.ts";
import { describeRotation } from "./testing/rotation-cases.ts";

// Goal: a kube-apiserver under load never fails an admission or a conversion while certificates and CAs change.

describe("rotation under the load of a kube-apiserver", () => {
  describeRotation(startRealCaller, {
    users: 6,
    authorities: 3,
    settleMs: 1_500,
    shortLives: {
      // A third of a certificate's life is what a busy machine may stand still.
      authority: { validityMs: 24_000, backdateMs: 2_000 },
      certificate: { validityMs: 14_000, backdateMs: 2_000 },
      settleMs: 1_500,
    },
  });
});
