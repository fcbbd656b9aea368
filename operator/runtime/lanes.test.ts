import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { createLanes } from "./lanes.ts";

// Goal: highest priority first, oldest first within one; an item is in one lane only.

interface Item {
  readonly id: string;
  readonly priority: number;
}

describe("lanes", () => {
  it("agree with a list that is searched", () => {
    const step = fc.option(
      fc.record({ id: fc.constantFrom(...Array.from("abcdef")), priority: fc.constantFrom(0, -50, -100) }),
      { nil: undefined },
    );
    const atLeast = fc.constantFrom(undefined, 0, -50, -100);
    fc.assert(
      fc.property(fc.array(fc.tuple(step, atLeast), { maxLength: 200 }), (steps) => {
        const lanes = createLanes<Item>([-100, 0, -50]);
        let model: Item[] = [];
        for (const [item, lowest] of steps) {
          if (item === undefined) {
            const best = Math.max(...model.map(({ priority }) => priority));
            const want = best < (lowest ?? best) ? undefined : model.find(({ priority }) => priority === best);
            expect(lanes.shift(lowest)).toEqual(want);
            model = model.filter((other) => other !== want);
          } else {
            lanes.push(item);
            model = [...model.filter(({ id }) => id !== item.id), item];
          }
          for (const { id } of model) expect(lanes.get(id)?.id).toBe(id);
          expect([...lanes.sizes().values()].reduce((sum, size) => sum + size, 0)).toBe(model.length);
        }
      }),
    );
  });

  it("show every priority from the start, and refuse others", () => {
    const lanes = createLanes<Item>([0, -100]);
    expect([...lanes.sizes()]).toEqual([
      [0, 0],
      [-100, 0],
    ]);
    expect(() => lanes.push({ id: "a", priority: 7 })).toThrow(RangeError);
  });
});
