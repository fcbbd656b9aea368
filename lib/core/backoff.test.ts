import { expect, test } from "@jest/globals";
import { backoffMs, jitter } from "./backoff.ts";

test("delays double up to the cap", () => {
  const delays = Array.from({ length: 6 }, (_, attempt) => backoffMs(attempt, { baseMs: 5, capMs: 100 }));
  expect(delays).toEqual([5, 10, 20, 40, 80, 100]);
  expect(backoffMs(5_000, { baseMs: 5, capMs: 100 })).toBe(100);
});

test("jitter stays within its ratio", () => {
  expect([0, 0.5, 1].map((random) => jitter(1_000, 0.1, random))).toEqual([900, 1_000, 1_100]);
});
