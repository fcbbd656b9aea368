import { describe, expect, it } from "@jest/globals";
import { advance } from "./rollout.phases.ts";
import type { Progress, ReleaseFacts } from "./rollout.progress.ts";
import { spec as specOf, verdict } from "./testing/builders.ts";
import { ago, factsOf, midway, NOW } from "./testing/facts.ts";

const PASS = { verdict: verdict("Pass", "HoldOver"), failure: undefined, unknownSince: undefined };
const HARM = { ...PASS, failure: verdict("Fail", "Harm") };
const { stages } = specOf();
const ladder = (...weights: number[]) => weights.map((weightBps) => ({ ...stages[0], weightBps }) as never);
const NOT_TAKEN = { ...factsOf().route, isAccepted: false };
const KEPT = { revision: "v2", startedAt: ago(100), outcome: "RolledBack", reason: "Harm", message: "m" } as const;
const idle = (given: Partial<Progress> = {}): Progress => {
  const { stable } = midway();
  return { phase: "Idle", ...(stable === undefined ? {} : { stable }), ...given };
};
const AT_REST = { ...factsOf().route, weights: { Blue: 10_000, Green: 0 } };
const back = (reason: string, given: Partial<NonNullable<Progress["retreat"]>> = {}): Progress => {
  const { verifiedAt: _, stage: __, ...rest } = midway();
  return {
    ...rest,
    phase: "RollingBack",
    retreat: { outcome: "RolledBack", reason, message: "m", decidedAt: ago(31), ...given },
  };
};
const lost = (given: Partial<Progress>): Progress => {
  const { verifiedAt: _, ...rest } = midway(given);
  return rest;
};

/** None of the canary's pods is ready. */
const without = (): ReleaseFacts => {
  const { colours } = factsOf();
  return factsOf({ colours: { ...colours, Green: { ...colours.Green, ready: 0 } } });
};

type Row = readonly [name: string, progress: Progress, facts: ReleaseFacts, next: Partial<Progress>];

describe("where nothing is left of the stable version", () => {
  const gone = factsOf({ isStableGone: true, route: AT_REST });

  it("what is wanted is a first version", () => {
    const next = advance(idle(), gone, NOW);
    expect(next).toMatchObject({ phase: "Preparing", canary: { colour: "Blue", revision: "v2" } });
    expect(next.stable).toBeUndefined();
  });

  it.each(["Preparing", "Canary", "Baking"] as const)("the canary in %s gets all requests", (phase) => {
    const next = advance(midway({ phase }), gone, NOW);
    expect(next).toMatchObject({ phase: "Switching", canary: { colour: "Green", revision: "v2" } });
    expect(next.stable).toBeUndefined();
  });

  it("a release that is held stays, and one that goes back goes on", () => {
    expect(advance(midway(), factsOf({ ...gone, spec: { paused: true } }), NOW).stable).toBeDefined();
    expect(advance(back("Harm"), gone, NOW).phase).toBe("RollingBack");
  });
});

