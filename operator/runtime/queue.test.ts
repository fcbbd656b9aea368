import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { createManualClock, type ManualClock } from "../../lib/core/manual-clock.ts";
import { createPace } from "../../lib/core/pace.ts";
import { createQueue, type Queue } from "./queue.ts";
import { type Key, PRIORITIES } from "./types.ts";

// Goal: no event is lost, no key runs twice at once, delays and priorities hold. Time is moved by hand.

const key = (name: string): Key => ({ namespace: "ns", name });

async function takeAll(queue: Queue, count: number): Promise<string[]> {
  const names: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const item = await queue.take();
    if (item === undefined) break;
    names.push(item.key.name);
    queue.done(item.key);
  }
  return names;
}

const ready = (queue: Queue): number => [...queue.state().depth.values()].reduce((sum, size) => sum + size, 0);

describe("de-duplication", () => {
  it("turns 10,000 events during a run into exactly one further run", async () => {
    const queue = createQueue({ clock: createManualClock() });
    queue.add(key("a"));
    const item = await queue.take();
    for (let event = 0; event < 10_000; event += 1) queue.add(key("a"));
    expect(ready(queue)).toBe(0);
    queue.done(item?.key ?? key("?"));
    expect(ready(queue)).toBe(1);
    expect(await takeAll(queue, 1)).toEqual(["a"]);
    expect(queue.state()).toMatchObject({ waiting: 0, processing: [] });
    expect(ready(queue)).toBe(0);
  });

  it("hands a key to one worker at a time", async () => {
    const queue = createQueue({ clock: createManualClock() });
    const first = queue.take();
    const second = queue.take();
    queue.add(key("a"));
    queue.add(key("a"));
    await first;
    let took = false;
    void second.then(() => {
      took = true;
    });
    await new Promise(setImmediate);
    expect(took).toBe(false);
    queue.add(key("a"));
    queue.done(key("a"));
    expect((await second)?.key).toEqual(key("a"));
  });

  it("holds for every order of adds, takes and ends", async () => {
    type Step = { readonly do: "add" | "take" | "done"; readonly name: string };
    const step = fc.record<Step>({ do: fc.constantFrom("add", "take", "done"), name: fc.constantFrom("a", "b", "c") });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const queue = createQueue({ clock: createManualClock() });
        const running = new Set<string>();
        const owed = new Set<string>();
        for (const { do: action, name } of steps) {
          if (action === "add") {
            queue.add(key(name));
            owed.add(name);
          } else if (action === "done" && running.delete(name)) {
            queue.done(key(name));
          } else if (action === "take" && ready(queue) > 0) {
            const taken = (await queue.take())?.key.name ?? "";
            expect(running.has(taken)).toBe(false);
            running.add(taken);
            owed.delete(taken);
          }
        }
        for (const name of running) queue.done(key(name));
        expect(new Set(await takeAll(queue, ready(queue)))).toEqual(owed);
      }),
    );
  });
});

it("loses no key and runs none twice, whatever is added, delayed, retried, paced and taken when", async () => {
  type Step = {
    readonly do: "add" | "edit" | "retry" | "take" | "done" | "wait";
    readonly name: string;
    readonly ms: number;
  };
  const step = fc.record<Step & { priority: keyof typeof PRIORITIES }>({
    do: fc.constantFrom("add", "add", "edit", "retry", "take", "take", "done", "wait"),
    name: fc.constantFrom("a", "b", "c", "d"),
    ms: fc.constantFrom(0, 0, 1, 50, 999, 5_000),
    priority: fc.constantFrom("urgent", "live", "resync", "start"),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
      const clock = createManualClock();
      const pace = createPace({ burst: 2, intervalSeconds: 1 }, clock);
      const urgentPace = createPace({ burst: 2, intervalSeconds: 1 }, clock);
      const queue = createQueue({ clock, pace, urgentPace });
      const running = new Set<string>();
      const owed = new Set<string>();
      const take = async (): Promise<void> => {
        const name = (await queue.take())?.key.name ?? "";
        expect(running.has(name)).toBe(false);
        running.add(name);
        owed.delete(name);
      };
      for (const { do: action, name, ms, priority } of steps) {
        if (action === "wait") await clock.advance(ms);
        const isNewInput = action === "edit";
        if (action === "add" || isNewInput)
          queue.add(key(name), { afterMs: ms, priority: PRIORITIES[priority], isNewInput });
        if (action === "retry") queue.addRateLimited(key(name), PRIORITIES[priority]);
        if (action === "add" || isNewInput || action === "retry") owed.add(name);
        if (action === "done" && running.delete(name)) queue.done(key(name));
        if (action === "take" && ready(queue) > 0) await take();
      }
      for (const name of running) queue.done(key(name));
      running.clear();
      // 80 failures of one key wait 1000 s at most.
      await clock.advance(1_000_001);
      while (ready(queue) > 0) await take();
      expect([...owed]).toEqual([]);
      expect(queue.state().waiting).toBe(0);
      queue.shutDown();
    }),
    { numRuns: 60 },
  );
}, 60_000);

