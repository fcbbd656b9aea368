import { describe, expect, test } from "@jest/globals";
import { createManualClock } from "../../lib/core/manual-clock.ts";
import type { MemoryDatabase } from "../testing/memory-store.ts";
import { deposit, type Stage, settle, stage } from "../testing/writer-stage.ts";
import { createWriterWatch, STUCK_AFTER_MS } from "./writer-watch.ts";

// Goal: a writer that hangs in our own code is noticed, and nothing that is down outside is taken for one.

const HOUR_MS = 3_600_000;
const never = (): Promise<never> => new Promise(() => undefined);

interface Watched extends Stage {
  /** Lets time pass. @returns milliseconds until the writer was seen to be stuck; `undefined` when it was not */
  pass(ms: number, sendEveryMs?: number): Promise<number | undefined>;
}

async function watched(): Promise<Watched> {
  const clock = createManualClock();
  const watch = createWriterWatch(clock);
  const on = stage({ clock, onStep: watch.begin().step });
  await settle(clock, on.send([deposit("first")]));
  let sent = 0;
  return {
    ...on,
    pass: async (ms, sendEveryMs = 20_000) => {
      for (let passed = 0; passed < ms; passed += 1_000) {
        // What is refused is no matter here.
        if (passed % sendEveryMs === 0) on.send([deposit(`k${(sent += 1)}`)]).catch(() => undefined);
        await clock.advance(1_000);
        if (watch.look().isStuck) return passed + 1_000;
      }
      return undefined;
    },
  };
}

describe("no stuck writer is seen", () => {
  test.each<[string, (database: MemoryDatabase) => void]>([
    ["while there is work", () => undefined],
    [
      "while the database is down",
      (database) => {
        database.down = true;
      },
    ],
    [
      "while its volume is full",
      (database) => {
        database.full = true;
        database.fault = () => "full";
      },
    ],
    [
      "while every commit fails",
      (database) => {
        database.fault = () => "refused";
      },
    ],
    [
      "while only people can help",
      (database) => {
        database.systemIdentifier = "another";
        database.fault = () => "refused";
      },
    ],
  ])("%s", async (_, spoil) => {
    const { database, pass } = await watched();
    spoil(database);
    expect(await pass(HOUR_MS / 6)).toBeUndefined();
  });

  test("while there is nothing to do", async () => {
    const { pass } = await watched();
    expect(await pass(HOUR_MS / 6, HOUR_MS)).toBeUndefined();
  });
});

describe("a stuck writer is seen in time", () => {
  test.each<[string, (on: Watched) => void]>([
    [
      "a commit never ends",
      ({ database }) => {
        database.gate = never;
      },
    ],
    [
      "a look-up never ends",
      ({ database, send }) => {
        database.lookupGate = never;
        // A key that is known is looked up. Its sender learns nothing.
        send([deposit("first")]).catch(() => undefined);
      },
    ],
  ])("%s", async (_, spoil) => {
    const on = await watched();
    spoil(on);
    const afterMs = await on.pass(HOUR_MS / 6);
    expect(afterMs).toBeGreaterThanOrEqual(STUCK_AFTER_MS);
    expect(afterMs).toBeLessThan(STUCK_AFTER_MS + 5_000);
  });
});

test("one that was told to end has as long, whatever it still does", async () => {
  const clock = createManualClock();
  const watch = createWriterWatch(clock);
  const writer = watch.begin();
  writer.leave();
  for (let passed = 1_000; passed < STUCK_AFTER_MS; passed += 1_000) {
    await clock.advance(1_000);
    writer.step();
    expect(watch.look()).toEqual({ isStuck: false, isOverdue: false });
  }
  await clock.advance(1_000);
  expect(watch.look()).toEqual({ isStuck: false, isOverdue: true });
  writer.ended();
  expect(watch.look().isOverdue).toBe(false);
});
