import { expect, test } from "@jest/globals";
import { createLifecycle } from "./lifecycle.ts";
import { silentLogger } from "./logger.ts";

test("steps run from the last to the first; one that fails or does not end is counted, and the next one runs", async () => {
  const ran: string[] = [];
  const lifecycle = createLifecycle(silentLogger);
  lifecycle.defer("first", () => void ran.push("first"));
  lifecycle.defer("hangs", () => new Promise(() => void ran.push("hangs")), 20);
  lifecycle.defer("fails", async () => {
    ran.push("fails");
    throw new Error("no");
  });
  expect(lifecycle.signal.aborted).toBe(false);
  expect(await lifecycle.stop("test")).toBe(2);
  expect(ran).toEqual(["fails", "hangs", "first"]);
  expect(lifecycle.signal.aborted).toBe(true);
  // A second stop waits for the first.
  expect(await lifecycle.stop("again")).toBe(2);
  expect(ran).toHaveLength(3);
});
