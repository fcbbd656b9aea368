// Goal: whatever state a controller finds, kstatus (Flux, Argo CD, helm --wait) reads one answer out of the three conditions.
import { expect, test } from "@jest/globals";
import { type ResourceState, stuck, summaryOf, working } from "./summary.ts";

const ready: ResourceState<"Ready"> = {
  kind: "ready",
  ready: { status: "True", reason: "Ready", message: "3 of 3" },
};

test("at rest only Ready is true", () => {
  const rest = { status: "False", reason: "Converged", message: "" };
  expect(summaryOf(ready, { paused: false })).toEqual({ ready: ready.ready, reconciling: rest, stalled: rest });
});

test("on the way Reconciling says why Ready is false", () => {
  expect(summaryOf(working("Provisioning", "1 of 3"), { paused: false })).toEqual({
    ready: { status: "False", reason: "Provisioning", message: "1 of 3" },
    reconciling: { status: "True", reason: "Provisioning", message: "1 of 3" },
    stalled: { status: "False", reason: "Provisioning", message: "" },
  });
});

test("stuck, Stalled says what somebody must change", () => {
  expect(summaryOf(stuck("NameConflict", "rename it"), { paused: false })).toEqual({
    ready: { status: "False", reason: "NameConflict", message: "rename it" },
    reconciling: { status: "False", reason: "NameConflict", message: "" },
    stalled: { status: "True", reason: "NameConflict", message: "rename it" },
  });
});

test("paused, Ready stays and nothing is promised", () => {
  const paused = { status: "False", reason: "Paused", message: "annotation shieldx.dev/paused is true" };
  expect(summaryOf(ready, { paused: true })).toEqual({ ready: ready.ready, reconciling: paused, stalled: paused });
});
