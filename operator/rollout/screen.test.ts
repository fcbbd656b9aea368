// What people see of Rollouts: one screen, the list, the history, and the command to type next.
import { describe, expect, it } from "@jest/globals";
import { goOnCommand, shareText } from "../../controllers/rollout/rollout.sentences.ts";
import type { Rollout } from "../../crds/rollout.ts";
import { historyText } from "./history.ts";
import { listText } from "./list.ts";
import { nextSteps } from "./next.ts";
import { ladderText, screenText } from "./screen.ts";
import { ago, NOW, RELEASING, readyAs, rolloutOf } from "./testing/rollouts.ts";
import { commandText, percentText, spanText, tableText } from "./text.ts";

const PODS = {
  stable: { images: ["shop:1"], ready: 4, wanted: 4 },
  canary: { images: ["shop:2", "proxy:7"], ready: 1, wanted: 1 },
};
const ENDED = {
  revision: "aaaa000000",
  outcome: "Promoted",
  reason: "Promoted",
  message: "all stages passed",
  startedAt: ago(91_000),
  endedAt: ago(90_000),
} as const;

const screen = (rollout: Rollout): string => screenText(rollout, PODS, NOW);

describe("the screen", () => {
  it("has the whole release on it", () => {
    const rollout = rolloutOf(
      {
        ...RELEASING,
        lastRequest: { id: "skip-1", action: "Skip", result: "Done", message: "skipped stage 1 of 5", at: ago(192) },
        releases: [ENDED],
      },
      { request: { id: "skip-1", action: "Skip" } },
    );
    expect(screen(rollout)).toBe(`Rollout bank/shop of Deployment shop: Releasing
phase      Canary, stage 2 of 5 since 3m12s
ladder     1 % > [5 %] > 25 % > 50 % > 100 % > bake 5m
weight     desired 5 %, accepted by the gateway 5 %, measured 4.87 %
verdict    Inconclusive (TooFewSamples): errors: canary 0 of 212 of 500
stable     blue, revision aaaa000000, shop:1, 4 of 4 pods ready, since 1d1h
canary     green, revision bbbb000000, shop:2 and proxy:7, 1 of 1 pods ready, since 6m40s
waits      revision bbbb000000 is judged at 5 % of the requests, stage 2 of 5
request    Skip (skip-1) 3m12s ago: Done: skipped stage 1 of 5
releases   aaaa000000 Promoted 1d1h ago (Promoted): all stages passed
next       shieldx rollout abort shop -n bank   takes it back
`);
  });

  it("says that nobody has seen a new Rollout", () => {
    const { status: _, ...rollout } = rolloutOf({});
    expect(screenText(rollout as Rollout, { stable: undefined, canary: undefined }, NOW)).toBe(
      `Rollout bank/shop of Deployment shop: no controller has seen it yet
phase    -
ladder   1 % > 5 % > 25 % > 50 % > 100 % > bake 5m
`,
    );
  });

  it("tells of a request that waits for its answer, of a hold, and of weights that nobody measured", () => {
    const rollout = rolloutOf(
      { ...RELEASING, heldSince: ago(60), weight: { desiredBps: 500 } },
      { paused: true, request: { id: "abort-1", action: "Abort" } },
    );
    const text = screen(rollout);
    expect(text).toContain("held since 1m\n");
    expect(text).toContain("desired 5 %, accepted by the gateway not known, measured not known\n");
    expect(text).toContain("request   Abort (abort-1): not answered yet\n");
    expect(text).toContain("next      shieldx rollout resume shop -n bank   lets it go on\n");
  });

  it("marks where a release is, also while it bakes", () => {
    const stages = [
      { weightBps: 500, minSamples: 1, maxErrorRateBps: 100, approval: true },
      { weightBps: 10_000, minSamples: 1, maxErrorRateBps: 100 },
    ];
    expect(ladderText(rolloutOf({ phase: "Baking" }, { stages }))).toBe("5 % (approval) > 100 % > [bake 5m]");
    expect(ladderText(rolloutOf({ phase: "Canary", stage: 0 }, { stages }))).toBe("[5 % (approval)] > 100 % > bake 5m");
  });
});

describe("the command to type next", () => {
  const canary = { ...RELEASING, pause: { reason: "Approval", since: ago(5) } } as const;
  const taken = readyAs("False", "RolledBack", "revision bbbb000000 was taken back");
  const { stable: _, ...first } = RELEASING;
  it.each<[string, Rollout, readonly string[]]>([
    ["of one at rest", rolloutOf({ phase: "Idle" }), []],
    ["of one under way", rolloutOf(RELEASING), ["abort"]],
    ["of the first version, which has nothing to go back to", rolloutOf(first), []],
    ["of one that waits for a person", rolloutOf(canary), ["promote", "abort"]],
    ["of one that is held", rolloutOf(canary, { paused: true }), ["resume", "abort"]],
    ["of one that goes back", rolloutOf({ ...RELEASING, phase: "RollingBack" }), []],
    ["of one that was taken back", rolloutOf({ failedRevision: "bbbb000000", conditions: taken }), ["retry"]],
    ["of one whose spec has another version by now", rolloutOf({ failedRevision: "bbbb000000" }), []],
  ])("%s", (_, rollout, verbs) => {
    expect(nextSteps(rollout).map(({ command }) => command)).toEqual(
      verbs.map((verb) => `shieldx rollout ${verb} shop -n bank`),
    );
  });

  it("is the one that the controller names in its conditions", () => {
    const place = { namespace: "bank", name: "shop" };
    expect(commandText("promote", place)).toBe(goOnCommand(place));
    expect(commandText("promote --full", place)).toBe(`${goOnCommand(place)} --full`);
  });
});

it("lists Rollouts, one a line", () => {
  expect(listText([rolloutOf(RELEASING), rolloutOf({})], NOW)).toBe(
    `NAMESPACE   NAME   PHASE    STEP   WEIGHT   VERDICT        STABLE       CANARY       REASON      AGE
bank        shop   Canary   2/5    5 %      Inconclusive   aaaa000000   bbbb000000   Releasing   2h
bank        shop   -        -      -        -              -            -            -           2h
`,
  );
  expect(listText([], NOW)).toBe("there are no Rollouts\n");
});

it("tells how releases ended", () => {
  expect(historyText(rolloutOf({ releases: [ENDED] }), NOW)).toBe(
    `REVISION     OUTCOME    ENDED      TOOK     REASON     MESSAGE
aaaa000000   Promoted   1d1h ago   16m40s   Promoted   all stages passed
`,
  );
  expect(historyText(rolloutOf({}), NOW)).toBe("no release has ended yet\n");
});

describe("words", () => {
  it.each([
    [-5_000, "0s"],
    [0, "0s"],
    [59_999, "59s"],
    [60_000, "1m"],
    [3_661_000, "1h1m"],
    [180_061_000, "2d2h"],
    [172_805_000, "2d"],
  ])("tells %d ms as %s", (ms, text) => {
    expect(spanText(ms)).toBe(text);
  });

  it("tells shares as the controller does", () => {
    for (const bps of [0, 1, 50, 123, 500, 9_999, 10_000]) expect(percentText(bps)).toBe(shareText(bps));
  });

  it("leaves no blanks at the end of a line", () => {
    expect(
      tableText([
        ["a", ""],
        ["bb", "c"],
      ]),
    ).toBe("a\nbb   c\n");
  });
});
