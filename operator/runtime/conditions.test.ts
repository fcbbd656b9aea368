import { describe, expect, it } from "@jest/globals";
import { widget } from "../../testkit/widget.ts";
import { conditionsOf, findCondition, MESSAGE_LENGTH_MAX, mergeConditions, setCondition } from "./conditions.ts";
import type { Condition } from "./types.ts";

// Goal: lastTransitionTime moves with the status and with nothing else.

const EARLIER = "2025-01-01T00:00:00Z";
const NOW = Date.parse("2025-06-01T12:00:00.789Z");

const condition = (overrides: Partial<Condition> = {}): Condition => ({
  type: "Ready",
  status: "False",
  reason: "Waiting",
  message: "1 of 3",
  observedGeneration: 1,
  lastTransitionTime: EARLIER,
  ...overrides,
});

describe("setCondition", () => {
  it.each([
    { name: "a new message", change: { message: "2 of 3" }, time: EARLIER },
    { name: "a new reason", change: { reason: "Starting" }, time: EARLIER },
    { name: "a new generation", change: { observedGeneration: 2 }, time: EARLIER },
    { name: "a new status", change: { status: "True" as const }, time: "2025-06-01T12:00:00Z" },
  ])("$name", ({ change, time }) => {
    const wanted = { ...condition(), ...change };
    expect(setCondition([condition()], wanted, NOW)).toEqual([{ ...wanted, lastTransitionTime: time }]);
  });

  it("adds a type that is new and leaves the others", () => {
    const other = condition({ type: "Stalled" });
    expect(setCondition([other], condition(), NOW)).toEqual([
      other,
      { ...condition(), lastTransitionTime: "2025-06-01T12:00:00Z" },
    ]);
  });
});

describe("mergeConditions", () => {
  it("states exactly the given types in their order, each with its own time", () => {
    const previous = [condition({ type: "Gone" }), condition()];
    const { lastTransitionTime: _time, ...ready } = condition();
    const stalled = { ...ready, type: "Stalled" };
    expect(mergeConditions(previous, [stalled, ready], NOW)).toEqual([
      { ...stalled, lastTransitionTime: "2025-06-01T12:00:00Z" },
      { ...ready, lastTransitionTime: EARLIER },
    ]);
    expect(mergeConditions(undefined, [], NOW)).toEqual([]);
  });

  it("cuts a message at the API's limit, so that the status is never refused for it", () => {
    const next = {
      type: "Ready",
      status: "False",
      reason: "Many",
      message: "x".repeat(40_000),
      observedGeneration: 1,
    } as const;
    const message = mergeConditions([], [next], 0)[0]?.message ?? "";
    expect(message).toHaveLength(MESSAGE_LENGTH_MAX);
    expect(message.endsWith("x…")).toBe(true);
  });
});

describe("findCondition", () => {
  it("finds by type", () => {
    expect(findCondition([condition()], "Ready")).toEqual(condition());
    expect(findCondition(undefined, "Ready")).toBeUndefined();
  });
});

describe("conditionsOf", () => {
  it("states them for the generation that was looked at, with the times of those that stay", () => {
    const object = { ...widget("w", {}, { generation: 4 }), status: { conditions: [condition()] } };
    const { status, reason, message } = condition();
    const conditions = conditionsOf(
      object,
      { Ready: { status, reason, message }, Stalled: { status: "False", reason: "Converged", message: "" } },
      NOW,
    );
    expect(conditions).toMatchObject([
      { type: "Ready", observedGeneration: 4, lastTransitionTime: EARLIER },
      { type: "Stalled", observedGeneration: 4, lastTransitionTime: "2025-06-01T12:00:00Z" },
    ]);
  });
});
