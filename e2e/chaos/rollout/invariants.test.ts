import { describe, expect, it } from "@jest/globals";
import { type EndedRelease, type Outcome, type Phase, type RolloutStatus } from "../../../crds/rollout-status.ts";
import { findBreaches, type Ladder } from "./invariants.ts";
import { type Sight, type Weights } from "./sights.ts";

// Goal: the judge of a chaos run can tell a wrong step from every right one. A judge that never finds anything would let each
// run pass.

const LADDER: Ladder = { name: "shop", stages: [1_000, 5_000, 10_000], holdbackBps: 500 };
const START = "2026-01-01T00:00:00.000Z";
const LATER = "2026-01-02T00:00:00.000Z";
const STABLE = { colour: "Blue", revision: "a", since: START } as const;
const CANARY = { colour: "Green", revision: "b", since: START } as const;
const IDLE: RolloutStatus = { observedGeneration: 1, phase: "Idle", stable: STABLE };
const UNDER_WAY: RolloutStatus = { ...IDLE, canary: CANARY, releaseStartedAt: START, phase: "Preparing" };
const outcome = (how: Outcome): EndedRelease => ({
  revision: "b",
  outcome: how,
  reason: how,
  message: "",
  startedAt: START,
  endedAt: START,
});

/** A version of Rollout or route; its revision is its place in the list. */
type Told = (revision: number) => Sight;

const says =
  (status: RolloutStatus): Told =>
  (revision) => ({ kind: "rollout", revision, at: revision, status });
const routes =
  (weights: Weights, takenBack?: string): Told =>
  (revision) => ({ kind: "route", revision, at: revision, weights, takenBack });
const share = (green: number, takenBack?: string): Told =>
  routes({ "shop-blue": 10_000 - green, "shop-green": green }, takenBack);
const sightsOf = (told: readonly Told[]): Sight[] => told.map((what, index) => what(index + 1));

const at = (phase: Phase, stage?: number): Told =>
  says({ ...UNDER_WAY, phase, ...(stage === undefined ? {} : { stage }) });
const NEXT: RolloutStatus = { ...UNDER_WAY, releaseStartedAt: LATER, releases: [outcome("Aborted")] };
const GOOD: readonly Told[] = [
  says(IDLE),
  share(0),
  at("Preparing"),
  at("Verifying"),
  at("Canary", 0),
  share(1_000),
  at("Canary", 1),
  share(5_000),
  at("Canary", 2),
  share(9_500),
  at("Baking"),
  at("Switching"),
  share(10_000),
  says({ ...IDLE, phase: "Retiring", stable: CANARY, releases: [outcome("Promoted")] }),
  says({ ...IDLE, stable: CANARY, releases: [outcome("Promoted")] }),
];
const BACK: readonly Told[] = [
  ...GOOD.slice(0, 8),
  share(0, START),
  at("RollingBack"),
  says({ ...IDLE, releases: [outcome("Aborted")] }),
];

describe("nothing is found in", () => {
  const cases: readonly { name: string; told: readonly Told[]; foreign?: readonly number[] }[] = [
    { name: "a whole ladder", told: GOOD },
    { name: "a release that goes back", told: BACK },
    { name: "a share that is lost with the pods, and comes back", told: [...GOOD.slice(0, 8), share(0), share(5_000)] },
    {
      name: "weights that somebody else has written",
      told: [...GOOD.slice(0, 8), share(9_000), share(5_000)],
      foreign: [9],
    },
    { name: "another release after one that was taken back", told: [...BACK, says(NEXT)] },
  ];
  it.each(cases)("$name", ({ told, foreign = [] }) => {
    expect(findBreaches(sightsOf(told), { ladder: LADDER, foreign: new Set(foreign) })).toEqual([]);
  });
});

describe("it is found that", () => {
  const cases: readonly { name: string; told: readonly Told[]; found: string }[] = [
    {
      name: "a share comes before its step",
      told: [...GOOD.slice(0, 4), share(1_000)],
      found: "phase Verifying allows 0",
    },
    {
      name: "a share is above its stage",
      told: [...GOOD.slice(0, 6), share(5_000)],
      found: "phase Canary allows 1000",
    },
    { name: "a share is none of the ladder", told: [...GOOD.slice(0, 7), share(3_000)], found: "the canary has 3000" },
    {
      name: "requests are left over",
      told: [says(IDLE), routes({ "shop-blue": 5_000, "shop-green": 0 })],
      found: "not all requests",
    },
    {
      name: "a share rises after the route says that it goes back",
      told: [...GOOD.slice(0, 8), share(0, START), share(5_000, START)],
      found: "a release that goes back rose from 0 to 5000",
    },
    {
      name: "a share rises after the status says so",
      told: [...GOOD.slice(0, 6), at("RollingBack"), share(5_000)],
      found: "a release that goes back rose from 1000 to 5000",
    },
    {
      name: "a release that goes back goes on",
      told: [...BACK.slice(0, 10), at("Canary", 1)],
      found: "a release that goes back is in phase Canary",
    },
    {
      name: "a stage is left out",
      told: [...GOOD.slice(0, 6), at("Canary", 2)],
      found: "stage 0 was followed by stage 2",
    },
    {
      name: "a stage comes again",
      told: [...GOOD.slice(0, 8), at("Canary", 0)],
      found: "stage 1 was followed by stage 0",
    },
    {
      name: "a phase comes again",
      told: [...GOOD.slice(0, 8), at("Verifying")],
      found: "phase Canary was followed by Verifying",
    },
    {
      name: "another revision takes the place of the one under way",
      told: [
        ...GOOD.slice(0, 6),
        says({ ...UNDER_WAY, phase: "Canary", stage: 0, canary: { ...CANARY, revision: "c" } }),
      ],
      found: "the revision of a release changed",
    },
    {
      name: "another release begins beside it",
      told: [...GOOD.slice(0, 6), says({ ...UNDER_WAY, releaseStartedAt: LATER })],
      found: "a release began while another one was under way",
    },
    { name: "a release is forgotten", told: [...GOOD.slice(0, 6), says(IDLE)], found: "vanished without an outcome" },
    {
      name: "a release ends twice",
      told: [...BACK, says({ ...IDLE, releases: [outcome("Promoted"), outcome("Aborted")] })],
      found: "ended twice",
    },
  ];
  it.each(cases)("$name", ({ told, found }) => {
    const breaches = findBreaches(sightsOf(told), { ladder: LADDER, foreign: new Set() });
    expect(breaches.join("; ")).toContain(found);
  });
});

it("what came before a revision is not told again", () => {
  const sights = sightsOf([...GOOD.slice(0, 4), share(1_000), at("Canary", 0)]);
  expect(findBreaches(sights, { ladder: LADDER, foreign: new Set() }, 5)).toEqual([]);
});