describe("backoff", () => {
  it("follows 5 ms·2ⁿ per key up to 1000 s, and one success resets it", () => {
    const queue = createQueue({ clock: createManualClock() });
    const delays = Array.from({ length: 12 }, () => queue.addRateLimited(key("a")));
    expect(delays).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240]);
    expect(queue.addRateLimited(key("b"))).toBe(5);
    for (let failure = 12; failure < 30; failure += 1) queue.addRateLimited(key("a"));
    expect(queue.addRateLimited(key("a"))).toBe(1_000_000);
    queue.forget(key("a"));
    expect(queue.addRateLimited(key("a"))).toBe(5);
  });

  /** Runs of a key, one after the other, each of which ends as `conclude` says. @returns their times */
  const runsOf = (queue: Queue, clock: ManualClock, conclude: () => void): number[] => {
    const runs: number[] = [];
    const work = async (): Promise<void> => {
      for (let item = await queue.take(); item !== undefined; item = await queue.take()) {
        runs.push(clock.monotonic());
        // A key that runs without end would never let the clock go on.
        if (runs.length === 2_000) return queue.shutDown();
        conclude();
        queue.done(item.key);
      }
    };
    void work();
    return runs;
  };
  const failing = () => {
    const clock = createManualClock();
    const queue = createQueue({ clock, pace: createPace({ burst: 20, intervalSeconds: 1 }, clock) });
    const runs = runsOf(queue, clock, () => void queue.addRateLimited(key("a")));
    queue.add(key("a"));
    return { clock, queue, runs };
  };
  const second = 1_000;

  it("is not passed by an event a second: 16 tries in five minutes, and then one in two and a half", async () => {
    const { clock, queue, runs } = failing();
    for (let at = 0; at < 300; at += 1) {
      await clock.advance(second);
      queue.add(key("a"));
    }
    expect(runs).toHaveLength(16);
    const [, ...rest] = Array.from({ length: 16 }, (_none, n) => 5 * (2 ** n - 1));
    expect(runs.slice(1)).toEqual(rest);
    for (let at = 0; at < 700; at += 1) {
      await clock.advance(second);
      queue.add(key("a"));
    }
    expect(runs.slice(15).map((at, index) => at - (runs[15 + index - 1] ?? 0))).toEqual([
      81_920, 150_000, 150_000, 150_000, 150_000, 150_000,
    ]);
    queue.shutDown();
  });

  it("is followed alone when nothing happens, up to 1000 s", async () => {
    const { clock, queue, runs } = failing();
    await clock.advance(4_000 * second);
    expect(runs.at(-1)).toBe(3_310_715);
    queue.shutDown();
  });

  it("is not passed by an event that came while the run that failed was going on", async () => {
    const clock = createManualClock();
    const queue = createQueue({ clock });
    const runs = runsOf(queue, clock, () => {
      queue.add(key("a"));
      queue.addRateLimited(key("a"));
      queue.add(key("a"));
    });
    queue.add(key("a"));
    await clock.advance(40);
    expect(runs).toEqual([0, 5, 15, 35]);
    queue.shutDown();
  });

  it("is not passed by an event of a failing run that has to wait for its pace", async () => {
    const clock = createManualClock();
    const queue = createQueue({ clock, pace: createPace({ burst: 2, intervalSeconds: 1 }, clock) });
    // Used up by events before the trouble began.
    let successes = 3;
    const runs = runsOf(queue, clock, () => {
      queue.add(key("a"));
      successes -= 1;
      if (successes < 0) queue.addRateLimited(key("a"));
    });
    queue.add(key("a"));
    await clock.advance(300 * second);
    // As without a pace: 5 ms·2ⁿ, 16 tries in five minutes.
    expect(runs.length).toBeLessThanOrEqual(3 + 16);
    queue.shutDown();
  });

  it("is forgotten with new input, which runs at once, also when it came during the run", async () => {
    const { clock, queue, runs } = failing();
    await clock.advance(60 * second);
    runs.length = 0;
    queue.add(key("a"), { isNewInput: true });
    await clock.advance(40);
    expect(runs.map((at) => at - 60 * second)).toEqual([0, 5, 15, 35]);
    queue.shutDown();

    const during = createManualClock();
    const other = createQueue({ clock: during });
    let edits = 0;
    const times = runsOf(other, during, () => {
      if (during.monotonic() >= 5_115 && edits++ === 0) other.add(key("a"), { isNewInput: true });
      other.addRateLimited(key("a"));
    });
    other.add(key("a"));
    await during.advance(5_149);
    expect(times.slice(-4)).toEqual([5_115, 5_115, 5_120, 5_130]);
    other.shutDown();
  });

  it("ends with a success: what came during that run is served at once", async () => {
    const clock = createManualClock();
    const queue = createQueue({ clock });
    let failures = 10;
    const runs = runsOf(queue, clock, () => {
      queue.add(key("a"));
      failures -= 1;
      if (failures >= 0) queue.addRateLimited(key("a"));
      else if (failures === -1) queue.forget(key("a"));
      else queue.shutDown();
    });
    queue.add(key("a"));
    await clock.advance(10 * second);
    expect(runs.slice(-2)).toEqual([5_115, 5_115]);
  });

  it("neither uses up the pace of a key nor makes it wait, with events or without", async () => {
    const clock = createManualClock();
    const queue = createQueue({ clock, pace: createPace({ burst: 2, intervalSeconds: 1_000 }, clock) });
    const runs = runsOf(queue, clock, () => void queue.addRateLimited(key("a")));
    queue.add(key("a"));
    for (let at = 0; at < 60; at += 1) {
      await clock.advance(second);
      queue.add(key("a"));
    }
    expect(runs).toHaveLength(14);
    queue.add(key("a"), { isNewInput: true });
    await clock.advance(0);
    expect(runs).toHaveLength(15);
    queue.shutDown();
  });

  it("of other keys is not touched", async () => {
    const { clock, queue, runs } = failing();
    await clock.advance(100 * second);
    const before = runs.length;
    queue.add(key("b"));
    await clock.advance(0);
    expect(runs).toHaveLength(before + 1);
    queue.shutDown();
  });

  it("a time that a failure names is kept to as well, and leaves the backoff as it was", async () => {
    const clock = createManualClock();
    const queue = createQueue({ clock });
    const asked = [7, 7, 200];
    const runs = runsOf(queue, clock, () => {
      const after = asked.shift();
      if (after === undefined) queue.addRateLimited(key("a"));
      else queue.addAfter(key("a"), after * second);
    });
    queue.add(key("a"));
    for (let at = 0; at < 170; at += 1) {
      await clock.advance(second);
      queue.add(key("a"));
    }
    expect(runs.slice(0, 6)).toEqual([0, 7_000, 14_000, 164_000, 164_005, 164_015]);
    queue.shutDown();
  });
});

