import { describe, expect, test } from "@jest/globals";
import type { RaisedFlag } from "../../../crds/rollout-flags.ts";
import type { RolloutStage } from "../../../crds/rollout-ladder.ts";
import { advance } from "../rollout.phases.ts";
import type { FlagFacts, Progress } from "../rollout.progress.ts";
import { verdict } from "../testing/builders.ts";
import { factsOf, midway, NOW } from "../testing/facts.ts";
import { areFlagsWritten, flagBpsAt, rememberFlags } from "./memory.ts";

// The share of each flag along the steps of a release, by the phase machine itself where it takes part.

const STAGE = { holdSeconds: 60, maxHoldSeconds: 600, minSamples: 10, maxErrorRateBps: 100, approval: false };
const stages: RolloutStage[] = [
  { ...STAGE, weightBps: 1_000, flagBps: 100 },
  { ...STAGE, weightBps: 5_000 },
  { ...STAGE, weightBps: 10_000, flagBps: 5_000 },
];
const flags = { items: [{ key: "a", onVariant: "on", offVariant: "off" }] };
const spec = { stages, flags };

const rising = (bps: number): RaisedFlag => ({ key: "a", revision: "v2", bps, state: "Rising" });
const settled = (bps: number, revision = "v1"): RaisedFlag => ({ key: "a", revision, bps, state: "Settled" });
const seen = (bps: number): FlagFacts => ({ isServed: true, written: new Map([["a", bps]]) });
const passed = { verdict: verdict("Pass", "HoldOver"), failure: undefined, unknownSince: undefined };

test.each([
  [0, 100],
  [1, 100],
  [2, 5_000],
])("a stage without a share has that of the one before: stage %i has %i", (index, bps) => {
  expect(flagBpsAt(index, stages)).toBe(bps);
});

test("a ladder that begins without a share begins without flags", () => {
  expect(flagBpsAt(0, [{}, { flagBps: 100 }])).toBe(0);
});

const idle = (given: Partial<Progress> = {}): Progress => {
  const { canary: _, stage: __, stageBps: ___, releaseStartedAt: ____, verifiedAt: _____, ...rest } = midway();
  return { ...rest, phase: "Idle", ...given };
};
const still = { weights: { Blue: 10_000, Green: 0 }, isAccepted: true, retreat: undefined };

describe("a release begins", () => {
  test("and the flags that no release has raised take part, from 0", () => {
    const next = advance(idle(), factsOf({ spec, route: still, flags: seen(0) }), NOW);
    expect(next).toMatchObject({ phase: "Preparing", flags: [rising(0)] });
  });

  test("and what an earlier one has raised is not its own", () => {
    const next = advance(idle({ flags: [settled(5_000)] }), factsOf({ spec, route: still, flags: seen(5_000) }), NOW);
    expect(next).toMatchObject({ phase: "Preparing", flags: [settled(5_000)] });
  });

  test("not where nothing can raise its flags", () => {
    const missing = { isServed: false, written: new Map() };
    expect(advance(idle(), factsOf({ spec, route: still, flags: missing }), NOW).phase).toBe("Idle");
  });

  test("all the same when it is a return, which raises none", () => {
    const ended = { reason: "Promoted", message: "", startedAt: idle().stable?.since ?? "" };
    const at = (ms: number): string => new Date(NOW - ms).toISOString();
    const releases = [
      { ...ended, revision: "v1", outcome: "Promoted" as const, endedAt: at(60_000) },
      { ...ended, revision: "v2", outcome: "Promoted" as const, endedAt: at(600_000) },
    ];
    const missing = { isServed: false, written: new Map() };
    const next = advance(idle({ releases }), factsOf({ spec, route: still, flags: missing }), NOW);
    expect(next).toMatchObject({ phase: "Preparing", isFastTrack: true });
    expect(next.flags).toBeUndefined();
  });

  test("and a first version raises none", () => {
    const { stable: _, ...nothing } = idle();
    const next = advance(nothing, factsOf({ spec, flags: seen(0) }), NOW);
    expect(next.phase).toBe("Preparing");
    expect(next.flags).toBeUndefined();
  });
});

