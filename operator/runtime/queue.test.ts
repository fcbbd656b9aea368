import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { createManualClock } from "../../lib/core/manual-clock.ts";
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

  it("lets a live event overtake the wait of a failed key", async () => {
    const clock = createManualClock();
    const queue = createQueue({ clock });
    for (let failure = 0; failure < 12; failure += 1) queue.addRateLimited(key("a"));
    queue.add(key("a"));
    expect(await takeAll(queue, 1)).toEqual(["a"]);
    await clock.advance(2_000_000);
    expect(ready(queue)).toBe(0);
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
