// A watch tells news once, and ends with the release.
import { expect, it } from "@jest/globals";
import { ROLLOUT } from "../../crds/rollout.ts";
import { type Outcome, type RolloutStatus } from "../../crds/rollout-status.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import { createManualClock } from "../../lib/core/manual-clock.ts";
import { type Followed, followRelease } from "./follow-release.ts";
import { ago, NOW, RELEASING, readyAs, rolloutOf } from "./testing/rollouts.ts";

const PLACE = { namespace: "bank", name: "shop" };
const ended = (outcome: Outcome, revision = "bbbb000000") => ({
  revision,
  outcome,
  reason: outcome,
  message: "told",
  startedAt: ago(400),
  endedAt: ago(1),
});
const READY = readyAs("True", "Ready", "revision bbbb000000 serves all requests");
const REST: Partial<RolloutStatus> = { phase: "Idle", conditions: READY };

/** Follows a Rollout whose status is another one at each look, the last one for ever. */
async function follow(
  statuses: readonly (Partial<RolloutStatus> | OperatorError)[],
  untilDone: boolean,
  isTerminal = false,
) {
  const clock = createManualClock(NOW);
  const stop = new AbortController();
  let looks = 0;
  let text = "";
  const find = async (type: { readonly kind: string }) => {
    if (type.kind !== ROLLOUT.kind) return undefined;
    looks += 1;
    const now = statuses[Math.min(looks, statuses.length) - 1];
    if (now instanceof OperatorError) throw now;
    return rolloutOf(now);
  };
  const client = { find, list: async () => ({ items: [] }), servedKind: async () => ({}) } as never;
  let followed: Followed | undefined;
  const work = followRelease(PLACE, untilDone, {
    client,
    clock,
    write: (part) => void (text += part),
    isTerminal,
    signal: stop.signal,
  }).then((end) => (followed = end));
  // Awaited below, after the clock was moved.
  work.catch(() => undefined);
  for (let turn = 0; turn < 40 && followed === undefined; turn += 1) await clock.advance(1_000);
  const looksBefore = looks;
  stop.abort();
  await clock.advance(1_000);
  await work;
  return { followed, text, looks: looksBefore };
}

it("tells each news once", async () => {
  const next = { ...RELEASING, stage: 2, step: "3/5", share: "25 %" };
  const { text } = await follow([RELEASING, RELEASING, next], false);
  expect(text.split("\n").map((line) => line.slice(21, 60))).toEqual([
    "Canary 2/5 5 % Inconclusive (TooFewSamp",
    "Canary 3/5 25 % Inconclusive (TooFewSam",
    "",
  ]);
});

it("draws the screen anew on a terminal", async () => {
  const { text } = await follow([RELEASING], false, true);
  expect(text.startsWith("\u001B[H\u001B[2JRollout bank/shop of Deployment shop: Releasing\n")).toBe(true);
  expect(text.split("\u001B[2J").length).toBeGreaterThan(10);
});

it("ends with the release", async () => {
  const { followed } = await follow([RELEASING, RELEASING, { ...REST, releases: [ended("Promoted")] }], true);
  expect(followed?.release?.outcome).toBe("Promoted");
});

it("ends with the release that took the place of a superseded one", async () => {
  const other = { ...RELEASING, releases: [ended("Superseded", "old")] };
  const last = { ...REST, releases: [ended("RolledBack"), ended("Superseded", "old")] };
  const { followed, looks } = await follow([RELEASING, other, last], true);
  expect(followed?.release?.outcome).toBe("RolledBack");
  expect(looks).toBe(3);
});

it("waits for a release that begins a moment later", async () => {
  const old = { ...REST, releases: [ended("Promoted", "old")] };
  const done = { ...REST, releases: [ended("Aborted"), ended("Promoted", "old")] };
  const { followed } = await follow([old, old, old, RELEASING, done], true);
  expect(followed?.release?.outcome).toBe("Aborted");
});

it("takes the last one where none begins, and says so where there never was one", async () => {
  const { followed, looks } = await follow([{ ...REST, releases: [ended("RolledBack", "old")] }], true);
  expect(followed?.release?.revision).toBe("old");
  expect(looks).toBe(16);
  const never = await follow([REST], true);
  expect(never.followed).toEqual({
    release: undefined,
    why: "no release has begun within 15 s, and none ended before",
  });
});

it("goes on when the server was away for a while, and says so", async () => {
  const away = new OperatorError("KUBE_UNREACHABLE", "connection refused");
  const { followed, text } = await follow([RELEASING, away, away, { ...REST, releases: [ended("Promoted")] }], true);
  expect(followed?.release?.outcome).toBe("Promoted");
  expect(text.match(/KUBE_UNREACHABLE: tried again/g)).toHaveLength(1);
});

it("does not wait for a right that is missing", async () => {
  const forbidden = new OperatorError("KUBE_FORBIDDEN", "no");
  await expect(follow([RELEASING, forbidden], true)).rejects.toThrow("no");
});

it("ends when it is interrupted", async () => {
  const { followed } = await follow([RELEASING], true);
  expect(followed).toEqual({ release: undefined, why: "the watch was ended" });
});
