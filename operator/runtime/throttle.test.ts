import { describe, expect, it } from "@jest/globals";
import { createManualClock } from "../../lib/core/manual-clock.ts";
import { createThrottle } from "./throttle.ts";

describe("throttle", () => {
  it("says how long to wait, id by id, on the monotonic clock", async () => {
    const clock = createManualClock();
    const throttle = createThrottle(10);
    expect(throttle.waitSeconds("a", clock)).toBe(0);
    throttle.mark("a", clock, true);
    await clock.advance(2_500);
    clock.jumpWallClock(1_000_000);
    expect([throttle.waitSeconds("a", clock), throttle.waitSeconds("b", clock)]).toEqual([8, 0]);
    await clock.advance(7_500);
    expect(throttle.waitSeconds("a", clock)).toBe(0);
    throttle.mark("a", clock, true);
    throttle.forget("a");
    expect(throttle.waitSeconds("a", clock)).toBe(0);
  });

  it("keeps what was done until it is due again", async () => {
    const clock = createManualClock();
    const throttle = createThrottle<string>(10);
    throttle.mark("a", clock, "first");
    await clock.advance(9_999);
    throttle.mark("b", clock, "other");
    expect(throttle.last("a", clock)).toBe("first");
    await clock.advance(1);
    expect([throttle.last("a", clock), throttle.last("b", clock)]).toEqual([undefined, "other"]);
  });
});
