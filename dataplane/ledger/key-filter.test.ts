import { describe, expect, test } from "@jest/globals";
import { sha256 } from "../../lib/core/canonical.ts";
import { createKeyFilter } from "./key-filter.ts";

// Goal: a key that was added is never denied, whatever the filter has grown to; false alarms stay rare.

describe("key filter", () => {
  test("knows every key, also after growing", () => {
    const filter = createKeyFilter(1_000);
    const keys = Array.from({ length: 20_000 }, (_, index) => sha256(`known-${index}`));
    for (const key of keys) filter.add(key, 0);
    expect(keys.every((key) => filter.mayHave(key, 0))).toBe(true);
    const alarms = Array.from({ length: 20_000 }, (_, index) => sha256(`new-${index}`)).filter((key) =>
      filter.mayHave(key, 0),
    );
    expect(alarms.length / 20_000).toBeLessThan(0.01);
  });

  test("takes no more memory than its bound, and then knows every key still", () => {
    const filter = createKeyFilter(1_000, 64 * 1024);
    const keys = Array.from({ length: 100_000 }, (_, index) => sha256(`known-${index}`));
    for (const key of keys) filter.add(key, 0);
    expect(filter.bytes()).toBeLessThanOrEqual(64 * 1024);
    expect(keys.every((key) => filter.mayHave(key, 0))).toBe(true);
  });

  test("reads the key at its offset", () => {
    const filter = createKeyFilter();
    const table = Buffer.concat([Buffer.alloc(24), sha256("a")]);
    filter.add(table, 24);
    expect(filter.mayHave(sha256("a"), 0)).toBe(true);
    expect(filter.mayHave(table, 0)).toBe(false);
  });
});