describe("the next step", () => {
  it.each<Row>([
    ["a stage that passed", midway(), factsOf({ judged: PASS }), { phase: "Canary", stage: 1, stageBps: 10_000 }],
    ["a stage without a verdict", midway(), factsOf(), { phase: "Canary", stage: 0, verifiedAt: ago(40) }],
    ["the last stage that passed", midway({ stage: 1, stageBps: 10_000 }), at(9_500, PASS), { phase: "Baking" }],
    ["a bake that is over", midway({ phase: "Baking", verifiedAt: ago(60) }), at(9_500, PASS), { phase: "Switching" }],
    ["a bake that began anew", midway({ phase: "Baking", phaseSince: ago(90) }), at(9_500, PASS), { phase: "Baking" }],
    ["all requests are taken", midway({ phase: "Switching" }), at(10_000), { phase: "Retiring" }],
    ["harm", midway(), factsOf({ judged: HARM }), { phase: "RollingBack" }],
    ["harm while paused", midway(), factsOf({ judged: HARM, spec: { paused: true } }), { phase: "RollingBack" }],
    ["a retreat on the route", midway(), kept(KEPT), { phase: "RollingBack" }],
    ["a retreat of an earlier release", midway(), kept({ ...KEPT, startedAt: ago(9) }), { phase: "Canary" }],
    ["another version", midway(), factsOf({ wanted: "v3" }), { phase: "RollingBack" }],
    [
      "a lost weight",
      midway(),
      factsOf({ route: NOT_TAKEN }),
      { phase: "Canary", lostAt: ago(0), phaseSince: ago(50) },
    ],
    ["a loss of all pods", midway({ losses: 1 }), without(), { phase: "Canary", losses: 2, lostAt: ago(0) }],
    ["pods that come and go", midway({ losses: 3 }), factsOf(), { phase: "RollingBack" }],
    ["the next stage after losses", midway({ losses: 2 }), factsOf({ judged: PASS }), { phase: "Canary", stage: 1 }],
    [
      "a weight lost a moment ago",
      lost({ phaseSince: ago(900), lostAt: ago(9) }),
      factsOf({ route: NOT_TAKEN }),
      { phase: "Canary" },
    ],
    ["a weight lost for too long", lost({ lostAt: ago(600) }), factsOf({ route: NOT_TAKEN }), { phase: "RollingBack" }],
    [
      "a bake without pods",
      lost({ phase: "Baking", lostAt: ago(600) }),
      factsOf({ route: NOT_TAKEN }),
      { phase: "RollingBack" },
    ],
    [
      "a stage that lasts too long",
      midway({ phaseSince: ago(600) }),
      factsOf(),
      { pause: { reason: "MaxHold", since: ago(0) } },
    ],
    ["an approval", midway(), approval(), { pause: { reason: "Approval", since: ago(0) }, stage: 0 }],
    [
      "a paused spec",
      midway(),
      factsOf({ judged: PASS, spec: { paused: true } }),
      { phase: "Canary", stage: 0, heldSince: ago(0) },
    ],
    ["the end of a pause", midway({ heldSince: ago(30) }), factsOf(), { phaseSince: ago(20), verifiedAt: ago(10) }],
    ["a pause at rest", idle(), factsOf({ route: AT_REST, spec: { paused: true } }), { phase: "Idle" }],
    ["a new version at rest", idle(), factsOf({ route: AT_REST }), { phase: "Preparing" }],
    ["a new version, the route is on its way", idle(), factsOf(), { phase: "Idle" }],
    ["a version that was taken back", idle({ failedRevision: "v2" }), factsOf({ route: AT_REST }), { phase: "Idle" }],
    [
      "weight 0 of harm that nobody takes",
      back("Harm"),
      factsOf(),
      { retreat: expect.objectContaining({ forcedAt: ago(0) }) as never },
    ],
    [
      "weight 0 of an abort that nobody takes",
      back("Aborted"),
      factsOf(),
      { retreat: expect.not.objectContaining({ forcedAt: ago(0) }) as never },
    ],
    [
      "a stage taken out in front",
      midway({ stage: 1, stageBps: 2_500 }),
      edited(2_500, 10_000),
      { stage: 0, stageBps: 2_500 },
    ],
    ["a stage put in front", midway(), edited(100, 1_000, 10_000), { stage: 1, stageBps: 1_000 }],
    [
      "a stage that grew",
      midway({ stage: 1, stageBps: 1_000 }),
      edited(100, 5_000, 10_000),
      { stage: 0, stageBps: 100 },
    ],
    [
      "a ladder edited while paused",
      midway(),
      factsOf({ spec: { stages: ladder(5_000, 10_000), paused: true } }),
      { stage: 0, stageBps: 1_000 },
    ],
  ])("after %s", (_, progress, facts, next) => {
    expect(advance(progress, facts, NOW)).toMatchObject(next);
  });

  it("replaces a first version that never gets its requests", () => {
    const { stable: _, ...first } = midway({
      phase: "Switching",
      canary: { colour: "Blue", revision: "v1", since: ago(9) },
    });
    expect(advance(first, factsOf(), NOW)).toMatchObject({ phase: "Preparing", canary: { revision: "v2" } });
  });
});

describe("a request", () => {
  const request = (id: string, action: string) => ({ request: { id, action, stage: 1 } as never });

  it.each([
    ["PromoteFull", midway(), "Switching", "Done"],
    ["Skip", midway(), "Canary", "Done"],
    ["Jump", midway(), "Canary", "Done"],
    ["Abort", midway(), "RollingBack", "Done"],
    ["Promote", midway(), "Canary", "Refused"],
    ["Promote", midway({ pause: { reason: "Approval", since: ago(1) } }), "Canary", "Done"],
    ["Retry", midway(), "Canary", "Refused"],
    ["Abort", idle(), "Idle", "Refused"],
  ])("%s", (action, progress, phase, result) => {
    expect(advance(progress, factsOf({ spec: request("a", action) }), NOW)).toMatchObject({
      phase,
      lastRequest: { id: "a", result },
      requestIds: ["a"],
    });
  });

  it.each(["Promote", "PromoteFull", "Skip", "Jump"])("%s is refused while the spec is paused", (action) => {
    const facts = factsOf({ spec: { ...request("a", action), paused: true } });
    expect(advance(midway(), facts, NOW)).toMatchObject({ stage: 0, lastRequest: { result: "Refused" } });
  });

  it("acts once, also after another one", () => {
    const facts = factsOf({ spec: request("a", "Abort") });
    expect(advance(midway({ requestIds: ["b", "a"] }), facts, NOW).phase).toBe("Canary");
  });

  it("Retry begins what was taken back", () => {
    const facts = factsOf({ route: AT_REST, spec: request("a", "Retry") });
    const next = advance(idle({ failedRevision: "v2" }), facts, NOW);
    expect(next).toMatchObject({ phase: "Preparing", canary: { revision: "v2" } });
    expect(next.failedRevision).toBeUndefined();
  });
});

function at(green: number, judged: ReleaseFacts["judged"] = factsOf().judged): ReleaseFacts {
  return factsOf({ judged, route: { ...factsOf().route, weights: { Blue: 10_000 - green, Green: green } } });
}

function kept(retreat: NonNullable<ReleaseFacts["route"]["retreat"]>): ReleaseFacts {
  return factsOf({ route: { ...factsOf().route, retreat } });
}

function approval(): ReleaseFacts {
  return factsOf({ judged: PASS, spec: { stages: stages.map((stage) => ({ ...stage, approval: true })) } });
}

function edited(...weights: number[]): ReleaseFacts {
  return factsOf({ spec: { stages: ladder(...weights) } });
}
