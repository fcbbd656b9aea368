// Goal: whatever state a controller finds, kstatus (Flux, Argo CD, helm --wait) reads one answer out of the three conditions.
import { expect, test } from "@jest/globals";
import { OperatorError } from "../../lib/core/errors.ts";
import { combined } from "./failures.ts";
import { announceReady, failureState, isTold, type ResourceState, stuck, summaryOf, working } from "./summary.ts";
import type { Condition, Statement } from "./types.ts";

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

test.each<[string, Error | undefined, ResourceState<string> | undefined]>([
  ["none", undefined, undefined],
  ["a conflict", new OperatorError("KUBE_CONFLICT", "changed"), undefined],
  ["a loss of the Lease", new OperatorError("LEASE_LOST", "gone"), undefined],
  ["a taken name", new OperatorError("NAME_CONFLICT", "not ours"), stuck("NameConflict", "not ours")],
  ["a refused object", new OperatorError("KUBE_INVALID", "no"), stuck("ReconcileFailed", "KUBE_INVALID: no")],
  [
    "trial 5a: a quota",
    new OperatorError("KUBE_FORBIDDEN", 'pods "bank-0-0" is forbidden: failed quota: limits: must specify limits.cpu'),
    stuck(
      "ReconcileFailed",
      'KUBE_FORBIDDEN: pods "bank-0-0" is forbidden: failed quota: limits: must specify limits.cpu',
    ),
  ],
  [
    "a missing right, which may be on its way,",
    new OperatorError("KUBE_FORBIDDEN", 'pods is forbidden: User "x" cannot create resource "pods"'),
    working("ReconcileFailed", 'KUBE_FORBIDDEN: pods is forbidden: User "x" cannot create resource "pods"'),
  ],
  ["an outage", new OperatorError("KUBE_FAILED", "500"), working("ReconcileFailed", "KUBE_FAILED: 500")],
  [
    "a bug",
    new TypeError("words"),
    working("ReconcileFailed", "INTERNAL: an unexpected error; the operator's log has it"),
  ],
])("%s leaves the resource where people can read it", (_name, error, state) => {
  expect(failureState(error)).toEqual(state);
});

test("failures of several steps are told together; those that nobody needs to hear of are not", () => {
  const of = (...codes: ConstructorParameters<typeof OperatorError>[0][]) =>
    failureState(combined(codes.map((code) => new OperatorError(code, "x"))));
  expect(of("KUBE_CONFLICT", "LEASE_LOST")).toBeUndefined();
  expect(of("KUBE_CONFLICT", "KUBE_FAILED")).toEqual(working("ReconcileFailed", "KUBE_FAILED: x"));
  expect(of("KUBE_FAILED", "NAME_CONFLICT")).toEqual(stuck("NameConflict", "2 steps failed: KUBE_FAILED: x; x"));
  expect(of(...Array.from({ length: 7 }, () => "KUBE_FAILED" as const))?.ready.message).toMatch(/^7 .*; and 2 more$/);
});

const condition = (says: Statement): Condition[] => [
  { type: "Ready", observedGeneration: 1, lastTransitionTime: "2025-01-01T00:00:00Z", ...says },
];

test("an event is told for a new status or reason of Ready, once", () => {
  const summary = summaryOf(working("Provisioning", "1 of 3"), { paused: false });
  const note = { type: "event", eventType: "Normal", reason: "Provisioning", note: "1 of 3" };
  expect(announceReady(undefined, summary)).toMatchObject([note]);
  expect(announceReady(condition(ready.ready), summary)).toMatchObject([note]);
  const told = condition({ ...summary.ready, message: "0 of 3" });
  expect(announceReady(told, summary)).toEqual([]);
  expect(announceReady(told, summary, "message")).toMatchObject([note]);
  expect(announceReady(undefined, summary, "none")).toEqual([]);
  expect(isTold(told, "Available", { says: summary.ready })).toBe(false);
});

test.each([
  ["somebody must act", stuck("VolumeLost", "x"), "Warning"],
  ["a step failed", working("ReconcileFailed", "x"), "Warning"],
  ["all goes its way", working("Provisioning", "x"), "Normal"],
])("the event is a warning when it should be: %s", (_name, state, eventType) => {
  expect(announceReady([], summaryOf<string>(state, { paused: false }))).toMatchObject([{ eventType }]);
});
