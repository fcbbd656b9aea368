import { describe, expect, it } from "@jest/globals";
import { createManualClock } from "../../lib/core/manual-clock.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { createRunnableGroup, type Runnable } from "./runnable.ts";

// Goal: what runs beside the controllers begins, fails and ends where others can see it.

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));

function groupOf(...runnables: readonly Partial<Runnable>[]) {
  const clock = createManualClock();
  const failures: string[] = [];
  const group = createRunnableGroup({
    runnables: runnables.map((runnable, index) => ({
      name: `r${index}`,
      needs: "every",
      run: untilAborted,
      ...runnable,
    })),
    onFailure: (reason) => void failures.push(reason),
    sleep: clock.sleep,
    log: silentLogger,
  });
  return { clock, failures, group };
}

describe("a group of runnables", () => {
  it("begins all and ends them by their signal", async () => {
    let ended = 0;
    const run = (signal: AbortSignal): Promise<void> => untilAborted(signal).then(() => void (ended += 1));
    const { group, failures } = groupOf({ run }, { run });
    group.start();
    expect(await group.stop(1_000)).toEqual([]);
    expect([ended, failures]).toEqual([2, []]);
  });

  it("names those that do not end in time", async () => {
    const { clock, group } = groupOf({}, { name: "deaf", run: () => new Promise(() => undefined) });
    group.start();
    const stopped = group.stop(1_000);
    await clock.advance(1_000);
    expect(await stopped).toEqual(["deaf"]);
  });

  it("reports a failure, also of a function that throws at once, but not one after the stop", async () => {
    const { clock, failures, group } = groupOf(
      { name: "late", run: () => Promise.reject(new Error("port is taken")) },
      {
        name: "early",
        run: () => {
          throw new TypeError("no function");
        },
      },
      { name: "asked", run: (signal) => untilAborted(signal).then(() => Promise.reject(new Error("close failed"))) },
      { name: "done", run: async () => undefined },
    );
    group.start();
    await clock.advance(0);
    expect(failures.sort()).toEqual(["early: no function", "late: port is taken"]);
    expect(await group.stop(1_000)).toEqual([]);
    expect(failures).toHaveLength(2);
  });

  it("is as ready as those that run", async () => {
    const { group } = groupOf(
      { name: "webhooks", ready: () => ({ ok: false, reasons: ["no certificate yet"] }) },
      { name: "mute", ready: () => ({ ok: false }) },
      { name: "fine", ready: () => ({ ok: true, reasons: ["serving"] }) },
      {},
    );
    expect(group.ready()).toEqual({ ok: true, reasons: [] });
    group.start();
    expect(group.ready()).toEqual({ ok: false, reasons: ["webhooks: no certificate yet", "mute: not ready"] });
    await group.stop(0);
    expect(group.ready().ok).toBe(true);
  });

  it("is not begun after its stop", async () => {
    let runs = 0;
    const { group } = groupOf({ run: async () => void (runs += 1) });
    await group.stop(0);
    group.start();
    expect(runs).toBe(0);
  });
});
