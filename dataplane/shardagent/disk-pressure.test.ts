import { describe, expect, test } from "@jest/globals";
import { GIB, MIB } from "./byte-sizes.ts";
import { assessDisk, type DiskState, diskLimits } from "./disk-pressure.ts";

type Seen = Parameters<typeof assessDisk>[0];

function seen(changes: Partial<Seen> = {}): Seen {
  return {
    totalBytes: GIB,
    freeBytes: 800 * MIB,
    totalInodes: 65_536,
    freeInodes: 60_000,
    ballastBytes: 64 * MIB,
    failure: undefined,
    serverDown: false,
    ...changes,
  };
}

function after(level: DiskState["level"], changes: Partial<Seen> = {}): DiskState {
  const before = { level, message: "", totalBytes: GIB, freeBytes: 0, ballast: "keep" } as const;
  return assessDisk(seen(changes), before);
}

test.each([
  [256 * MIB, { ballast: 32 * MIB, floor: 32 * MIB, resume: 48 * MIB, low: 64 * MIB }],
  [GIB, { ballast: 64 * MIB, floor: 32 * MIB, resume: 48 * MIB, low: Math.floor(GIB * 0.15) }],
  [4096 * GIB, { ballast: 64 * MIB, floor: 32 * MIB, resume: 48 * MIB, low: 32 * GIB }],
])("limits of a volume of %d bytes", (totalBytes, limits) => {
  expect(diskLimits(totalBytes)).toEqual(limits);
});

describe("the level", () => {
  test.each<[string, Partial<Seen>, DiskState["level"]]>([
    ["plenty", {}, "enough"],
    ["below 15 %", { freeBytes: 81 * MIB }, "low"],
    ["below two segments of the log", { freeBytes: 31 * MIB }, "full"],
    ["room that is the ballast's, which was given up", { freeBytes: 70 * MIB, ballastBytes: 0 }, "full"],
    ["the same room on a volume that never had one", { freeBytes: 70 * MIB, ballastBytes: undefined }, "low"],
    ["few inodes", { freeInodes: 3_000 }, "low"],
    ["no inodes", { freeInodes: 10 }, "full"],
    ["a file system that does not count inodes", { totalInodes: 0, freeInodes: 0 }, "enough"],
    ["a quota that statfs does not show", { failure: { code: "EDQUOT", message: "EDQUOT: quota" } }, "full"],
    ["a read-only file system", { failure: { code: "EROFS", message: "EROFS: read-only" } }, "unwritable"],
  ])("with %s", (_name, changes, level) => {
    expect(assessDisk(seen(changes), undefined).level).toBe(level);
  });

  test("does not flutter at its limits", () => {
    expect(after("full", { freeBytes: 40 * MIB }).level).toBe("full");
    expect(after("full", { freeBytes: 49 * MIB }).level).toBe("low");
    expect(after("low", { freeBytes: 160 * MIB }).level).toBe("low");
    expect(after("low", { freeBytes: 170 * MIB }).level).toBe("enough");
  });
});

describe("the ballast", () => {
  test.each<[string, Partial<Seen>, DiskState["level"], DiskState["ballast"]]>([
    ["is made where there is room", { ballastBytes: undefined }, "enough", "make"],
    ["is not made where it would end writes", { ballastBytes: undefined, freeBytes: 100 * MIB }, "low", "keep"],
    ["stays while a full volume has room for a segment", { freeBytes: 25 * MIB }, "full", "keep"],
    ["is given up when there is none", { freeBytes: 10 * MIB }, "full", "release"],
    ["is given up for a server that is to start", { freeBytes: 25 * MIB, serverDown: true }, "full", "release"],
    ["is given up when a quota is used up", { failure: { code: "EDQUOT", message: "" } }, "full", "release"],
    ["is not given up twice", { freeBytes: 0, ballastBytes: 0 }, "full", "keep"],
    ["comes back with the room", { freeBytes: 120 * MIB, ballastBytes: 0 }, "full", "make"],
    ["is left alone on a broken volume", { failure: { code: "EIO", message: "" } }, "enough", "keep"],
  ])("%s", (_name, changes, before, wanted) => {
    expect(after(before, changes).ballast).toBe(wanted);
  });
});

describe("the sentence", () => {
  test("has the numbers before the volume is full", () => {
    expect(assessDisk(seen({ freeBytes: 81 * MIB }), undefined).message).toBe(
      "92% of 1.0 GiB used, 81 MiB free; below 32 MiB writes are refused: raise storage.size, or free space",
    );
  });

  test("says when writes go on, and the way out", () => {
    expect(assessDisk(seen({ freeBytes: 64 * MIB, ballastBytes: 0 }), undefined).message).toBe(
      "the volume is full (93% of 1.0 GiB used, 64 MiB free): writes are refused until 112 MiB are free; raise storage.size, or free space: DROP or TRUNCATE in a session that begins with SET default_transaction_read_only = off",
    );
  });

  test("names quota and inodes", () => {
    const quota = { failure: { code: "EDQUOT", message: "EDQUOT: disk quota exceeded" } };
    expect(assessDisk(seen(quota), undefined).message).toContain("a write fails: EDQUOT: disk quota exceeded");
    expect(assessDisk(seen({ freeInodes: 10 }), undefined).message).toContain(
      "10 of 65536 inodes are free; 21% of 1.0 GiB used",
    );
  });

  test("stays the same while what is free changes by less than a hundredth", () => {
    const first = assessDisk(seen({ freeBytes: 100 * MIB }), undefined);
    expect(assessDisk(seen({ freeBytes: 95 * MIB }), first)).toEqual(first);
    expect(assessDisk(seen({ freeBytes: 85 * MIB }), first).message).toContain("85 MiB free");
  });
});
