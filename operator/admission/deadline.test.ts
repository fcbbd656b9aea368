import { describe, expect, it } from "@jest/globals";
import { answerDeadlineMs } from "./deadline.ts";

describe("answerDeadlineMs", () => {
  it.each([
    ["", 9_000],
    ["timeout=10s", 9_000],
    ["timeout=30s", 9_000],
    ["timeout=5s", 4_500],
    ["timeout=1s", 900],
    ["timeout=999.5ms", 899.5],
    ["timeout=1m0s", 9_000],
    ["timeout=50ms", 1],
    ["timeout=soon", 9_000],
    ["timeout=5", 9_000],
    ["timeout=-5s", 9_000],
  ])("?%s gives %d ms of 9,000", (query, want) => {
    expect(answerDeadlineMs(new URLSearchParams(query), 9_000)).toBeCloseTo(want, 3);
  });
});
