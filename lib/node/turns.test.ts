import { expect, test } from "@jest/globals";
import { createTurns } from "./turns.ts";

// Goal: who reads many pages that come at once does not hold up the event loop for all of them together.

test("those who wait at once go on in turns of their own, in order", async () => {
  let turn = 0;
  let isOver = false;
  const count = (): void => {
    turn += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const mine = createTurns();
  const seen: (readonly [index: number, turn: number])[] = [];
  await Promise.all(Array.from({ length: 5 }, (_, index) => mine().then(() => void seen.push([index, turn]))));
  isOver = true;
  expect(seen.map(([index]) => index)).toEqual([0, 1, 2, 3, 4]);
  expect(new Set(seen.map(([, at]) => at)).size).toBe(5);
});