describe("delays", () => {
  it("keep the soonest time of a key and the order of times between keys", async () => {
    const clock = createManualClock();
    const queue = createQueue({ clock });
    queue.add(key("late"), { afterMs: 3_000 });
    queue.add(key("early"), { afterMs: 9_000 });
    queue.add(key("early"), { afterMs: 1_000 });
    await clock.advance(999);
    expect(ready(queue)).toBe(0);
    await clock.advance(1);
    expect(await takeAll(queue, 1)).toEqual(["early"]);
    await clock.advance(2_000);
    expect(await takeAll(queue, 1)).toEqual(["late"]);
    expect(queue.state().waiting).toBe(0);
  });

  it("that end while the key runs give one further run", async () => {
    const clock = createManualClock();
    const queue = createQueue({ clock });
    queue.add(key("a"));
    await queue.take();
    queue.add(key("a"), { afterMs: 100 });
    await clock.advance(100);
    expect(ready(queue)).toBe(0);
    queue.done(key("a"));
    expect(ready(queue)).toBe(1);
  });
});

describe("priorities", () => {
  it("serve live keys before the backlog, oldest first within each", async () => {
    const queue = createQueue({ clock: createManualClock() });
    for (const name of ["b1", "b2", "b3"]) queue.add(key(name), { priority: PRIORITIES.start });
    queue.add(key("live1"));
    queue.add(key("b3"));
    expect(await takeAll(queue, 4)).toEqual(["live1", "b3", "b1", "b2"]);
  });
});

