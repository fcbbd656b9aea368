import { expect, test } from "@jest/globals";
import { createManualClock } from "../../lib/core/manual-clock.ts";
import { createWaker } from "./waker.ts";

test("a sleep ends at its time, at a wake, or when the work is stopped", async () => {
  const clock = createManualClock();
  const stop = new AbortController();
  const waker = createWaker(clock);
  const woken: string[] = [];
  const sleep = (name: string): Promise<void> => waker.sleep(1_000, stop.signal).then(() => void woken.push(name));

  void sleep("by time");
  await clock.advance(999);
  expect(woken).toEqual([]);
  await clock.advance(1);
  void sleep("by a wake");
  await clock.advance(1);
  waker.wake();
  await clock.advance(0);
  void sleep("by the stop");
  await clock.advance(1);
  stop.abort();
  await clock.advance(0);
  void sleep("after the stop");
  await clock.advance(0);
  expect(woken).toEqual(["by time", "by a wake", "by the stop", "after the stop"]);
  expect(clock.pendingSleeps()).toBe(0);
});

test("a wake while nobody sleeps is not missed, and counts once", async () => {
  const clock = createManualClock();
  const { signal } = new AbortController();
  const waker = createWaker(clock);
  waker.wake();
  waker.wake();
  await waker.sleep(1_000, signal);
  let woken = false;
  void waker.sleep(1_000, signal).then(() => {
    woken = true;
  });
  await clock.advance(999);
  expect(woken).toBe(false);
});
