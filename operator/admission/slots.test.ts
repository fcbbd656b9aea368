import { describe, expect, it } from "@jest/globals";
import { createSlots } from "./slots.ts";

const { signal } = new AbortController();

describe("createSlots", () => {
  it("lets as many run as there are slots, and serves those who wait in their order", async () => {
    const slots = createSlots({ count: 2, bytes: 100 });
    const order: number[] = [];
    const first = await slots.take(1, signal);
    await slots.take(1, signal);
    const waiting = [1, 2].map((number) =>
      slots.take(number, signal).then((giveBack) => (order.push(number), giveBack)),
    );
    expect(slots.taken()).toEqual({ count: 2, bytes: 2 });
    first?.();
    const second = await waiting[0];
    expect(order).toEqual([1]);
    second?.();
    await waiting[1];
    expect(order).toEqual([1, 2]);
    expect(slots.taken()).toEqual({ count: 2, bytes: 3 });
  });

  it("waits for room, and lets nobody small overtake somebody large", async () => {
    const slots = createSlots({ count: 10, bytes: 100 });
    const order: string[] = [];
    const first = await slots.take(60, signal);
    const large = slots.take(80, signal).then((giveBack) => (order.push("large"), giveBack));
    const small = slots.take(10, signal).then((giveBack) => (order.push("small"), giveBack));
    await Promise.resolve();
    expect(order).toEqual([]);
    first?.();
    await Promise.all([large, small]);
    expect(order).toEqual(["large", "small"]);
    expect(slots.taken()).toEqual({ count: 2, bytes: 90 });
  });

  it("lets what is larger than all room run alone", async () => {
    const slots = createSlots({ count: 10, bytes: 100 });
    const giveBack = await slots.take(1e9, signal);
    expect(slots.taken()).toEqual({ count: 1, bytes: 100 });
    giveBack?.();
    expect(slots.taken()).toEqual({ count: 0, bytes: 0 });
  });

  it("forgets who gave up, makes way behind them, and counts what is given back twice once", async () => {
    const slots = createSlots({ count: 3, bytes: 10 });
    const giveUp = new AbortController();
    const giveBack = await slots.take(5, signal);
    const large = slots.take(9, giveUp.signal);
    const small = slots.take(2, signal);
    giveUp.abort();
    expect(await large).toBeUndefined();
    expect(await slots.take(1, giveUp.signal)).toBeUndefined();
    await small;
    giveBack?.();
    giveBack?.();
    expect(slots.taken()).toEqual({ count: 1, bytes: 2 });
  });
});