describe("shut-down", () => {
  it("wakes waiting workers, takes no keys and starts nothing", async () => {
    const clock = createManualClock();
    const queue = createQueue({ clock });
    const worker = queue.take();
    queue.add(key("later"), { afterMs: 10 });
    queue.shutDown();
    expect(await worker).toBeUndefined();
    queue.add(key("a"));
    await clock.advance(100);
    expect(await queue.take()).toBeUndefined();
    expect(clock.pendingSleeps()).toBe(0);
  });
});

describe("priorities of two adds of one key", () => {
  it.each([
    ["start", "live", "ready", ["x", "s"]],
    ["live", "start", "ready", ["x", "s"]],
    ["start", "live", "running", ["x", "s"]],
    ["start", "resync", "waiting", ["x", "s"]],
  ] as const)("%s and then %s, while it is %s: the higher one counts", async (first, second, where, order) => {
    const clock = createManualClock();
    const queue = createQueue({ clock });
    if (where === "running") {
      queue.add(key("x"));
      await queue.take();
    }
    const afterMs = where === "waiting" ? 100 : 0;
    queue.add(key("x"), { priority: PRIORITIES[first], afterMs });
    queue.add(key("s"), { priority: PRIORITIES.start });
    queue.add(key("x"), { priority: PRIORITIES[second], afterMs });
    await clock.advance(afterMs);
    if (where === "running") queue.done(key("x"));
    expect(await takeAll(queue, 2)).toEqual(order);
  });

  it("puts live events before resyncs, and those before the list of a start", async () => {
    const queue = createQueue({ clock: createManualClock() });
    for (const priority of ["start", "resync", "live", "start", "resync"] as const) {
      queue.add(key(`${priority}${queue.state().depth.get(PRIORITIES[priority])}`), { priority: PRIORITIES[priority] });
    }
    expect(await takeAll(queue, 5)).toEqual(["live0", "resync0", "resync1", "start0", "start1"]);
    expect([...queue.state().depth]).toEqual([
      [50, 0],
      [0, 0],
      [-50, 0],
      [-100, 0],
    ]);
  });
});

