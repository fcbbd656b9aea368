import { expect, test } from "@jest/globals";
import { createMemo } from "./memo.ts";

function counting(entriesMax: number): { ask: (key: string) => string; computed: string[] } {
  const memo = createMemo<string>(entriesMax);
  const computed: string[] = [];
  const ask = (key: string): string =>
    memo(key, () => {
      computed.push(key);
      return `value of ${key}`;
    });
  return { ask, computed };
}

test("a value is computed once for its key, also one that is undefined", () => {
  const { ask, computed } = counting(2);
  expect([ask("a"), ask("b"), ask("a"), ask("b")]).toEqual(["value of a", "value of b", "value of a", "value of b"]);
  expect(computed).toEqual(["a", "b"]);
  const nothing = createMemo<undefined>(1);
  let times = 0;
  const compute = (): undefined => {
    times += 1;
    return undefined;
  };
  nothing("a", compute);
  nothing("a", compute);
  expect(times).toBe(1);
});

test("the one that nobody has asked for the longest is forgotten first", () => {
  const { ask, computed } = counting(2);
  for (const key of ["a", "b", "a", "c", "a", "b"]) ask(key);
  expect(computed).toEqual(["a", "b", "c", "b"]);
});

test("a failure is not remembered, and takes no place", () => {
  const memo = createMemo<number>(1);
  memo("kept", () => 1);
  const failing = (): number => {
    throw new Error("injected");
  };
  expect(() => memo("a", failing)).toThrow("injected");
  expect(memo("a", () => 2)).toBe(2);
  memo("kept", () => 3);
  expect(() => memo("b", failing)).toThrow("injected");
  expect(memo("kept", () => 4)).toBe(3);
});
