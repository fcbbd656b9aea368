import { describe, expect, test } from "@jest/globals";
import { OperatorError } from "../../lib/core/errors.ts";
import { widget } from "../../testkit/widget.ts";
import type { WithConditions } from "./conditions.ts";
import { type Report, type Run, type Told, tellFailure, tellReport } from "./report.ts";
import { ready, stuck, working } from "./summary.ts";
import type { Condition, Statement } from "./types.ts";

// Goal: from what a kind reports to one status that kstatus can read, and to events that say each thing once.

const NOW = Date.parse("2025-06-01T12:00:00Z");
const NOW_TEXT = "2025-06-01T12:00:00Z";
const EARLIER = "2025-01-01T00:00:00Z";
const RUN: Run = { now: NOW, paused: false, error: undefined, asideError: undefined };

const says = (status: "True" | "False", reason: string, message: string): Statement => ({ status, reason, message });
const report = (changes: Partial<Report> = {}): Report => ({
  state: ready("3 of 3"),
  conditions: {},
  status: {},
  ...changes,
});

function object(before?: Readonly<Record<string, unknown>>): WithConditions {
  return { ...widget("w", {}, { generation: 2 }), ...(before === undefined ? {} : { status: before }) };
}

/** The object with the status that was told. */
const after = ({ status }: Told): WithConditions => object(status);

const conditionsIn = ({ status }: Told): readonly Condition[] => status["conditions"] as readonly Condition[];
const linesOf = (told: Told): string[] =>
  conditionsIn(told).map(({ type, status, reason }) => `${type} ${status} ${reason}`);
const notesOf = ({ events }: Told): string[] =>
  events.map((action) =>
    action.type === "event" ? `${action.eventType} ${action.reason}: ${action.note}` : action.type,
  );

describe("the status", () => {
  const conditions = { Zeta: says("True", "Zeta", "z"), Alpha: says("False", "Alpha", "a") };

  test("has the three conditions of every kind, then the kind's in its own order", () => {
    expect(linesOf(tellReport(object(), report({ conditions }), RUN))).toEqual([
      "Ready True Ready",
      "Reconciling False Converged",
      "Stalled False Converged",
      "Zeta True Zeta",
      "Alpha False Alpha",
    ]);
  });

  test("has that order also when another was told before, and loses what is stated no more", () => {
    const before = tellReport(
      object(),
      report({ conditions: { Alpha: conditions.Alpha, Gone: conditions.Zeta } }),
      RUN,
    );
    expect(linesOf(tellReport(after(before), report({ conditions }), RUN)).slice(3)).toEqual([
      "Zeta True Zeta",
      "Alpha False Alpha",
    ]);
  });

  test("is for the generation that was looked at, with the times of the last changes", () => {
    const earlier = { ...RUN, now: Date.parse(EARLIER) };
    const before = tellReport(object(), report({ state: working("Waiting", "1 of 3") }), earlier);
    const told = tellReport(after(before), report(), RUN);
    expect(told.status["observedGeneration"]).toBe(2);
    expect(conditionsIn(told).map(({ observedGeneration }) => observedGeneration)).toEqual([2, 2, 2]);
    expect(conditionsIn(told).map(({ lastTransitionTime }) => lastTransitionTime)).toEqual([
      NOW_TEXT,
      NOW_TEXT,
      EARLIER,
    ]);
  });

  test("has the kind's members, and none that is undefined", () => {
    const { status } = tellReport(object({ gone: 1 }), report({ status: { size: 3, map: undefined } }), RUN);
    expect(Object.keys(status)).toEqual(["observedGeneration", "conditions", "size"]);
  });

  test.each([
    ["a failure that only another input mends", "KUBE_INVALID", "Stalled True ReconcileFailed"],
    ["a failure that may pass", "KUBE_FAILED", "Reconciling True ReconcileFailed"],
    ["a taken name", "NAME_CONFLICT", "Stalled True NameConflict"],
  ] as const)("after %s says so, whatever the kind found", (_name, code, want) => {
    const told = tellReport(object(), report({ conditions }), { ...RUN, error: new OperatorError(code, "injected") });
    expect(linesOf(told)).toContain(want);
    expect(linesOf(told)[0]).toMatch(/^Ready False/);
    expect(linesOf(told).slice(3)).toEqual(["Zeta True Zeta", "Alpha False Alpha"]);
  });

  test("after a conflict says what the kind found", () => {
    const error = new OperatorError("KUBE_CONFLICT", "injected");
    expect(linesOf(tellReport(object(), report(), { ...RUN, error }))[0]).toBe("Ready True Ready");
  });

  test("of a paused resource keeps what the kind found, and promises nothing", () => {
    expect(linesOf(tellReport(object(), report({ conditions }), { ...RUN, paused: true }))).toEqual([
      "Ready True Ready",
      "Reconciling False Paused",
      "Stalled False Paused",
      "Zeta True Zeta",
      "Alpha False Alpha",
    ]);
  });
});