describe("the pace of a key", () => {
  const paced = () => {
    const clock = createManualClock();
    let held = 0;
    const pace = createPace({ burst: 3, intervalSeconds: 1 }, clock);
    const queue = createQueue({ clock, pace, onPaced: () => (held += 1) });
    return { clock, queue, held: () => held };
  };
  /** A controller that wakes itself with every run. @returns the times of its runs */
  const hotLoop = async (forMs: number, add: (queue: Queue) => void): Promise<number[]> => {
    const { clock, queue } = paced();
    const runs: number[] = [];
    let go = true;
    const worker = (async () => {
      while (go && (await queue.take()) !== undefined) {
        runs.push(clock.monotonic());
        add(queue);
        queue.done(key("a"));
      }
    })();
    add(queue);
    await clock.advance(forMs);
    go = false;
    queue.shutDown();
    await worker;
    return runs;
  };

  it("bounds one that wakes itself, by events or by asking for another run at once", async () => {
    const want = [0, 0, 0, 1_000, 2_000, 3_000];
    expect(await hotLoop(3_500, (queue) => queue.add(key("a")))).toEqual(want);
    expect(await hotLoop(3_500, (queue) => queue.add(key("a"), { afterMs: 0 }))).toEqual(want);
  });

  it("delays neither a run that was asked for after the interval or more, nor retries", async () => {
    expect(await hotLoop(5_500, (queue) => queue.add(key("a"), { afterMs: 1_100 }))).toEqual([
      1_100, 2_200, 3_300, 4_400, 5_500,
    ]);
    expect(await hotLoop(40, (queue) => void queue.addRateLimited(key("a")))).toEqual([5, 15, 35]);
  });

  it("does not hold up other keys, and is counted once for a run that waits", async () => {
    const { clock, queue, held } = paced();
    for (let run = 0; run < 3; run += 1) {
      queue.add(key("a"));
      expect(await takeAll(queue, 1)).toEqual(["a"]);
    }
    for (let event = 0; event < 10; event += 1) queue.add(key("a"));
    queue.add(key("b"));
    expect(ready(queue)).toBe(1);
    expect(held()).toBe(1);
    expect(await takeAll(queue, 1)).toEqual(["b"]);
    await clock.advance(1_000);
    expect(await takeAll(queue, 1)).toEqual(["a"]);
  });

  it("lets a failed key be tried again at once when its input was changed", async () => {
    const { queue } = paced();
    for (let failure = 0; failure < 12; failure += 1) queue.addRateLimited(key("a"));
    queue.add(key("a"), { isNewInput: true });
    expect(await takeAll(queue, 1)).toEqual(["a"]);
  });
});

