import { expect, it } from "@jest/globals";
import { createEventLoopMonitor } from "./event-loop.ts";

it("sees that nothing could run, at once, and remembers it for a while", () => {
  const monitor = createEventLoopMonitor();
  expect(monitor.longestStallMs()).toBe(0);
  monitor.start();
  try {
    const before = monitor.longestStallMs();
    const until = performance.now() + 1_200;
    while (performance.now() < until);
    const stall = monitor.longestStallMs();
    expect(stall).toBeGreaterThanOrEqual(Math.max(before, 650));
    expect(monitor.longestStallMs()).toBeGreaterThanOrEqual(stall);
  } finally {
    monitor.close();
  }
});
