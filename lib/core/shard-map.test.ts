// Goal: what is written is read again, and nothing else is believed: a map that is wrong sends money to the wrong place.
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { isOperatorError } from "./errors.ts";
import { BUCKET_COUNT } from "./ring.ts";
import { formatShardMap, parseShardMap } from "./shard-map.ts";

const good = { version: "1", epoch: "1", owners: "0:0,2048:1" };

function isRefused(data: Record<string, string> | undefined): boolean {
  try {
    parseShardMap(data);
    return false;
  } catch (error) {
    return isOperatorError(error, "SHARD_MAP_INVALID");
  }
}

test("runs are short and expand to one owner per bucket", () => {
  const owners = Array.from({ length: BUCKET_COUNT }, (_, bucket) => (bucket < 2048 ? 0 : 1));
  expect(formatShardMap({ version: 1, epoch: 1, owners })).toEqual(good);
  expect(parseShardMap(good)).toEqual({ version: 1, epoch: 1, owners });
});

test("any map survives writing and reading", () => {
  const map = fc.record({
    version: fc.integer({ min: 1 }),
    epoch: fc.integer({ min: 1 }),
    owners: fc.array(fc.integer({ min: 0, max: 63 }), { minLength: BUCKET_COUNT, maxLength: BUCKET_COUNT }),
  });
  fc.assert(
    fc.property(map, (made) => {
      expect(parseShardMap(formatShardMap(made))).toEqual(made);
    }),
    { numRuns: 20 },
  );
});

describe("a map is refused", () => {
  test.each([
    ["that is missing", undefined],
    ["without owners", { version: "1", epoch: "1" }],
    ["of version 0", { ...good, version: "0" }],
    ["of a fractional version", { ...good, version: "1.5" }],
    ["of an epoch in words", { ...good, epoch: "one" }],
    ["that does not begin at bucket 0", { ...good, owners: "1:0" }],
    ["with a negative owner", { ...good, owners: "0:-1" }],
    ["with an empty owner", { ...good, owners: "0:" }],
    ["whose runs do not rise", { ...good, owners: "0:0,9:1,9:2" }],
    ["with a run behind the last bucket", { ...good, owners: "0:0,4096:1" }],
    ["with blanks", { ...good, owners: "0:0, 9:1" }],
  ])("%s", (_, data) => {
    expect(isRefused(data)).toBe(true);
  });
});