describe("events", () => {
  const told = (state: Report["state"], before?: Told): string[] =>
    notesOf(tellReport(before === undefined ? object() : after(before), report({ state }), RUN));

  test("tell a new reason of Ready, and not another message of it", () => {
    const first = tellReport(object(), report({ state: working("Waiting", "1 of 3") }), RUN);
    expect(notesOf(first)).toEqual(["Normal Waiting: 1 of 3"]);
    expect(told(working("Waiting", "2 of 3"), first)).toEqual([]);
    expect(told(ready("3 of 3"), first)).toEqual(["Normal Ready: 3 of 3"]);
  });

  test("tell each message of a state whose message is the news", () => {
    const waiting = (message: string): Report["state"] => ({
      ...stuck("DeletionBlocked", message),
      news: "message",
    });
    const first = tellReport(object(), report({ state: waiting("waits for a, b") }), RUN);
    expect(told(waiting("waits for a, b"), first)).toEqual([]);
    expect(told(waiting("waits for b"), first)).toEqual(["Warning DeletionBlocked: waits for b"]);
  });

  test("tell a failure in place of the kind's state, once", () => {
    const run = { ...RUN, error: new OperatorError("KUBE_INVALID", "injected") };
    const first = tellReport(object(), report(), run);
    expect(notesOf(first)).toEqual(["Warning ReconcileFailed: KUBE_INVALID: injected"]);
    expect(notesOf(tellReport(after(first), report(), run))).toEqual([]);
  });

  describe("of warnings", () => {
    const warned = (message: string): Report =>
      report({ conditions: { Databases: says("False", "Invalid", message) }, warnings: ["Databases"] });

    test("come beside Ready, once for each message", () => {
      const first = tellReport(object(), warned("a is bad"), RUN);
      expect(notesOf(first)).toEqual(["Normal Ready: 3 of 3", "Warning Invalid: a is bad"]);
      expect(notesOf(tellReport(after(first), warned("a is bad"), RUN))).toEqual([]);
      expect(notesOf(tellReport(after(first), warned("a, b are bad"), RUN))).toEqual(["Warning Invalid: a, b are bad"]);
    });

    test("come again after it was good in between", () => {
      const first = tellReport(object(), warned("a is bad"), RUN);
      const good = tellReport(after(first), report({ conditions: { Databases: says("True", "Good", "") } }), RUN);
      expect(notesOf(good)).toEqual([]);
      expect(notesOf(tellReport(after(good), warned("a is bad"), RUN))).toEqual(["Warning Invalid: a is bad"]);
    });

    test("come for no condition that is not stated, and for none that did not ask", () => {
      const { warnings: _none, ...quiet } = warned("a is bad");
      expect(notesOf(tellReport(object(), quiet, RUN))).toEqual(["Normal Ready: 3 of 3"]);
      expect(notesOf(tellReport(object(), report({ warnings: ["Databases"] }), RUN))).toEqual(["Normal Ready: 3 of 3"]);
    });
  });
});

describe("a failure before there was anything to report", () => {
  const before = tellReport(
    object(),
    report({ conditions: { Served: says("True", "Served", "as ever") }, status: { size: 3 } }),
    { ...RUN, now: Date.parse(EARLIER) },
  );
  const failed = (error: Error, from: WithConditions = after(before), paused = false): Told | undefined =>
    tellFailure(from, error, { now: NOW, paused });

  test("changes the three conditions and leaves the rest as it was told", () => {
    const told = failed(new OperatorError("SHARD_MAP_INVALID", "injected")) as Told;
    expect(linesOf(told).map((line) => line.split(" ")[0])).toEqual(["Ready", "Reconciling", "Stalled", "Served"]);
    expect(told.status).toMatchObject({ size: 3, observedGeneration: 2 });
    expect(conditionsIn(told)[0]).toMatchObject({
      status: "False",
      reason: "ReconcileFailed",
      message: "SHARD_MAP_INVALID: injected",
      lastTransitionTime: NOW_TEXT,
    });
    expect(conditionsIn(told)[3]).toEqual(conditionsIn(before)[3]);
    expect(notesOf(told)).toEqual(["Warning ReconcileFailed: SHARD_MAP_INVALID: injected"]);
    expect(notesOf(failed(new OperatorError("SHARD_MAP_INVALID", "injected"), after(told)) as Told)).toEqual([]);
  });

  test("is the first thing that is told of a new resource", () => {
    const told = failed(new OperatorError("KUBE_FAILED", "injected"), object()) as Told;
    expect(linesOf(told)).toEqual([
      "Ready False ReconcileFailed",
      "Reconciling True ReconcileFailed",
      "Stalled False ReconcileFailed",
    ]);
  });

  test("of a paused resource promises nothing either", () => {
    const told = failed(new OperatorError("KUBE_INVALID", "injected"), object(), true) as Told;
    expect(linesOf(told).slice(1)).toEqual(["Reconciling False Paused", "Stalled False Paused"]);
  });

  test("that nobody needs to hear of is not told", () => {
    expect(failed(new OperatorError("KUBE_CONFLICT", "injected"))).toBeUndefined();
    expect(failed(new OperatorError("LEASE_LOST", "injected"))).toBeUndefined();
  });

  test("that nobody expected is told without its words", () => {
    const told = failed(new TypeError("secret words")) as Told;
    expect(JSON.stringify(told)).not.toContain("secret words");
  });
});
