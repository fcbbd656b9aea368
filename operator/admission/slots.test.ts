import { describe, expect, it } from "@jest/globals";
import { createSlots } from "./slots.ts";

describe("createSlots", () => {
  it("lets as many run as there are slots, and serves those who wait in their order", async () => {
    const slots = createSlots(2);
    const { signal } = new AbortController();
    const order: number[] = [];
    const first = await slots.take(signal);
    await slots.take(signal);
    const waiting = [1, 2].map((number) => slots.take(signal).then((giveBack) => (order.push(number), giveBack)));
    expect(slots.taken()).toBe(2);
    first?.();
    const second = await waiting[0];
    expect(order).toEqual([1]);
    second?.();
    await waiting[1];
    expect(order).toEqual([1, 2]);
    expect(slots.taken()).toBe(2);
  });

  it("forgets who gave up, and counts a slot that is given back twice once", async () => {
    const slots = createSlots(1);
    const giveUp = new AbortController();
    const { signal } = new AbortController();
    const giveBack = await slots.take(signal);
    const waiting = slots.take(giveUp.signal);
    giveUp.abort();
    expect(await waiting).toBeUndefined();
    expect(await slots.take(giveUp.signal)).toBeUndefined();
    giveBack?.();
    giveBack?.();
    expect(slots.taken()).toBe(0);
    await slots.take(signal);
    expect(slots.taken()).toBe(1);
  });
});