describe("the share", () => {
  test("rises when a stage begins", () => {
    const before = midway({ stage: 1, stageBps: 5_000, flags: [rising(100)] });
    const route = { weights: { Blue: 5_000, Green: 5_000 }, isAccepted: true, retreat: undefined };
    const next = advance(before, factsOf({ spec, route, flags: seen(100), judged: passed }), NOW);
    expect(next).toMatchObject({ stage: 2, flags: [rising(5_000)] });
  });

  test("does not rise when the ladder is edited in mid-stage, and falls with it at once", () => {
    const edited = (flagBps: number) => ({ ...spec, stages: stages.with(0, { ...STAGE, weightBps: 1_000, flagBps }) });
    const before = midway({ flags: [rising(100)] });
    expect(advance(before, factsOf({ spec: edited(200), flags: seen(100) }), NOW).flags).toEqual([rising(100)]);
    expect(advance(before, factsOf({ spec: edited(50), flags: seen(100) }), NOW).flags).toEqual([rising(50)]);
  });

  test("is gone with the step that goes back", () => {
    const judged = { ...passed, failure: verdict("Fail", "Harm") };
    const old = { ...settled(5_000), key: "b" };
    const both = { stages, flags: { items: [...flags.items, { key: "b", onVariant: "on", offVariant: "off" }] } };
    const before = midway({ flags: [old, rising(100)] });
    const next = advance(before, factsOf({ spec: both, flags: seen(100), judged }), NOW);
    expect(next).toMatchObject({ phase: "RollingBack", flags: [old] });
  });

  test("holds up the stage while it is not in the cluster", () => {
    const before = midway({ flags: [rising(100)] });
    expect(advance(before, factsOf({ spec, flags: seen(0), judged: passed }), NOW)).toMatchObject({
      stage: 0,
      lostAt: new Date(NOW).toISOString(),
    });
  });

  test("that never comes takes the release back, by name", () => {
    const { verifiedAt: _, ...before } = midway({ flags: [rising(100)] });
    const next = advance(before, factsOf({ spec, flags: seen(0) }), NOW + 3_600_000);
    const message = "the flags of the new version are not raised after 600 s";
    expect(next.retreat).toMatchObject({ reason: "ProgressDeadlineExceeded", message });
  });

  test("is forgotten with the item", () => {
    const next = rememberFlags(midway({ flags: [rising(100)] }), midway({ flags: [rising(100)] }), factsOf());
    expect(next).toEqual(midway());
  });

  test("of a flag that is listed meanwhile stays 0 until the next release", () => {
    const before = midway({ stage: 1, stageBps: 5_000, flags: [] });
    const route = { weights: { Blue: 5_000, Green: 5_000 }, isAccepted: true, retreat: undefined };
    const next = advance(before, factsOf({ spec, route, flags: seen(0), judged: passed }), NOW);
    expect(next.stage).toBe(2);
    expect(next.flags).toBeUndefined();
  });
});

describe("a release ends", () => {
  const all = { weights: { Blue: 0, Green: 10_000 }, isAccepted: true, retreat: undefined };
  const switching = (given: Partial<Progress>): Progress => midway({ phase: "Switching", ...given });

  test("well, and what it has raised stays", () => {
    const next = advance(switching({ flags: [rising(5_000)] }), factsOf({ spec, route: all, flags: seen(5_000) }), NOW);
    expect(next).toMatchObject({ phase: "Retiring", flags: [settled(5_000, "v2")] });
  });

  test("as a return, and what the version that it replaces has raised is off", () => {
    const flagged = { flags: [settled(5_000, "v1")], isFastTrack: true };
    const next = advance(switching(flagged), factsOf({ spec, route: all, flags: seen(5_000) }), NOW);
    expect(next.phase).toBe("Retiring");
    expect(next.flags).toBeUndefined();
  });

  test("as a return, and what an earlier version has raised stays", () => {
    const flagged = { flags: [settled(5_000, "v0")], isFastTrack: true };
    const next = advance(switching(flagged), factsOf({ spec, route: all, flags: seen(5_000) }), NOW);
    expect(next).toMatchObject({ phase: "Retiring", flags: [settled(5_000, "v0")] });
  });
});

test("PromoteFull raises all that is left", () => {
  const request = { id: "full", action: "PromoteFull" as const };
  const before = midway({ flags: [rising(100)] });
  const next = advance(before, factsOf({ spec: { ...spec, request }, flags: seen(100) }), NOW);
  expect(next).toMatchObject({ phase: "Switching", flags: [rising(5_000)] });
});

test("without flags in the spec all of them are written", () => {
  expect(areFlagsWritten(midway(), factsOf())).toBe(true);
  expect(areFlagsWritten(midway(), factsOf({ spec }))).toBe(false);
});
