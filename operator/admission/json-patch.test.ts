import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { jsonPatch } from "../../testkit/fake/json-patch.ts";
import { diffJson, isEqual, type PatchOperation } from "./json-patch.ts";

// Goal: a patch turns the first value into the second one, in few steps for what people change.

const cases: readonly { name: string; before: unknown; after: unknown; want: readonly PatchOperation[] }[] = [
  { name: "nothing changed", before: { a: [1, { b: 2 }] }, after: { a: [1, { b: 2 }] }, want: [] },
  { name: "the order of members", before: { a: 1, b: 2 }, after: { b: 2, a: 1 }, want: [] },
  { name: "undefined is absent", before: { a: 1 }, after: { a: 1, b: undefined }, want: [] },
  {
    name: "undefined removes",
    before: { a: 1, b: 2 },
    after: { a: 1, b: undefined },
    want: [{ op: "remove", path: "/b" }],
  },
  {
    name: "a label",
    before: { metadata: { labels: { "a/b": "1" } } },
    after: { metadata: { labels: { "a/b": "2", "c~d": "3" } } },
    want: [
      { op: "replace", path: "/metadata/labels/a~1b", value: "2" },
      { op: "add", path: "/metadata/labels/c~0d", value: "3" },
    ],
  },
  {
    name: "the first label",
    before: { metadata: {} },
    after: { metadata: { labels: { a: "1" } } },
    want: [{ op: "add", path: "/metadata/labels", value: { a: "1" } }],
  },
  {
    name: "an item in the middle",
    before: [1, 2, 4],
    after: [1, 2, 3, 4],
    want: [{ op: "add", path: "/2", value: 3 }],
  },
  { name: "an item removed", before: [1, 2, 3], after: [1, 3], want: [{ op: "remove", path: "/1" }] },
  {
    name: "items of one value",
    before: [1, 1, 1],
    after: [1],
    want: [
      { op: "remove", path: "/2" },
      { op: "remove", path: "/1" },
    ],
  },
  {
    name: "a field of an item",
    before: [{ name: "a", image: "x" }],
    after: [{ name: "a", image: "y" }],
    want: [{ op: "replace", path: "/0/image", value: "y" }],
  },
  { name: "another type", before: { a: [] }, after: { a: {} }, want: [{ op: "replace", path: "/a", value: {} }] },
  { name: "null is a value", before: { a: 1 }, after: { a: null }, want: [{ op: "replace", path: "/a", value: null }] },
  { name: "the whole", before: 1, after: "1", want: [{ op: "replace", path: "", value: "1" }] },
];

describe("diffJson", () => {
  it.each(cases)("$name", ({ before, after, want }) => {
    expect(diffJson(before, after)).toEqual(want);
  });

  it("gives a patch that leads from any value to any other", () => {
    // Few names and values, so that the two have much in common.
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom(null, true, 0, 1, "", "a"),
        fc.array(tie("tree"), { maxLength: 5 }),
        fc.dictionary(fc.constantFrom("a", "b", "/", "~1", "", "constructor"), tie("tree")),
      ),
    }));
    fc.assert(
      fc.property(tree, tree, (before, after) => {
        const result = jsonPatch(before, diffJson(before, after));
        expect(isEqual(result, after)).toBe(true);
        expect(diffJson(result, after)).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("isEqual", () => {
  it.each([
    [{ a: 1 }, { a: 1, b: undefined }, true],
    [{ a: 1 }, { a: 1, b: null }, false],
    [[1], { 0: 1 }, false],
    [null, {}, false],
    [{}, { constructor: 1 }, false],
  ])("%j and %j: %s", (left, right, want) => {
    expect(isEqual(left, right)).toBe(want);
  });
});
