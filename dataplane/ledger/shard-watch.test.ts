import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { OperatorError } from "../../lib/core/errors.ts";
import { createManualClock, type ManualClock } from "../../lib/core/manual-clock.ts";
import { createShardWatch, type ShardWatch } from "./shard-watch.ts";

// Goal: nobody waits for a shard that is known to say nothing, and no shard is taken for such a one lightly.

const LIMIT_MS = 2_000;
type State = "answers" | "silent" | "refuses";

let clock: ManualClock;
let watch: ShardWatch;
let state: State;
let cuts: number;
let ending: AbortController;

beforeEach(() => {
  clock = createManualClock();
  state = "answers";
  cuts = 0;
  ending = new AbortController();
  watch = createShardWatch({
    shard: 1,
    clock,
    ask: async () => {
      if (state === "answers") return;
      if (state === "refuses") throw new OperatorError("SHARD_UNAVAILABLE", "connection refused");
      await clock.sleep(LIMIT_MS);
      throw new OperatorError("SHARD_UNAVAILABLE", "no answer", { cause: new Error("Query read timeout") });
    },
    onSilence: () => {
      cuts += 1;
    },
  });
  void watch.run(ending.signal);
});
afterEach(() => ending.abort());

const outcome = (promise: Promise<unknown>): Promise<string> =>
  promise.then(String, (error: unknown) => (error as OperatorError).code);
const never = (): Promise<never> => new Promise(() => undefined);

async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 500) await clock.advance(500);
}

describe("a shard that says nothing", () => {
  test("ends what waits for it after two questions, and refuses the rest at once until it answers", async () => {
    await pass(1_000);
    const waiting = outcome(watch.read(never));
    state = "silent";
    await pass(3_500);
    expect(await outcome(watch.read(async () => "read"))).toBe("read");
    expect(watch.requireAnswer).not.toThrow();
    await pass(2_000);
    expect(await waiting).toBe("SHARD_UNAVAILABLE");
    expect(await outcome(watch.read(async () => "read"))).toBe("SHARD_UNAVAILABLE");
    expect(watch.requireAnswer).toThrow("shard 1: PostgreSQL does not answer: no answer");
    expect(watch.isUp()).toBe(false);
    // What waits is cut off once.
    await pass(20_000);
    expect(cuts).toBe(1);

    state = "answers";
    await pass(4_000);
    expect(await outcome(watch.read(async () => "read"))).toBe("read");
    expect(watch.isUp()).toBe(true);
  });

  test("for one question only costs nobody anything", async () => {
    await pass(1_000);
    state = "silent";
    await pass(1_500);
    state = "answers";
    await pass(5_000);
    expect(cuts).toBe(0);
    expect(watch.fault()).toBeUndefined();
  });
});

test("a shard that refuses connections answers for itself", async () => {
  await pass(1_000);
  state = "refuses";
  await pass(15_000);
  expect(watch.isUp()).toBe(false);
  expect(watch.fault()).toBe("connection refused");
  expect(cuts).toBe(0);
  expect(await outcome(watch.read(async () => "read"))).toBe("read");
});

test("a pod that ends refuses what waits and what comes", async () => {
  await pass(1_000);
  const waiting = outcome(watch.read(never));
  watch.end();
  expect(await waiting).toBe("SHUTTING_DOWN");
  expect(await outcome(watch.read(async () => "read"))).toBe("SHUTTING_DOWN");
});
