import { describe, expect, it } from "@jest/globals";
import { createManualClock } from "../../lib/core/manual-clock.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { feed } from "./feed.ts";

// Goal: a source that breaks is begun again, later each time, and at once again after it has been well.

/** Feeds a source whose runs last as long as told, then break; the last one ends. @returns how long each pause was, ms */
async function pauses(...lastsMs: readonly number[]): Promise<number[]> {
  const clock = createManualClock();
  const stop = new AbortController();
  const begins: number[] = [];
  const ends: number[] = [];
  const source = {
    name: "broken",
    run: async () => {
      begins.push(clock.monotonic());
      const ms = lastsMs[ends.length];
      if (ms === undefined) return;
      await clock.sleep(ms);
      ends.push(clock.monotonic());
      throw new Error("injected");
    },
  };
  const fed = feed(source, {
    cache: { get: () => undefined, list: () => [], byIndex: () => [], availability: () => "served" },
    live: { list: () => Promise.reject(new Error("no server")) },
    keys: () => [],
    add: () => undefined,
    clock,
    random: () => 0.5,
    log: silentLogger,
    signal: stop.signal,
  });
  await clock.advance(3_600_000);
  await fed;
  return ends.map((at, index) => (begins[index + 1] ?? Number.NaN) - at);
}

describe("a source that breaks", () => {
  it("is begun again after 0.8 s doubling to 30 s", async () => {
    expect(await pauses(0, 0, 0, 0, 0, 0, 0, 0)).toEqual([800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
  });

  it("has been well after two minutes: the next pause is the first one again", async () => {
    expect(await pauses(0, 0, 120_001, 0, 0)).toEqual([800, 1_600, 800, 1_600, 3_200]);
  });

  it("has not been well before that", async () => {
    expect(await pauses(119_999, 119_999, 119_999)).toEqual([800, 1_600, 3_200]);
  });
});
