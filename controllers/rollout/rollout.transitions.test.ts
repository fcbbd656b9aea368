import { describe, expect, test } from "@jest/globals";
import type { RolloutStatus } from "../../crds/rollout-status.ts";
import { type Transition, transitionsOf } from "./rollout.transitions.ts";

// What counts as having happened between two statuses, each thing once.

const retreat = { reason: "Harm", message: "m", outcome: "RolledBack", decidedAt: "2026-01-01T00:10:00.000Z" } as const;
const taken = { ...retreat, observedAt: "2026-01-01T00:10:01.500Z" };
const ended = {
  revision: "r2",
  outcome: "RolledBack",
  reason: "Harm",
  message: "m",
  startedAt: "2026-01-01T00:00:00.000Z",
  endedAt: "2026-01-01T00:11:00.000Z",
} as const;
const first = { ...ended, revision: "r1", outcome: "Promoted", startedAt: "2025-12-31T00:00:00.000Z" } as const;

const status = (given: Partial<RolloutStatus>): RolloutStatus => ({ phase: "Idle", ...given }) as RolloutStatus;

const decided = (at: string): Transition => ({ type: "retreat", at, outcome: "RolledBack", reason: "Harm" });
const DECIDED = decided(retreat.decidedAt);
const takenBack = (at: string, seconds: number): Transition => ({
  type: "taken-back",
  at,
  outcome: "RolledBack",
  seconds,
});
const TAKEN = takenBack(taken.observedAt, 1.5);
const ENDED: Transition = { type: "ended", at: ended.endedAt, outcome: "RolledBack", seconds: 660, release: ended };

const BEGAN = "2026-01-01T00:00:00.000Z";
const LATER = "2026-01-01T00:05:00.000Z";
const canary = { colour: "Green", revision: "r2", since: BEGAN } as const;
const releasing = { canary, releaseStartedAt: BEGAN };
const onStage = (stage: number, given: Partial<RolloutStatus> = {}) =>
  status({
    ...releasing,
    phase: "Canary",
    stage,
    stageBps: [500, 5_000, 10_000][stage] ?? 0,
    phaseSince: BEGAN,
    ...given,
  });
const PASSED: Transition = { type: "stage-passed", at: LATER, stage: 0, isAsked: false };
const request = { id: "a", action: "Skip", message: "skipped", at: LATER } as const;
const approval = { reason: "Approval", since: LATER } as const;

describe("what happened", () => {
  test.each<{ name: string; before: RolloutStatus | undefined; after: RolloutStatus | undefined; want: Transition[] }>([
    { name: "nothing was told yet", before: undefined, after: undefined, want: [] },
    {
      name: "a release begins",
      before: status({}),
      after: status({ ...releasing, phase: "Preparing" }),
      want: [{ type: "started", at: BEGAN }],
    },
    {
      name: "the first one of all begins",
      before: undefined,
      after: status({ ...releasing, phase: "Preparing" }),
      want: [{ type: "started", at: BEGAN }],
    },
    {
      name: "pods are ready",
      before: status({ ...releasing, phase: "Preparing" }),
      after: onStage(0),
      want: [],
    },
    { name: "a stage is passed", before: onStage(0), after: onStage(1, { phaseSince: LATER }), want: [PASSED] },
    {
      name: "the last stage is passed",
      before: onStage(2),
      after: status({ ...releasing, phase: "Baking", phaseSince: LATER }),
      want: [{ ...PASSED, stage: 2 }],
    },
    {
      name: "a stage is skipped",
      before: onStage(0),
      after: onStage(1, { phaseSince: LATER, lastRequest: { ...request, result: "Done" } }),
      want: [{ ...PASSED, isAsked: true }],
    },
    {
      name: "a stage is passed while something is refused",
      before: onStage(0),
      after: onStage(1, { phaseSince: LATER, lastRequest: { ...request, result: "Refused" } }),
      want: [PASSED],
    },
    { name: "somebody jumps back", before: onStage(2), after: onStage(1, { phaseSince: LATER }), want: [] },
    {
      name: "the same weight is another stage of a ladder that was edited",
      before: onStage(0),
      after: onStage(2, { stageBps: 500, phaseSince: LATER }),
      want: [],
    },
    {
      name: "another release stands further up",
      before: onStage(0),
      after: onStage(1, { releaseStartedAt: LATER, phaseSince: LATER }),
      want: [{ type: "started", at: LATER }],
    },
    {
      name: "a stage waits for approval",
      before: onStage(0),
      after: onStage(0, { pause: approval }),
      want: [{ type: "paused", at: LATER, reason: "Approval" }],
    },
    {
      name: "somebody approves",
      before: onStage(0, { pause: approval }),
      after: onStage(1, { phaseSince: LATER, lastRequest: { ...request, action: "Promote", result: "Done" } }),
      want: [
        { type: "resumed", since: LATER },
        { ...PASSED, isAsked: true },
      ],
    },
    {
      name: "somebody holds it",
      before: onStage(0),
      after: onStage(0, { heldSince: LATER }),
      want: [{ type: "paused", at: LATER, reason: "Held" }],
    },
    {
      name: "nobody holds it any more",
      before: onStage(0, { heldSince: LATER }),
      after: onStage(0),
      want: [{ type: "resumed", since: LATER }],
    },
    {
      name: "what waits goes back",
      before: onStage(0, { pause: approval }),
      after: status({ ...releasing, phase: "RollingBack", retreat }),
      want: [DECIDED],
    },
    { name: "a retreat is decided", before: status({}), after: status({ retreat }), want: [DECIDED] },
    { name: "the retreat goes on", before: status({ retreat }), after: status({ retreat }), want: [] },
    { name: "weight 0 is taken", before: status({ retreat }), after: status({ retreat: taken }), want: [TAKEN] },
    { name: "both at once", before: status({}), after: status({ retreat: taken }), want: [DECIDED, TAKEN] },
    {
      name: "another retreat",
      before: status({ retreat: taken }),
      after: status({ retreat: { ...retreat, decidedAt: "2026-01-02T00:00:00.000Z" } }),
      want: [decided("2026-01-02T00:00:00.000Z")],
    },
    {
      name: "the release ends",
      before: status({ retreat: taken, releases: [first] }),
      after: status({ releases: [ended, first] }),
      want: [ENDED],
    },
    {
      name: "the first release ends",
      before: status({}),
      after: status({ releases: [ended] }),
      want: [ENDED],
    },
    {
      name: "the list is full",
      before: status({ releases: [ended, first] }),
      after: status({ releases: [ended] }),
      want: [],
    },
    {
      name: "the clock of a new leader is behind",
      before: status({ retreat }),
      after: status({ retreat: { ...retreat, observedAt: "2026-01-01T00:09:00.000Z" } }),
      want: [takenBack("2026-01-01T00:09:00.000Z", 0)],
    },
    { name: "the status is lost", before: status({ retreat, releases: [first] }), after: undefined, want: [] },
  ])("$name", ({ before, after, want }) => {
    expect(transitionsOf(before, after)).toEqual(want);
    expect(transitionsOf(after, after)).toEqual([]);
  });
});
