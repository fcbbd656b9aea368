import { expect, test } from "@jest/globals";
import { createHeartbeat } from "./heartbeat.ts";

test("counts the time without a beat, and none in which the process stood still", () => {
  let now = 0;
  const heartbeat = createHeartbeat({ monotonic: () => now });
  const lookAfter = (ms: number): number => {
    now += ms;
    return heartbeat.look();
  };
  expect(lookAfter(1_000)).toBe(1_000);
  expect(lookAfter(1_000)).toBe(2_000);
  heartbeat.beat();
  expect(lookAfter(1_000)).toBe(0);
  expect(lookAfter(1_000)).toBe(1_000);
  // Suspended, or starved: the loop did not run, but nothing did.
  expect(lookAfter(3_600_000)).toBe(6_000);
});
