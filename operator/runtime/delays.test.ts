import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { createDelays } from "./delays.ts";

// Goal: always the soonest first, whatever was put, moved and removed before.

interface Entry {
  readonly id: string;
  readonly readyAt: number;
}

describe("delays", () => {
  it("give entries in the order of their times, and of their arrival at one time", () => {
    const delays = createDelays<Entry>();
    for (const [id, readyAt] of [
      ["c", 3],
      ["a", 1],
      ["b", 1],
      ["d", 9],
    ] as const)
      delays.put({ id, readyAt });
    delays.put({ id: "d", readyAt: 2 });
    const order: string[] = [];
    for (let entry = delays.first(); entry !== undefined; entry = delays.first()) {
      order.push(entry.id);
      delays.remove(entry.id);
    }
    expect(order).toEqual(["a", "b", "d", "c"]);
    expect(delays.size()).toBe(0);
  });

  it("agree with a sorted list after every step", () => {
    const step = fc.record({
      id: fc.constantFrom(...Array.from("abcdefghij")),
      readyAt: fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const delays = createDelays<Entry>();
        const model = new Map<string, number>();
        for (const { id, readyAt } of steps) {
          if (readyAt === undefined) {
            expect(delays.remove(id)?.readyAt).toBe(model.get(id));
            model.delete(id);
          } else {
            delays.put({ id, readyAt });
            model.set(id, readyAt);
          }
          expect(delays.size()).toBe(model.size);
          expect(delays.first()?.readyAt).toBe(model.size === 0 ? undefined : Math.min(...model.values()));
          for (const [known, at] of model) expect(delays.get(known)?.readyAt).toBe(at);
        }
      }),
    );
  });

  it("compare no more than a logarithm of entries for each operation", () => {
    const [entries, levels] = [10_000, Math.log2(10_000)];
    let compared = 0;
    const entry = (index: number, at: number): Entry => ({
      id: String(index),
      get readyAt() {
        compared += 1;
        return at;
      },
    });
    const delays = createDelays<Entry>();
    for (let index = 0; index < entries; index += 1) delays.put(entry(index, entries - index));
    for (let index = 0; index < entries; index += 1) delays.put(entry(index, 2 * entries + index));
    for (let first = delays.first(); first !== undefined; first = delays.first()) delays.remove(first.id);
    // Sinking asks twice a level, and each question reads two times, or four when they are equal.
    expect(compared / (3 * entries)).toBeLessThan(8 * levels);
  });
});
