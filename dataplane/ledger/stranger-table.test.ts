import { describe, expect, test } from "@jest/globals";
import { createStrangerTable } from "./stranger-table.ts";

// Goal: a flood of connections is paid for by whoever floods, and clients that come back together get through.

const RULES = { max: 3, graceMs: 1_000 };

describe("who goes when there are too many", () => {
  test("nobody while there is room", () => {
    const table = createStrangerTable<string>(RULES);
    expect(["a", "b", "c"].map((name, at) => table.admit(name, "one", at))).toEqual([undefined, undefined, undefined]);
    expect([table.size(), table.all()]).toEqual([3, ["a", "b", "c"]]);
  });

  test("the one that waited longest", () => {
    const table = createStrangerTable<string>(RULES);
    for (const [at, name] of ["a", "b", "c"].entries()) table.admit(name, "one", at);
    expect(table.admit("d", "one", 1_000)).toBe("a");
    expect(table.admit("e", "one", 1_001)).toBe("b");
    expect(table.all()).toEqual(["c", "d", "e"]);
  });

  test("the newest where all are young", () => {
    const table = createStrangerTable<string>(RULES);
    for (const [at, name] of ["a", "b", "c"].entries()) table.admit(name, "one", at);
    expect(table.admit("d", "one", 999)).toBe("d");
    expect(table.all()).toEqual(["a", "b", "c"]);
  });

  test("one of the address that has most, however young it is", () => {
    const table = createStrangerTable<string>(RULES);
    for (const [at, name] of ["a", "b", "c"].entries()) table.admit(name, "crowd", at);
    expect(table.admit("d", "other", 5)).toBe("a");
    expect(table.admit("e", "third", 6)).toBe("b");
    expect(table.all()).toEqual(["c", "d", "e"]);
    // One each: nobody floods, and the oldest has had its time.
    expect(table.admit("f", "fourth", 2_000)).toBe("c");
  });

  test("not one that showed its key", () => {
    const table = createStrangerTable<string>(RULES);
    for (const [at, name] of ["a", "b", "c"].entries()) table.admit(name, "one", at);
    table.remove("a");
    table.remove("a");
    expect(table.admit("d", "one", 2_000)).toBeUndefined();
    expect(table.admit("e", "one", 2_000)).toBe("b");
  });
});
