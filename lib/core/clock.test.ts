import { afterEach, describe, expect, it, jest } from "@jest/globals";
import { systemClock } from "./clock.ts";

// Goal: a sleep lasts as long as it was asked to, also when no timer can be that long.

const DAY = 86_400_000;

afterEach(() => {
  jest.useRealTimers();
});

function sleepFor(ms: number, signal?: AbortSignal): { ended: boolean } {
  const state = { ended: false };
  void systemClock.sleep(ms, signal).then(() => {
    state.ended = true;
  });
  return state;
}

describe("the sleep of the system's clock", () => {
  it("lasts for months when asked to", async () => {
    jest.useFakeTimers();
    const sleep = sleepFor(90 * DAY);
    for (let day = 1; day < 90; day += 1) {
      await jest.advanceTimersByTimeAsync(DAY);
      expect([day, sleep.ended]).toEqual([day, false]);
    }
    await jest.advanceTimersByTimeAsync(DAY);
    expect(sleep.ended).toBe(true);
  });

  it("never hands Node a timer that it would cut to a millisecond", async () => {
    const stop = new AbortController();
    const sleep = sleepFor(2 ** 31, stop.signal);
    await systemClock.sleep(20);
    expect(sleep.ended).toBe(false);
    stop.abort();
    await systemClock.sleep(0);
    expect(sleep.ended).toBe(true);
  });

  it("leaves no timer behind when it is ended in its later part", async () => {
    jest.useFakeTimers();
    const stop = new AbortController();
    const sleep = sleepFor(60 * DAY, stop.signal);
    await jest.advanceTimersByTimeAsync(50 * DAY);
    stop.abort();
    await jest.advanceTimersByTimeAsync(0);
    expect([sleep.ended, jest.getTimerCount()]).toEqual([true, 0]);
  });
});
