// Goal: "as we want it" means the same by either way of asking, for any two values.
import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { canonicalJson } from "../../lib/core/canonical.ts";
import { covers, project } from "./projection.ts";

test("what others add does not matter, what is missing or different does", () => {
  const live = { spec: { replicas: 1, other: true, list: [{ a: 1, b: 2 }] }, status: {} };
  expect(covers(live, { spec: { replicas: 1, list: [{ a: 1 }] } })).toBe(true);
  expect(covers(live, { spec: { replicas: 1, gone: undefined } })).toBe(true);
  expect(covers(live, { spec: { replicas: 2 } })).toBe(false);
  expect(covers(live, { spec: { list: [{ a: 1 }, { a: 2 }] } })).toBe(false);
  expect(covers(live, { spec: { toString: 1 } })).toBe(false);
  expect(covers({ spec: [] }, { spec: {} })).toBe(false);
});

test("covers is the equality of the projection with what is desired", () => {
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom(null, true, 0, 1, "a", "b"),
      fc.array(tie("value"), { maxLength: 2 }),
      fc.dictionary(fc.constantFrom("a", "b", "c"), tie("value"), { maxKeys: 3 }),
    ),
  }));
  fc.assert(
    fc.property(value, value, (live, desired) => {
      expect(covers(live, desired)).toBe(canonicalJson(project(live, desired)) === canonicalJson(desired));
    }),
    { numRuns: 2_000 },
  );
});
