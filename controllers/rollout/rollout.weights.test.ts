import { describe, expect, it } from "@jest/globals";
import type { Progress, ReleaseFacts } from "./rollout.progress.ts";
import { canaryBps, podsFor, replicasOf, weightsOf } from "./rollout.weights.ts";
import { ago, factsOf, midway } from "./testing/facts.ts";

const green = (revision: string, replicas: number, ready: number) => ({
  colours: { ...factsOf().colours, Green: { revision, replicas, ready } },
});
const given = (share: number, isAccepted = true) => ({
  route: { weights: { Blue: 10_000 - share, Green: share }, isAccepted, retreat: undefined },
});
const RETREAT = { outcome: "RolledBack", reason: "Harm", message: "m", decidedAt: ago(40) } as const;
const PAUSED = { spec: { paused: true } };
const { canary: _, ...REST } = midway();
/** A step whose weight the gateway has not taken yet. */
const notTaken = (more: Partial<Progress>): Progress => {
  const { verifiedAt: __, ...rest } = midway(more);
  return rest;
};
const IDLE: Progress = { ...REST, phase: "Idle" };

describe("share of the canary", () => {
  it.each<[string, Progress, ReleaseFacts, number]>([
    ["of its stage", midway(), factsOf(), 1_000],
    ["without ready pods", midway(), factsOf(green("v2", 4, 0)), 0],
    ["with pods of another revision", midway(), factsOf(green("v1", 4, 4)), 0],
    ["with too few pods to rise", midway({ stage: 1, stageBps: 10_000 }), factsOf(green("v2", 4, 1)), 1_000],
    [
      "with too few pods, at its stage",
      midway({ stage: 1, stageBps: 5_000 }),
      factsOf({ ...green("v2", 4, 1), ...given(5_000) }),
      5_000,
    ],
    ["edited by hand", midway(), factsOf(given(7_000)), 1_000],
    ["of the last stage, less the hold-back", midway({ stage: 1, stageBps: 10_000 }), factsOf(), 9_500],
    ["while it goes back", midway({ phase: "RollingBack" }), factsOf(), 0],
    ["that was on its way when somebody paused", notTaken({ stage: 1, stageBps: 5_000 }), factsOf(PAUSED), 1_000],
    ["that falls while somebody pauses", notTaken({ stage: 0, stageBps: 500 }), factsOf(PAUSED), 500],
    ["edited by hand while somebody pauses", midway(), factsOf({ ...PAUSED, ...given(7_000) }), 1_000],
    ["lowered by hand while somebody pauses", midway(), factsOf({ ...PAUSED, ...given(100) }), 1_000],
    ["of everything, while somebody pauses", midway({ phase: "Switching" }), factsOf(PAUSED), 1_000],
  ])("%s", (_name, progress, facts, share) => {
    expect(canaryBps(progress, facts)).toBe(share);
    expect(weightsOf(progress, facts)).toEqual({ Blue: 10_000 - share, Green: share });
  });
});

describe("pods", () => {
  it.each<[string, Progress, ReleaseFacts, number]>([
    ["of a stage", midway(), factsOf(green("v2", 0, 0)), 1],
    ["are not taken before the end", midway(), factsOf(green("v2", 3, 3)), 3],
    ["are never more than serve all", midway(), factsOf({ ...green("v2", 8, 8), replicas: 4 }), 4],
    ["at full size before the switch", midway({ stage: 1, stageBps: 10_000 }), factsOf(green("v2", 1, 1)), 4],
    ["stay while it goes back", midway({ phase: "RollingBack", retreat: RETREAT }), factsOf(), 4],
    [
      "go where no gateway takes harm away",
      midway({ phase: "RollingBack", retreat: { ...RETREAT, forcedAt: ago(1) } }),
      factsOf(),
      0,
    ],
    ["go at rest", IDLE, factsOf(given(0)), 0],
    ["stay at rest while they have a share", IDLE, factsOf(given(1_000)), 4],
    ["stay at rest while the gateway has not taken weight 0", IDLE, factsOf(given(0, false)), 4],
  ])("%s", (_name, progress, facts, pods) => {
    expect(replicasOf(progress, facts)).toEqual({ Blue: 4, Green: pods });
  });

  it.each([
    [0, 4, 0],
    [1, 4, 1],
    [2_500, 4, 1],
    [2_501, 4, 2],
    [10_000, 4, 4],
  ])("%d basis points of %d are %d", (bps, replicas, pods) => {
    expect(podsFor(bps, replicas)).toBe(pods);
  });
});
