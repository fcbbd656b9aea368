import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { OperatorError } from "../../lib/core/errors.ts";
import { createManualClock } from "../../lib/core/manual-clock.ts";
import { createReadiness } from "./ledger.readiness.ts";
import { createShardWatch } from "./shard-watch.ts";

/** A silent database takes this long to fail. */
const ANSWER_MS = 15_000;

const clock = createManualClock();
const down = new Set<number>();
const silent = new Set<number>();
const problems = new Map<number, string>();
const holders = new Map<number, string>();
let ending: AbortController;

beforeEach(() => {
  ending = new AbortController();
  down.clear();
  silent.clear();
  problems.clear();
  for (const shard of [0, 1, 2]) holders.set(shard, `https://10.0.0.${shard + 1}:8443`);
});

afterEach(() => ending.abort());

/** Readiness of a new pod for three shards that another pod writes to. */
function started(): { check: ReturnType<typeof createReadiness>; pass: (ms: number) => Promise<void> } {
  const watches = [0, 1, 2].map((shard) =>
    createShardWatch({
      shard,
      clock,
      ask: async () => {
        if (silent.has(shard)) await clock.sleep(ANSWER_MS);
        if (down.has(shard)) throw new OperatorError("SHARD_UNAVAILABLE", "the database does not answer");
      },
      onSilence: () => undefined,
    }),
  );
  const seats = [0, 1, 2].map((shard) => ({
    writer: () => undefined,
    holderUrl: () => holders.get(shard),
    problem: () => problems.get(shard),
  }));
  for (const watch of watches) void watch.run(ending.signal);
  return {
    check: createReadiness({ watches, seats, clock, signal: ending.signal }),
    pass: async (ms) => {
      for (let passed = 0; passed < ms; passed += 1_000) await clock.advance(1_000);
    },
  };
}

describe("a new pod", () => {
  test("waits for every shard, and says for which", async () => {
    down.add(1);
    holders.delete(2);
    const { check, pass } = started();
    expect(check()).toEqual({
      ok: false,
      reasons: [0, 1, 2].map((shard) => `shard ${shard}: no answer yet`),
    });
    await pass(1_000);
    expect(check()).toEqual({
      ok: false,
      reasons: ["shard 1: the database does not answer", "shard 2: no writer known"],
    });
    down.clear();
    holders.set(2, "https://10.0.0.9:8443");
    await pass(1_000);
    expect(check()).toEqual({ ok: true, reasons: [] });
  });

  test("serves the shards that it found in half a minute; none is not enough", async () => {
    for (const shard of [0, 1, 2]) down.add(shard);
    const { check, pass } = started();
    await pass(40_000);
    expect(check().ok).toBe(false);
    down.delete(0);
    await pass(1_000);
    expect(check()).toEqual({
      ok: true,
      reasons: [1, 2].map((shard) => `shard ${shard}: the database does not answer`),
    });
  });
});

describe("a pod that was ready", () => {
  test.each([
    ["a database that does not answer", () => down.add(1), "shard 1: the database does not answer"],
    [
      "a writer that only people can help",
      () => problems.set(1, "DATA_LOST: less data"),
      "shard 1: DATA_LOST: less data",
    ],
    ["a shard without a writer", () => holders.delete(1), "shard 1: no writer known"],
  ])("keeps serving the other shards: %s", async (_, spoil, reason) => {
    const { check, pass } = started();
    await pass(1_000);
    expect(check().ok).toBe(true);
    spoil();
    await pass(12_000);
    expect(check()).toEqual({ ok: true, reasons: [reason] });
  });

  test("does not take the other shards for down while one says nothing", async () => {
    const { check, pass } = started();
    await pass(1_000);
    silent.add(1);
    down.add(1);
    for (let passed = 0; passed < 40_000; passed += 1_000) {
      await pass(1_000);
      expect(check().reasons?.filter((reason) => !reason.startsWith("shard 1"))).toEqual([]);
    }
    expect(check()).toEqual({ ok: true, reasons: ["shard 1: the database does not answer"] });
  });

  test("is not once all are down, and is again with the first one", async () => {
    const { check, pass } = started();
    await pass(1_000);
    for (const shard of [0, 1, 2]) down.add(shard);
    await pass(9_000);
    // Pauses shorter than ten seconds are none.
    expect(check().ok).toBe(true);
    await pass(3_000);
    expect(check().ok).toBe(false);
    down.delete(2);
    await pass(1_000);
    expect(check().ok).toBe(true);
  });

  test("is not while it stops", async () => {
    const { check, pass } = started();
    await pass(1_000);
    ending.abort();
    await pass(1_000);
    expect(check()).toEqual({ ok: false, reasons: ["stopping"] });
  });
});
