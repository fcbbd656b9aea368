import { expect, test } from "@jest/globals";
import type { RolloutDisruption } from "../../crds/rollout-disruption.ts";
import { budgetOf } from "./rollout.disruption.ts";

// Of 10 pods that serve all.
test.each<[string, RolloutDisruption, number, RolloutDisruption]>([
  ["what serves has what was asked for", { minAvailable: 10 }, 10, { minAvailable: 10 }],
  ["so has a new version of all its pods", { minAvailable: "100%" }, 10, { minAvailable: "100%" }],
  ["a small one that may lose some, too", { minAvailable: "50%" }, 4, { minAvailable: "50%" }],
  ["and one that is counted by what may be missing", { maxUnavailable: 0 }, 1, { maxUnavailable: 0 }],
  ["one pod of a small version may go", { minAvailable: 8 }, 2, { maxUnavailable: 1 }],
  ["also where the share is rounded up to all of it", { minAvailable: "50%" }, 1, { maxUnavailable: 1 }],
])("%s", (_name, disruption, pods, budget) => {
  expect(budgetOf(disruption, { pods, whole: 10 })).toEqual(budget);
});
