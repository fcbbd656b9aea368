import { expect, test } from "@jest/globals";
import { joinedWeights, sharedWeights, sharesIn } from "./adopted-shares.ts";

// Weights of both colours in the place of one Service.

const at = (green: number) => ({ Blue: 10_000 - green, Green: green });

test.each<[string, Parameters<typeof sharedWeights>, ReturnType<typeof sharedWeights>]>([
  ["alone: basis points", [{ own: 1, others: [] }, at(500)], { colours: { Blue: 9_500, Green: 500 }, others: [] }],
  [
    "alone, whatever its weight was",
    [{ own: 700_001, others: [] }, at(1)],
    { colours: { Blue: 9_999, Green: 1 }, others: [] },
  ],
  [
    "beside others without a share",
    [{ own: 3, others: [0, 0] }, at(500)],
    { colours: { Blue: 9_500, Green: 500 }, others: [0, 0] },
  ],
  [
    "beside others: ten thousand times as much each",
    [{ own: 3, others: [1, 0] }, at(100)],
    { colours: { Blue: 29_700, Green: 300 }, others: [10_000, 0] },
  ],
  [
    "large weights with a common part",
    [{ own: 900_000, others: [100_000] }, at(100)],
    { colours: { Blue: 89_100, Green: 900 }, others: [10_000] },
  ],
  [
    "weights too large for ten thousand times as much",
    [{ own: 501, others: [499] }, at(500)],
    { colours: { Blue: 9_519, Green: 501 }, others: [9_980] },
  ],
  [
    "as many as there were, where one colour has all",
    [{ own: 999_983, others: [999_979] }, at(0)],
    { colours: { Blue: 999_983, Green: 0 }, others: [999_979] },
  ],
  ["no weights say it", [{ own: 999_983, others: [999_979] }, at(1)], undefined],
])("%s", (_, given, want) => {
  expect(sharedWeights(...given)).toEqual(want);
});

test("what the colours have together is what the Service had", () => {
  expect(joinedWeights({ colours: { Blue: 29_700, Green: 300 }, others: [10_000, 0] })).toEqual({
    own: 3,
    others: [1, 0],
  });
  expect(joinedWeights({ colours: { Blue: 0, Green: 0 }, others: [] })).toEqual({ own: 0, others: [] });
});

test("shares are of what goes to the colours alone", () => {
  expect(sharesIn({ Blue: 29_700, Green: 300 })).toEqual({ Blue: 9_900, Green: 100 });
  expect(sharesIn({ Blue: 0, Green: 0 })).toEqual({ Blue: 0, Green: 0 });
});
