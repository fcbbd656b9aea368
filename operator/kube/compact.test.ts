// Goal: an object that went through is equal to what it was, and nobody can change it.
import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { createCompactor } from "./compact.ts";

test("values stay what they are, whatever went through before", () => {
  const compact = createCompactor();
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const copy = structuredClone(value);
      expect(compact(value)).toEqual(copy);
    }),
  );
});

test("everything is frozen, at every depth", () => {
  const value = { list: [{ text: "in a list" }], object: { text: "in an object" } };
  const compacted = createCompactor()(value);
  expect(compacted).toBe(value);
  for (const part of [value, value.list, value.list[0], value.object]) expect(Object.isFrozen(part)).toBe(true);
});

test("the memory of strings is bounded, and forgetting it changes nothing", () => {
  const compact = createCompactor();
  for (let index = 0; index < 20_000; index += 1) {
    expect(compact({ name: `object-${index}`, kind: "ConfigMap" })).toEqual({
      name: `object-${index}`,
      kind: "ConfigMap",
    });
  }
});