describe("an urgent add", () => {
  const { urgent } = PRIORITIES;
  const begin = () => {
    const clock = createManualClock();
    const pace = createPace({ burst: 3, intervalSeconds: 1 }, clock);
    const urgentPace = createPace({ burst: 2, intervalSeconds: 1 }, clock);
    const queue = createQueue({ clock, pace, urgentPace });
    /** Runs the key as often as its pace allows now. */
    const exhaust = async (name: string): Promise<void> => {
      for (let run = 0; run < 3; run += 1) {
        queue.add(key(name));
        expect(await takeAll(queue, 1)).toEqual([name]);
      }
      queue.add(key(name));
      expect(ready(queue)).toBe(0);
    };
    return { clock, queue, exhaust };
  };

  it("runs a key at once that has used up its pace, twice, and then once a second", async () => {
    const { clock, queue, exhaust } = begin();
    await exhaust("a");
    const runs: number[] = [];
    const worker = (async () => {
      for (let item = await queue.take(); item !== undefined; item = await queue.take()) {
        runs.push(clock.monotonic());
        queue.add(item.key, { priority: urgent });
        queue.done(item.key);
      }
    })();
    queue.add(key("a"), { priority: urgent });
    await clock.advance(3_500);
    queue.shutDown();
    await worker;
    // From then on both paces have a run each second, and it is one key that asks for more than that.
    expect(runs.slice(0, 2)).toEqual([0, 0]);
    expect(runs.filter((at) => at > 0 && at <= 3_000)).toEqual([1_000, 1_000, 2_000, 2_000, 3_000, 3_000]);
  });

  it("takes none of its own runs while its key has some", async () => {
    const { queue, exhaust } = begin();
    for (let run = 0; run < 3; run += 1) {
      queue.add(key("a"), { priority: urgent });
      expect(await takeAll(queue, 1)).toEqual(["a"]);
    }
    for (let run = 0; run < 2; run += 1) {
      queue.add(key("a"), { priority: urgent });
      expect(await takeAll(queue, 1)).toEqual(["a"]);
    }
    queue.add(key("a"), { priority: urgent });
    expect(ready(queue)).toBe(0);
    await exhaust("b");
  });

  it("passes the backoff of its key, which goes on growing", async () => {
    const { queue } = begin();
    for (let failure = 0; failure < 16; failure += 1) queue.addRateLimited(key("a"));
    queue.add(key("a"));
    expect(ready(queue)).toBe(0);
    queue.add(key("a"), { priority: urgent });
    await queue.take();
    expect(queue.addRateLimited(key("a"), urgent)).toBe(5 * 2 ** 16);
    expect(queue.addRateLimited(key("a"), urgent, 5_000)).toBe(5_000);
    queue.done(key("a"));
  });

  it("while its key runs is the next run of it, whether that run fails or not", async () => {
    const { queue } = begin();
    queue.add(key("a"));
    await queue.take();
    queue.add(key("a"), { priority: urgent });
    queue.addRateLimited(key("a"));
    queue.done(key("a"));
    expect(await queue.take(urgent)).toMatchObject({ key: key("a"), priority: urgent });
  });

  it("is all that a worker gets who asks for nothing else", async () => {
    const { queue } = begin();
    const reserved = queue.take(urgent);
    const other = queue.take();
    queue.add(key("a"));
    expect((await other)?.key.name).toBe("a");
    queue.add(key("b"));
    queue.add(key("c"), { priority: urgent });
    expect((await reserved)?.key.name).toBe("c");
    expect(await takeAll(queue, 1)).toEqual(["b"]);
    const waiting = queue.take(urgent);
    queue.shutDown();
    expect(await waiting).toBeUndefined();
  });

  it("is handed out at once, or within the second that its own pace takes, whatever happened before", async () => {
    type Step = { readonly do: "live" | "urgent" | "retry" | "after" | "run" | "wait"; readonly ms: number };
    const step = fc.record<Step>({
      do: fc.constantFrom("live", "live", "urgent", "retry", "after", "run", "run", "wait"),
      ms: fc.constantFrom(0, 1, 400, 1_500, 60_000),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { clock, queue } = begin();
        let urgentRuns = 0;
        for (const { do: action, ms } of steps) {
          if (action === "live") queue.add(key("a"), { afterMs: ms });
          if (action === "urgent") queue.add(key("a"), { priority: urgent });
          if (action === "retry") queue.addRateLimited(key("a"));
          if (action === "after") queue.addAfter(key("a"), ms);
          if (action === "wait") await clock.advance(ms);
          if (action === "run" && ready(queue) > 0) {
            if ((await queue.take())?.priority === urgent) urgentRuns += 1;
            queue.done(key("a"));
          }
        }
        // The workers of everything else are held up by keys of their own.
        const at = clock.monotonic();
        const reserved = queue.take(urgent);
        let servedAt: number | undefined;
        void reserved.then(() => {
          servedAt = clock.monotonic();
        });
        queue.add(key("a"), { priority: urgent });
        await clock.advance(1_000);
        expect(servedAt).toBeDefined();
        expect((servedAt ?? Number.POSITIVE_INFINITY) - at).toBeLessThanOrEqual(urgentRuns < 2 ? 0 : 1_000);
        queue.shutDown();
      }),
      { numRuns: 200 },
    );
  }, 60_000);
});

it("hands out 50,000 keys in their order without ever looking at all of them", async () => {
  // A quadratic queue takes minutes here; the bound only has to tell the two apart on a busy machine.
  const [keys, boundMs] = [50_000, 10_000];
  const queue = createQueue({ clock: createManualClock() });
  const startedAt = performance.now();
  for (let index = 0; index < keys; index += 1) queue.add(key(String(index)), { priority: PRIORITIES.start });
  for (let index = 0; index < keys; index += 1) {
    const item = await queue.take();
    if (item?.key.name !== String(index)) throw new Error(`${index}: ${item?.key.name}`);
    queue.done(item.key);
  }
  expect(performance.now() - startedAt).toBeLessThan(boundMs);
}, 30_000);

it("waits longer than a timer can", async () => {
  const clock = createManualClock();
  const queue = createQueue({ clock });
  const afterMs = 60 * 24 * 3_600_000;
  queue.add(key("certificate"), { afterMs });
  await clock.advance(afterMs - 1);
  expect(ready(queue)).toBe(0);
  await clock.advance(1);
  expect(ready(queue)).toBe(1);
});
